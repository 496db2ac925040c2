import { unreachable } from '../base/assert.ts';
import type { Timer } from '../base/clock.ts';
import { WireWriter } from '../base/wire-writer.ts';
import { rollcall } from '../gen/rollcall.js';
import { ClientError } from './client-error.ts';
import { toSpec } from './convert.ts';
import { checkInstanceId, checkName } from './input-checks.ts';
import { clientLimits } from './limits.ts';
import type { Header, InstanceInput, InstanceKey } from './types.ts';

const statuses = rollcall.v1.SessionResultStatus;
const restoreMode = rollcall.v1.SessionRegisterMode.SESSION_REGISTER_MODE_RESTORE;
const reasonBytesMax = 256;

export type OperationKind = 'register' | 'update' | 'deregister' | 'restore' | 'verify';

/** How an operation ended: the member's answer, or why there is none. */
export type Outcome = { readonly result: OperationResult; readonly header: Header } | ClientError;

export interface OperationResult {
  readonly status: 'registered' | 'replaced' | 'updated' | 'unchanged' | 'deregistered' | 'absent' | 'refused';
  readonly incarnation: number;
  readonly errorReason: string;
  readonly errorMessage: string;
}

/**
 * One operation from its call to its answer. `restore` and `verify` are the session's own: to have an instance back,
 * and to learn whether one is still there, by an update with the content that it has.
 */
export interface Operation {
  readonly kind: OperationKind;
  readonly key: string;
  readonly name: Required<InstanceKey>;
  /** The encoded InstanceSpec; empty for `deregister`. */
  readonly spec: Uint8Array;
  /** The encoded SessionOperation. */
  bytes: Uint8Array;
  /** `restore` and `verify`: the incarnation that is meant; 0 otherwise. */
  readonly incarnation: number;
  /** Called once by `settle`; undefined for the session's own. */
  readonly onOutcome: ((outcome: Outcome) => void) | undefined;
  /** Ends the waiting of the caller. */
  timer: Timer | undefined;
  settled: boolean;
  /** A member may have it: nobody knows until there is an answer. */
  sent: boolean;
  /** It was sent in an earlier session, which ended before there was an answer. */
  repeated: boolean;
}

/** The session's own: nobody waits for it, and a new session makes its own. */
export function isInternal({ kind }: Operation): boolean {
  return kind === 'restore' || kind === 'verify';
}

/** A key that no other instance has: none of its parts holds a slash. */
export function keyOf({ namespace, service, id }: Required<InstanceKey>): string {
  return `${namespace}/${service}/${id}`;
}

/** With the namespace that it means. @throws ClientError INVALID_FIELD */
export function checkedName({ namespace = '', service, id }: InstanceKey): Required<InstanceKey> {
  checkName('namespace', namespace);
  if (service === '') throw ClientError.invalidField('service', 'is empty');
  checkName('service', service);
  checkInstanceId('id', id);
  return { namespace: namespace === '' ? 'default' : namespace, service, id };
}

/** @throws ClientError INVALID_FIELD for one that is too large to be sent. */
export function encodedSpec(instance: InstanceInput): Uint8Array {
  const bytes = rollcall.v1.InstanceSpec.encode(toSpec(instance)).finish();
  const max = clientLimits.specBytesMax;
  if (bytes.length > max) {
    throw ClientError.invalidField('instance', `has ${bytes.length} bytes, allowed are at most ${max}`);
  }
  // A copy: what the encoder hands out may be a slice of something larger, and this is kept.
  return Uint8Array.from(bytes);
}

export function checkReason(reason: string): void {
  if (/\p{Surrogate}/u.test(reason)) throw ClientError.invalidField('reason', 'is no Unicode text');
  const bytes = Buffer.byteLength(reason, 'utf8');
  if (bytes <= reasonBytesMax) return;
  throw ClientError.invalidField('reason', `has ${bytes} bytes, allowed are at most ${reasonBytesMax}`);
}

/** What an operation is made of. */
export interface OperationParts {
  readonly kind: OperationKind;
  readonly name: Required<InstanceKey>;
  readonly spec?: Uint8Array;
  /** `restore`: the own last one, 0 for none. `verify`: the one that should be there. */
  readonly incarnation?: number;
  readonly reason?: string;
  readonly onOutcome?: ((outcome: Outcome) => void) | undefined;
}

