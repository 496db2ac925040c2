import { type Reason, reasonCodes, RollcallError } from '../base/errors.ts';
import { WireError, WireReader } from '../base/wire-reader.ts';
import { WireWriter } from '../base/wire-writer.ts';
import type { RenewResult } from './types.ts';

export interface ForwardedCommand {
  /** Encoded. */
  readonly command: Uint8Array;
  /** How long its caller still waits, ms, above 0; Infinity where that is not known. Rounded down on its way. */
  readonly remainingMs: number;
}

/** What one member's serving side asks another's. */
export type ForwardRequest =
  /** Encoded commands, to be proposed by the leader in this order. */
  | { readonly kind: 'execute'; readonly commands: readonly ForwardedCommand[] }
  | { readonly kind: 'renew'; readonly leaseIds: readonly number[] }
  /** The asked member's state hash at this applied index. */
  | { readonly kind: 'hash-query'; readonly index: number }
  /** Hashes that the members reported at one index; each judges for itself. Not answered. */
  | { readonly kind: 'hash-verdict'; readonly index: number; readonly hashes: ReadonlyMap<string, string> }
  /** An operator's, for the leader: see order-codec.ts. */
  | { readonly kind: 'order'; readonly order: Uint8Array };

export type ExecuteOutcome =
  | { readonly ok: true; readonly result: Uint8Array }
  | { readonly ok: false; readonly error: RollcallError };

export type ForwardAnswer =
  | { readonly kind: 'executed'; readonly outcomes: readonly ExecuteOutcome[] }
  | { readonly kind: 'renewed'; readonly results: readonly RenewResult[] }
  /** '' where the member has not applied the index, or no longer remembers. */
  | { readonly kind: 'hash'; readonly hash: string }
  | { readonly kind: 'ordered'; readonly outcome: ExecuteOutcome };

const writer = new WireWriter();
const renewStatuses = ['renewed', 'unknown', 'unavailable'] as const;

/** One field per kind: the field number is the kind, its body the content. */
export function encodeRequest(request: ForwardRequest): Uint8Array {
  switch (request.kind) {
    case 'execute':
      writer.beginMessage(1);
      for (const { command, remainingMs } of request.commands) {
        writer.bytesPresent(1, command);
        if (remainingMs !== Number.POSITIVE_INFINITY) writer.uintPresent(2, Math.max(0, Math.floor(remainingMs)));
      }
      break;
    case 'renew':
      writer.beginMessage(2);
      for (const leaseId of request.leaseIds) writer.uintPresent(1, leaseId);
      break;
    case 'hash-query':
      writer.beginMessage(3).uint(1, request.index);
      break;
    case 'hash-verdict':
      writer.beginMessage(4).uint(1, request.index);
      for (const [member, hash] of request.hashes) {
        writer.beginMessage(2).string(1, member).string(2, hash).endMessage();
      }
      break;
    case 'order':
      writer.beginMessage(5).bytesPresent(1, request.order);
      break;
  }
  return writer.endMessage().finish();
}

/** Throws WireError for anything that `encodeRequest` does not write. */
export function decodeRequest(bytes: Uint8Array): ForwardRequest {
  const { field, body } = onlyField(bytes);
  switch (field) {
    case 1: {
      return { kind: 'execute', commands: decodeCommands(body) };
    }
    case 2: {
      const leaseIds: number[] = [];
      while (body.next()) leaseIds.push(expectField(body, 1).uint());
      return { kind: 'renew', leaseIds };
    }
    case 3:
      return { kind: 'hash-query', index: numbers(body, 1)[0] ?? 0 };
    case 4:
      return decodeVerdict(body);
    case 5: {
      let order: Uint8Array = new Uint8Array(0);
      while (body.next()) order = expectField(body, 1).bytes();
      return { kind: 'order', order };
    }
    default:
      throw new WireError(`unknown kind ${field} of a forwarded call`, 0);
  }
}

export function encodeAnswer(answer: ForwardAnswer): Uint8Array {
  switch (answer.kind) {
    case 'executed':
      writer.beginMessage(1);
      for (const outcome of answer.outcomes) encodeOutcome(outcome);
      break;
    case 'renewed':
      writer.beginMessage(2);
      for (const result of answer.results) {
        writer.beginMessage(1).uint(1, result.leaseId).uint(2, renewStatuses.indexOf(result.status));
        writer.uint(3, result.ttlMs).endMessage();
      }
      break;
    case 'hash':
      writer.beginMessage(3).string(1, answer.hash);
      break;
    case 'ordered':
      writer.beginMessage(4);
      encodeOutcome(answer.outcome);
      break;
  }
  return writer.endMessage().finish();
}

