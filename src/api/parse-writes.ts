import { invalidField } from '../base/errors.ts';
import type { Lifetime } from '../state-machine/types.ts';
import { apiBounds } from './bounds.ts';
import {
  checkNotEmpty,
  checkNotZero,
  checkOneOf,
  checkReason,
  checkRequestBytes,
  checkRequestId,
  checkTtl,
} from './field-checks.ts';
import {
  batchRegisterTable,
  deregisterTable,
  grantLeaseTable,
  keepAliveTable,
  registerTable,
  revokeLeaseTable,
  updateTable,
} from './message-table.ts';
import { checkedName, checkedSpec } from './parse-spec.ts';
import { decodeStrictly, joinPath } from './strict-decoder.ts';
import type {
  BatchRegisterRequest,
  DeregisterRequest,
  GrantLeaseRequest,
  RegisterRequest,
  RevokeLeaseRequest,
  UpdateRequest,
} from './types.ts';
import { UniqueNames } from './unique-names.ts';

// Requests that change something, from the bytes of the call. Each function throws RollcallError INVALID_FIELD or
// MALFORMED_MESSAGE and nothing else, whatever the bytes are.

export function parseRegister(bytes: Uint8Array): RegisterRequest {
  checkRequestBytes(bytes);
  const { values } = decodeStrictly(registerTable, bytes);
  const spec = checkedSpec(values.instance, 'instance');
  const lifetime = checkedLifetime(values);
  checkConditions('', values.if_absent, values.if_incarnation);
  checkRequestId('request_id', values.request_id);
  return {
    spec,
    lifetime,
    ifAbsent: values.if_absent,
    ifIncarnation: values.if_incarnation,
    requestId: values.request_id,
  };
}

/** All or nothing: what is wrong with one item refuses them all. */
export function parseBatchRegister(bytes: Uint8Array): BatchRegisterRequest {
  checkRequestBytes(bytes);
  const { values } = decodeStrictly(batchRegisterTable, bytes);
  checkNotEmpty('items', values.items.length, apiBounds.batchItemsMax);
  const lifetime = checkedLifetime(values);
  const names = new UniqueNames();
  const items = values.items.map((item, i) => {
    const path = `items[${i}]`;
    const { instance, if_absent: ifAbsent, if_incarnation: ifIncarnation, keep_equal: keepEqual } = item.values;
    const spec = checkedSpec(instance, `${path}.instance`);
    names.add(path, spec.name);
    checkConditions(path, ifAbsent, ifIncarnation);
    if (keepEqual && lifetime.kind !== 'persistent') {
      throw invalidField(`${path}.keep_equal`, 'is set without persistent, which it needs');
    }
    return { spec, ifAbsent, ifIncarnation, keepEqual };
  });
  checkRequestId('request_id', values.request_id);
  return { items, lifetime, requestId: values.request_id };
}

function checkConditions(path: string, ifAbsent: boolean, ifIncarnation: number): void {
  if (!ifAbsent || ifIncarnation === 0) return;
  const problem = `is ${ifIncarnation} together with if_absent, allowed is one of them`;
  throw invalidField(joinPath(path, 'if_incarnation'), problem);
}

interface LifetimeFields {
  readonly ttl_ms: number | undefined;
  readonly lease_id: number | undefined;
  readonly persistent: boolean | undefined;
}

function checkedLifetime({ ttl_ms: ttlMs, lease_id: leaseId, persistent }: LifetimeFields): Lifetime {
  checkOneOf('lifetime', { ttl_ms: ttlMs, lease_id: leaseId, persistent });
  if (ttlMs !== undefined) {
    checkTtl('ttl_ms', ttlMs);
    return { kind: 'ttl', ttlMs };
  }
  if (leaseId !== undefined) {
    checkNotZero('lease_id', leaseId);
    return { kind: 'lease', leaseId };
  }
  if (persistent !== true)
    throw invalidField('persistent', 'is false, allowed is true; for a lease set ttl_ms or lease_id');
  return { kind: 'persistent' };
}

export function parseUpdate(bytes: Uint8Array): UpdateRequest {
  checkRequestBytes(bytes);
  const { values } = decodeStrictly(updateTable, bytes);
  const spec = checkedSpec(values.instance, 'instance');
  checkNotZero('incarnation', values.incarnation);
  checkRequestId('request_id', values.request_id);
  return { spec, incarnation: values.incarnation, requestId: values.request_id };
}

export function parseDeregister(bytes: Uint8Array): DeregisterRequest {
  checkRequestBytes(bytes);
  const { values } = decodeStrictly(deregisterTable, bytes);
  if (values.key === undefined) throw invalidField('key', 'is missing, it is required');
  const name = checkedName(values.key.values, 'key');
  checkRequestId('request_id', values.request_id);
  checkReason('reason', values.reason);
  return { name, incarnation: values.incarnation, requestId: values.request_id, reason: values.reason };
}

export function parseGrantLease(bytes: Uint8Array): GrantLeaseRequest {
  checkRequestBytes(bytes);
  const { values } = decodeStrictly(grantLeaseTable, bytes);
  checkTtl('ttl_ms', values.ttl_ms);
  checkRequestId('request_id', values.request_id);
  return { ttlMs: values.ttl_ms, requestId: values.request_id };
}

export function parseRevokeLease(bytes: Uint8Array): RevokeLeaseRequest {
  checkRequestBytes(bytes);
  const { values } = decodeStrictly(revokeLeaseTable, bytes);
  checkNotZero('lease_id', values.lease_id);
  checkRequestId('request_id', values.request_id);
  checkReason('reason', values.reason);
  return { leaseId: values.lease_id, requestId: values.request_id, reason: values.reason };
}

/** The lease ids of one KeepAliveRequest, in their order; an id may be there more than once. */
export function parseKeepAlive(bytes: Uint8Array): readonly number[] {
  checkRequestBytes(bytes);
  const { values } = decodeStrictly(keepAliveTable, bytes);
  checkNotEmpty('lease_ids', values.lease_ids.length, apiBounds.leaseIdsMax);
  for (const [i, leaseId] of values.lease_ids.entries()) checkNotZero(`lease_ids[${i}]`, leaseId);
  return values.lease_ids;
}