const nothing = new Uint8Array(0);

export function operationOf(parts: OperationParts): Operation {
  const { kind, name, spec = nothing, incarnation = 0, onOutcome } = parts;
  const bytes = encodedOperation(parts, spec);
  const start = { timer: undefined, settled: false, sent: false, repeated: false };
  return { kind, key: keyOf(name), name, spec, bytes, incarnation, onOutcome, ...start };
}

/**
 * Makes it ready for a new session, where it was sent and nobody knows whether it was applied. An explicit start then
 * only takes what is free: it may have had the id already, and have lost it.
 */
export function prepareRepeat(operation: Operation, ownIncarnation: number): void {
  const { kind, name, spec } = operation;
  operation.repeated = true;
  if (kind !== 'register') return;
  operation.bytes = encodedOperation({ kind: 'restore', name, incarnation: ownIncarnation }, spec);
}

/** Empty between two uses: an operation or a write is encoded in one go. */
const writer = new WireWriter();

function encodedOperation({ kind, name, incarnation = 0, reason = '' }: OperationParts, spec: Uint8Array): Uint8Array {
  switch (kind) {
    case 'register':
      return writer.beginMessage(1).bytesPresent(1, spec).endMessage().finish();
    case 'restore':
      writer.beginMessage(1).bytesPresent(1, spec).uint(2, restoreMode).uint(3, incarnation);
      return writer.endMessage().finish();
    case 'update':
    case 'verify':
      return writer.beginMessage(2).bytesPresent(1, spec).uint(2, incarnation).endMessage().finish();
    case 'deregister': {
      const { namespace, service, id } = name;
      writer.beginMessage(3).beginMessage(1).string(1, namespace).string(2, service).string(3, id).endMessage();
      return writer.uint(2, incarnation).string(3, reason).endMessage().finish();
    }
    default:
      return unreachable(kind);
  }
}

/** The encoded SessionRequest of one write. */
export function encodedWrite(sequence: number, operations: readonly Operation[]): Uint8Array {
  writer.beginMessage(2).uint(1, sequence);
  for (const { bytes } of operations) writer.bytesPresent(2, bytes);
  return writer.endMessage().finish();
}

const statusOfNumber: ReadonlyMap<number, OperationResult['status']> = new Map([
  [statuses.SESSION_RESULT_STATUS_REGISTERED, 'registered'],
  [statuses.SESSION_RESULT_STATUS_REPLACED, 'replaced'],
  [statuses.SESSION_RESULT_STATUS_UPDATED, 'updated'],
  [statuses.SESSION_RESULT_STATUS_UNCHANGED, 'unchanged'],
  [statuses.SESSION_RESULT_STATUS_DEREGISTERED, 'deregistered'],
  [statuses.SESSION_RESULT_STATUS_ABSENT, 'absent'],
  [statuses.SESSION_RESULT_STATUS_REFUSED, 'refused'],
]);

const registering = new Set(['registered', 'replaced', 'unchanged', 'refused']);
const updating = new Set(['updated', 'unchanged', 'refused']);
const deregistering = new Set(['deregistered', 'absent', 'refused']);
/** What an operation may be answered with. */
const possible = {
  register: registering,
  restore: registering,
  update: updating,
  verify: updating,
  deregister: deregistering,
} as const satisfies Record<OperationKind, ReadonlySet<string>>;

/** Undefined for what is no answer to the operation. */
export function resultOf(
  { kind }: Operation,
  message: rollcall.v1.SessionResult.$Properties,
): OperationResult | undefined {
  const status = statusOfNumber.get(message.status ?? 0);
  if (status === undefined || !possible[kind].has(status)) return undefined;
  const { incarnation, errorReason, errorMessage } = message;
  return { status, incarnation: incarnation ?? 0, errorReason: errorReason ?? '', errorMessage: errorMessage ?? '' };
}

/** Tells the caller, once. */
export function settle(operation: Operation, outcome: Outcome): void {
  if (operation.settled) return;
  operation.settled = true;
  operation.timer?.cancel();
  operation.onOutcome?.(outcome);
}
