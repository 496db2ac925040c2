// Requests as clients build them, to be changed in one place by a test.
import type { SessionCommand } from '../../src/api/parse-session.ts';
import { parseSession } from '../../src/api/parse-session.ts';
import { parseDiscover, parseWatch } from '../../src/api/parse-reads.ts';
import { parseBatchRegister } from '../../src/api/parse-writes.ts';
import type { BatchRegisterRequest } from '../../src/api/types.ts';
import type { ViewMatcher } from '../../src/filter/types.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { plainSpec } from './requests.ts';

const { v1 } = rollcall;
type Filter = rollcall.v1.InstanceFilter.$Properties;

export function texts(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `t${i}`);
}

export function discoverWith(filter: Filter): ViewMatcher {
  return parseDiscover(v1.DiscoverRequest.encode({ service: 'cart', filter }).finish()).matcher;
}

export function watchWith(create: rollcall.v1.WatchCreate.$Properties): ReturnType<typeof parseWatch> {
  return parseWatch(v1.WatchRequest.encode({ create: { watchId: 1, ...create } }).finish());
}

export function items(count: number): rollcall.v1.BatchRegisterItem.$Properties[] {
  return Array.from({ length: count }, (_, i) => ({ instance: { ...plainSpec, id: `i${i}` } }));
}

export function batch(rest: rollcall.v1.BatchRegisterRequest.$Properties): BatchRegisterRequest {
  return parseBatchRegister(v1.BatchRegisterRequest.encode({ items: items(1), ...rest }).finish());
}

export function batchBytes(rest: rollcall.v1.BatchRegisterRequest.$Properties): Uint8Array {
  return v1.BatchRegisterRequest.encode({ items: items(1), persistent: true, ...rest }).finish();
}

export function session(request: rollcall.v1.SessionRequest.$Properties): SessionCommand {
  return parseSession(v1.SessionRequest.encode(request).finish());
}

export function operations(count: number): rollcall.v1.SessionOperation.$Properties[] {
  return Array.from({ length: count }, (_, i) => ({ register: { instance: { ...plainSpec, id: `i${i}` } } }));
}

export function write(rest: rollcall.v1.SessionWrite.$Properties): SessionCommand {
  return session({ write: { sequence: 1, operations: operations(1), ...rest } });
}
