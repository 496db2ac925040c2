import { must } from '../base/assert.ts';
import { invalidField } from '../base/errors.ts';
import { apiBounds } from './bounds.ts';
import {
  checkBytesMax,
  checkNotZero,
  checkOneOf,
  checkRange,
  checkRequestBytes,
  checkService,
  checkServicePrefix,
  checkedNamespace,
} from './field-checks.ts';
import type { Decoded } from './message-table.ts';
import { discoverTable, listServicesTable, statusTable, watchTable } from './message-table.ts';
import { checkedFilter } from './parse-filter.ts';
import { decodeStrictly, joinPath } from './strict-decoder.ts';
import type { Consistency, DiscoverRequest, ListServicesRequest, WatchCreateRequest } from './types.ts';

// Requests that only read, from the bytes of the call. Each function throws RollcallError INVALID_FIELD or
// MALFORMED_MESSAGE and nothing else, whatever the bytes are.

/** One message of a watch stream. */
export type WatchCommand =
  | { readonly kind: 'create'; readonly request: WatchCreateRequest }
  | { readonly kind: 'cancel'; readonly watchId: number }
  | { readonly kind: 'ack'; readonly watchId: number; readonly revision: number };

export function parseDiscover(bytes: Uint8Array): DiscoverRequest {
  checkRequestBytes(bytes);
  const { values } = decodeStrictly(discoverTable, bytes);
  const namespace = checkedNamespace('namespace', values.namespace);
  checkService('service', values.service);
  checkBytesMax('page_token', values.page_token, apiBounds.pageTokenBytesMax);
  return {
    namespace,
    service: values.service,
    consistency: consistencyOf(values.consistency),
    minRevision: values.min_revision,
    pageSize: values.page_size,
    pageToken: values.page_token,
    matcher: checkedFilter(values.filter, 'filter'),
  };
}

export function parseListServices(bytes: Uint8Array): ListServicesRequest {
  checkRequestBytes(bytes);
  const { values } = decodeStrictly(listServicesTable, bytes);
  const namespace = checkedNamespace('namespace', values.namespace);
  checkServicePrefix('prefix', values.prefix);
  checkRange('page_size', values.page_size, 0, apiBounds.listPageSizeMax);
  checkBytesMax('page_token', values.page_token, apiBounds.pageTokenBytesMax);
  return {
    namespace,
    prefix: values.prefix,
    consistency: consistencyOf(values.consistency),
    minRevision: values.min_revision,
    pageSize: values.page_size,
    pageToken: values.page_token,
  };
}

export function parseWatch(bytes: Uint8Array): WatchCommand {
  checkRequestBytes(bytes);
  const { values } = decodeStrictly(watchTable, bytes);
  const { create, cancel, ack } = values;
  checkOneOf('request', { create, cancel, ack });
  if (create !== undefined) return { kind: 'create', request: checkedCreate(create.values, 'create') };
  if (cancel !== undefined) {
    checkNotZero('cancel.watch_id', cancel.values.watch_id);
    return { kind: 'cancel', watchId: cancel.values.watch_id };
  }
  const { watch_id: watchId, revision } = must(ack, 'one of the kinds').values;
  checkNotZero('ack.watch_id', watchId);
  return { kind: 'ack', watchId, revision };
}

type CreateMessage = Exclude<Decoded<typeof watchTable>['values']['create'], undefined>;

function checkedCreate(values: CreateMessage['values'], path: string): WatchCreateRequest {
  checkNotZero(joinPath(path, 'watch_id'), values.watch_id);
  const namespace = checkedNamespace(joinPath(path, 'namespace'), values.namespace);
  checkServicePrefix(joinPath(path, 'service'), values.service);
  checkServicePrefix(joinPath(path, 'service_prefix'), values.service_prefix);
  if (values.service !== '' && values.service_prefix !== '') {
    throw invalidField(joinPath(path, 'service_prefix'), 'is there together with service, allowed is one of them');
  }
  const { progress_interval_ms: progressIntervalMs } = values;
  if (progressIntervalMs > 0 && progressIntervalMs < apiBounds.progressIntervalMsMin) {
    const allowed = `0 (never) or at least ${apiBounds.progressIntervalMsMin}`;
    throw invalidField(joinPath(path, 'progress_interval_ms'), `is ${progressIntervalMs}, allowed is ${allowed}`);
  }
  return {
    watchId: values.watch_id,
    namespace,
    service: values.service,
    servicePrefix: values.service_prefix,
    matcher: checkedFilter(values.filter, joinPath(path, 'filter')),
    resumeRevision: values.resume_revision,
    consistency: consistencyOf(values.consistency),
    once: values.once,
    progressIntervalMs,
  };
}

/** StatusRequest has no fields yet; only its form is checked. */
export function parseStatus(bytes: Uint8Array): void {
  checkRequestBytes(bytes);
  decodeStrictly(statusTable, bytes);
}

/** By the number of the enum, which the decoder has checked. */
function consistencyOf(value: number): Consistency {
  return value === 0 ? 'linearizable' : 'stale';
}
