import { ClientError } from '../../../src/client/client-error.ts';
import type { Header, Instance } from '../../../src/client/types.ts';
import type { Outcome, SeenInstance } from '../types.ts';

export type Ok = Extract<Outcome, { kind: 'ok' }>;

/** Answers that what is registered gives: as good as any other. */
const verdicts: ReadonlySet<string> = new Set([
  'UNKNOWN_INSTANCE',
  'UNKNOWN_LEASE',
  'ALREADY_REGISTERED',
  'SUPERSEDED',
]);

/** Those that a client which keeps to the interface must never get: a fault of ours. */
const faults: ReadonlySet<string> = new Set([
  'INVALID_FIELD',
  'MALFORMED_MESSAGE',
  'REQUEST_ID_REUSED',
  'HISTORY_CHANGED',
  'UNKNOWN_METHOD',
  'INTERNAL',
  'BAD_ANSWER',
  'UNRECOGNISED',
]);

/** How a call that was rejected ended. A read that failed told nothing. Throws what no client should see. */
export function rejected(thrown: unknown, isWrite: boolean): Outcome {
  if (!(thrown instanceof ClientError)) throw thrown;
  const { reason, mayHaveApplied } = thrown;
  if (faults.has(reason)) throw thrown;
  if (isWrite && mayHaveApplied) return { kind: 'unknown', reason };
  return { kind: verdicts.has(reason) ? 'refused' : 'failed', reason };
}

export function answered({ revision, member, ageMs }: Header): Ok {
  return { kind: 'ok', revision, member, ageMs };
}

export function seen(instance: Instance): SeenInstance {
  const { namespace, service, id, metadata, incarnation, modifyRevision, leaseId } = instance;
  const value = Number(metadata['v']);
  return { key: `${namespace}/${service}/${id}`, value, incarnation, modifyRevision, leaseId };
}
