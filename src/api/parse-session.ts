import { must } from '../base/assert.ts';
import { invalidField } from '../base/errors.ts';
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
import type { Decoded } from './message-table.ts';
import { sessionTable } from './message-table.ts';
import { checkedName, checkedSpec } from './parse-spec.ts';
import { decodeStrictly } from './strict-decoder.ts';
import type { CheckedOperation, SessionMessage, SessionOpenRequest } from './types.ts';
import { UniqueNames } from './unique-names.ts';

type RequestValues = Decoded<typeof sessionTable>['values'];
type OpenMessage = Exclude<RequestValues['open'], undefined>;
type WriteMessage = Exclude<RequestValues['write'], undefined>;
type OperationMessage = WriteMessage['values']['operations'][number];
type RegisterMessage = Exclude<OperationMessage['values']['register'], undefined>;

/** One message of a session's stream; `open` is to be the first and only the first, which the front end sees to. */
export type SessionCommand = { readonly kind: 'open'; readonly request: SessionOpenRequest } | SessionMessage;

/** Throws RollcallError INVALID_FIELD or MALFORMED_MESSAGE and nothing else, whatever the bytes are. */
export function parseSession(bytes: Uint8Array): SessionCommand {
  checkRequestBytes(bytes);
  const { open, write, ping } = decodeStrictly(sessionTable, bytes).values;
  checkOneOf('request', { open, write, ping });
  if (open !== undefined) return { kind: 'open', request: checkedOpen(open.values) };
  if (write !== undefined) return checkedWrite(write.values);
  return { kind: 'ping', pingId: must(ping, 'one of the kinds').values.ping_id };
}

function checkedOpen(values: OpenMessage['values']): SessionOpenRequest {
  const { session_id: sessionId, ttl_ms: ttlMs, request_id: requestId, attachment } = values;
  if (sessionId === 0) {
    checkTtl('open.ttl_ms', ttlMs);
    if (attachment !== 0) throw invalidField('open.attachment', `is ${attachment}, allowed is 0 without a session_id`);
  } else {
    if (ttlMs !== 0) throw invalidField('open.ttl_ms', `is ${ttlMs}, allowed is 0 with a session_id: it keeps its own`);
    if (requestId !== '') throw invalidField('open.request_id', 'is there with a session_id, allowed is one of them');
    // The stream that opened the session was its first.
    if (attachment < 2)
      throw invalidField('open.attachment', `is ${attachment}, allowed is 2 or more with a session_id`);
  }
  checkRequestId('open.request_id', requestId);
  return { sessionId, ttlMs, requestId, attachment };
}

function checkedWrite(values: WriteMessage['values']): SessionMessage {
  checkNotZero('write.sequence', values.sequence);
  checkNotEmpty('write.operations', values.operations.length, apiBounds.sessionOperationsMax);
  const names = new UniqueNames();
  const operations = values.operations.map((operation, i) => {
    const path = `write.operations[${i}]`;
    const checked = checkedOperation(operation, path);
    names.add(path, checked.kind === 'deregister' ? checked.name : checked.spec.name);
    return checked;
  });
  return { kind: 'write', sequence: values.sequence, operations };
}

function checkedOperation(operation: OperationMessage, path: string): CheckedOperation {
  const { register, update, deregister } = operation.values;
  checkOneOf(`${path}.operation`, { register, update, deregister });
  if (register !== undefined) return checkedRegister(register, `${path}.register`);
  if (update !== undefined) {
    const { instance, incarnation } = update.values;
    return { kind: 'update', spec: checkedSpec(instance, `${path}.update.instance`), incarnation };
  }
  const { key, incarnation, reason } = must(deregister, 'one of the kinds').values;
  if (key === undefined) throw invalidField(`${path}.deregister.key`, 'is missing, it is required');
  const name = checkedName(key.values, `${path}.deregister.key`);
  checkReason(`${path}.deregister.reason`, reason);
  return { kind: 'deregister', name, incarnation, reason };
}

function checkedRegister({ values }: RegisterMessage, path: string): CheckedOperation {
  const { instance, mode, own_incarnation: ownIncarnation } = values;
  const spec = checkedSpec(instance, `${path}.instance`);
  const restore = mode === 1;
  // An explicit start asks for nothing: whoever gives an incarnation wants the condition that it would not have.
  if (!restore && ownIncarnation !== 0) {
    throw invalidField(`${path}.own_incarnation`, `is ${ownIncarnation}, allowed is 0 but with the mode RESTORE`);
  }
  return { kind: 'register', spec, restore, ownIncarnation };
}