/** Throws WireError for anything that `encodeAnswer` does not write. */
export function decodeAnswer(bytes: Uint8Array): ForwardAnswer {
  const { field, body } = onlyField(bytes);
  switch (field) {
    case 1: {
      const outcomes: ExecuteOutcome[] = [];
      while (body.next()) outcomes.push(decodeOutcome(expectField(body, 1).message()));
      return { kind: 'executed', outcomes };
    }
    case 2: {
      const results: RenewResult[] = [];
      while (body.next()) {
        const [leaseId = 0, status = 0, ttlMs = 0] = numbers(expectField(body, 1).message(), 3);
        const named = renewStatuses[status];
        if (named === undefined) throw new WireError(`unknown renewal status ${status}`, body.offset);
        results.push({ leaseId, status: named, ttlMs });
      }
      return { kind: 'renewed', results };
    }
    case 3: {
      let hash = '';
      while (body.next()) hash = expectField(body, 1).string();
      return { kind: 'hash', hash };
    }
    case 4: {
      let outcome: ExecuteOutcome | undefined;
      while (body.next()) outcome = decodeOutcome(expectField(body, 1).message());
      if (outcome === undefined) throw new WireError('an order without an outcome', body.offset);
      return { kind: 'ordered', outcome };
    }
    default:
      throw new WireError(`unknown kind ${field} of a forwarded answer`, 0);
  }
}

/** A number stands behind the command that it belongs to. */
function decodeCommands(body: WireReader): ForwardedCommand[] {
  const commands: ForwardedCommand[] = [];
  while (body.next()) {
    if (body.field === 1) {
      commands.push({ command: body.bytes(), remainingMs: Number.POSITIVE_INFINITY });
      continue;
    }
    const remainingMs = expectField(body, 2).uint();
    const last = commands.pop();
    if (last === undefined) throw new WireError('a deadline without a command', body.offset);
    commands.push({ command: last.command, remainingMs });
  }
  return commands;
}

function encodeOutcome(outcome: ExecuteOutcome): void {
  writer.beginMessage(1);
  if (outcome.ok) writer.bytesPresent(1, outcome.result);
  else {
    writer
      .string(2, outcome.error.reason)
      .string(3, outcome.error.message)
      .uint(4, outcome.error.retryAfterMs ?? 0);
    for (const [name, value] of Object.entries(outcome.error.facts)) {
      writer.beginMessage(5).string(1, name).string(2, value).endMessage();
    }
  }
  writer.endMessage();
}

function decodeOutcome(body: WireReader): ExecuteOutcome {
  let result: Uint8Array | undefined;
  let reason = '';
  let message = '';
  let retryAfterMs = 0;
  const facts: Record<string, string> = {};
  while (body.next()) {
    if (body.field === 1) result = body.bytes();
    else if (body.field === 2) reason = body.string();
    else if (body.field === 3) message = body.string();
    else if (body.field === 4) retryAfterMs = body.uint();
    else {
      const [name, value] = decodeFact(expectField(body, 5).message());
      facts[name] = value;
    }
  }
  if (result !== undefined) return { ok: true, result };
  if (!isReason(reason)) throw new WireError(`unknown reason ${reason} of a forwarded answer`, body.offset);
  const error = new RollcallError(reason, message, retryAfterMs === 0 ? { facts } : { facts, retryAfterMs });
  return { ok: false, error };
}

function decodeFact(pair: WireReader): readonly [name: string, value: string] {
  let name = '';
  let value = '';
  while (pair.next()) {
    if (pair.field === 1) name = pair.string();
    else value = expectField(pair, 2).string();
  }
  // As an own property of an object this name alone would be something else.
  if (name === '__proto__') throw new WireError('a fact that cannot be', pair.offset);
  return [name, value];
}

function decodeVerdict(body: WireReader): ForwardRequest {
  let index = 0;
  const hashes = new Map<string, string>();
  while (body.next()) {
    if (body.field === 1) {
      index = body.uint();
      continue;
    }
    const pair = expectField(body, 2).message();
    let member = '';
    let hash = '';
    while (pair.next()) {
      if (pair.field === 1) member = pair.string();
      else hash = expectField(pair, 2).string();
    }
    hashes.set(member, hash);
  }
  return { kind: 'hash-verdict', index, hashes };
}

function isReason(text: string): text is Reason {
  return Object.hasOwn(reasonCodes, text);
}

/** Values of the fields 1 to `count`, 0 where absent. */
function numbers(body: WireReader, count: number): number[] {
  const values = new Array<number>(count).fill(0);
  while (body.next()) {
    if (body.field > count) throw new WireError(`unknown field ${body.field}`, body.offset);
    values[body.field - 1] = body.uint();
  }
  return values;
}

function expectField(body: WireReader, field: number): WireReader {
  if (body.field !== field) throw new WireError(`unknown field ${body.field}`, body.offset);
  return body;
}

function onlyField(bytes: Uint8Array): { field: number; body: WireReader } {
  const reader = new WireReader(bytes);
  if (!reader.next()) throw new WireError('empty forwarded body', 0);
  const field = reader.field;
  const body = reader.message();
  if (reader.next()) throw new WireError('second body in a forwarded call', reader.offset);
  return { field, body };
}
