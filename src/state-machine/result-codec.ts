/*
 * Results as they are kept for repeats and handed from the leader to the member that was called. Positional like the
 * commands: format kind revision, then the fields of the kind in the order below.
 *
 *   batch-registered = leaseId ttlMs count {status incarnation}
 *   session-opened   = sessionId ttlMs attachment lastSequence
 *   session-written  = sequence count {status [reason, where refused] incarnation}
 *
 * An incarnation in a list is written as 0 for none, otherwise as its distance below the revision, plus 1: it is never
 * above, and mostly the revision itself.
 */
import { assert, unreachable } from '../base/assert.ts';
import type { WireReader } from '../base/wire-reader.ts';
import { WireWriter } from '../base/wire-writer.ts';
import { decodeStrictly, expectFormat, readChoice, readFlag } from '../base/strict-decode.ts';
import { stateMachineBounds } from './types.ts';
import type { BatchOutcome, CommandResult, RefusalReason, SessionOutcome } from './types.ts';

const resultFormat = 1;
/** The place in a list is the number on disk: append only. */
const kinds = [
  'registered',
  'updated',
  'deregistered',
  'lease-granted',
  'lease-ended',
  'refused',
  'batch-registered',
  'session-opened',
  'session-written',
] as const satisfies readonly CommandResult['kind'][];
const reasons = [
  'ALREADY_REGISTERED',
  'SUPERSEDED',
  'UNKNOWN_INSTANCE',
  'UNKNOWN_LEASE',
  'REQUEST_ID_REUSED',
  'OVERLOADED',
  'UNKNOWN_SESSION',
  'SESSION_TAKEN',
  'INVALID_FIELD',
] as const satisfies readonly RefusalReason[];
const batchStatuses = ['registered', 'replaced', 'kept'] as const satisfies readonly BatchOutcome['status'][];
const sessionStatuses = [
  'registered',
  'replaced',
  'updated',
  'unchanged',
  'deregistered',
  'absent',
  'refused',
] as const satisfies readonly SessionOutcome['status'][];

// Reset before each use: a broken invariant may have left half a message in it.
const writer = new WireWriter();

/** Throws InvariantError where a number is none that a result can hold. */
export function encodeResult(result: CommandResult): Uint8Array {
  writer.reset();
  writer.byte(resultFormat).byte(kinds.indexOf(result.kind)).varint(result.revision);
  switch (result.kind) {
    case 'registered':
      writer
        .varint(result.incarnation)
        .varint(result.leaseId)
        .varint(result.ttlMs)
        .byte(result.replaced ? 1 : 0);
      break;
    case 'updated':
      writer.byte(result.changed ? 1 : 0);
      break;
    case 'deregistered':
      writer.byte(result.existed ? 1 : 0);
      break;
    case 'lease-granted':
      writer.varint(result.leaseId).varint(result.ttlMs);
      break;
    case 'lease-ended':
      writer
        .byte(result.existed ? 1 : 0)
        .varint(result.instances)
        .varint(result.remaining);
      break;
    case 'refused':
      writer.byte(reasons.indexOf(result.reason)).sizedString(result.message).sizedString(result.field);
      break;
    case 'batch-registered':
      writer.varint(result.leaseId).varint(result.ttlMs).varint(result.items.length);
      for (const { status, incarnation } of result.items) {
        writer.byte(batchStatuses.indexOf(status));
        writeIncarnation(incarnation, result.revision);
      }
      break;
    case 'session-opened':
      writer.varint(result.sessionId).varint(result.ttlMs).varint(result.attachment).varint(result.lastSequence);
      break;
    case 'session-written':
      writer.varint(result.sequence).varint(result.outcomes.length);
      for (const outcome of result.outcomes) writeOutcome(outcome, result.revision);
      break;
    default:
      unreachable(result);
  }
  return writer.finish();
}

function writeOutcome({ status, incarnation, reason }: SessionOutcome, revision: number): void {
  assert((status === 'refused') === (reason !== ''), 'result: a reason for what was not refused');
  writer.byte(sessionStatuses.indexOf(status));
  if (reason !== '') writer.byte(reasons.indexOf(reason));
  writeIncarnation(incarnation, revision);
}

function writeIncarnation(incarnation: number, revision: number): void {
  assert(incarnation <= revision, 'result: incarnation above the revision');
  writer.varint(incarnation === 0 ? 0 : revision - incarnation + 1);
}

/** Throws InvariantError unless the bytes are exactly what this version writes. */
export function decodeResult(bytes: Uint8Array): CommandResult {
  return decodeStrictly('result', bytes, (reader) => {
    expectFormat(reader, resultFormat);
    const kind = readChoice(reader, kinds, 'result kind');
    return readFields(reader, kind, reader.varint());
  });
}

function readFields(reader: WireReader, kind: CommandResult['kind'], revision: number): CommandResult {
  switch (kind) {
    case 'registered':
      return {
        kind,
        revision,
        incarnation: reader.varint(),
        leaseId: reader.varint(),
        ttlMs: reader.varint(),
        replaced: readFlag(reader),
      };
    case 'updated':
      return { kind, revision, changed: readFlag(reader) };
    case 'deregistered':
      return { kind, revision, existed: readFlag(reader) };
    case 'lease-granted':
      return { kind, revision, leaseId: reader.varint(), ttlMs: reader.varint() };
    case 'lease-ended':
      return {
        kind,
        revision,
        existed: readFlag(reader),
        instances: reader.varint(),
        remaining: reader.varint(),
      };
    case 'refused':
      return {
        kind,
        revision,
        reason: readChoice(reader, reasons, 'refusal'),
        message: reader.sizedString(),
        field: reader.sizedString(),
      };
    case 'batch-registered':
      return {
        kind,
        revision,
        leaseId: reader.varint(),
        ttlMs: reader.varint(),
        items: readList(reader, () => ({
          status: readChoice(reader, batchStatuses, 'status'),
          incarnation: readIncarnation(reader, revision),
        })),
      };
    case 'session-opened':
      return {
        kind,
        revision,
        sessionId: reader.varint(),
        ttlMs: reader.varint(),
        attachment: reader.varint(),
        lastSequence: reader.varint(),
      };
    case 'session-written':
      return {
        kind,
        revision,
        sequence: reader.varint(),
        outcomes: readList(reader, () => readOutcome(reader, revision)),
      };
    default:
      return unreachable(kind);
  }
}

function readList<T>(reader: WireReader, read: () => T): T[] {
  const count = reader.varint();
  assert(count <= stateMachineBounds.eventsPerRevisionMax, () => `result: ${count} items`);
  const items: T[] = [];
  for (let i = 0; i < count; i += 1) items.push(read());
  return items;
}

function readOutcome(reader: WireReader, revision: number): SessionOutcome {
  const status = readChoice(reader, sessionStatuses, 'status');
  const reason = status === 'refused' ? readChoice(reader, reasons, 'refusal') : '';
  return { status, incarnation: readIncarnation(reader, revision), reason };
}

function readIncarnation(reader: WireReader, revision: number): number {
  const distance = reader.varint();
  assert(distance <= revision, 'result: incarnation below 1');
  return distance === 0 ? 0 : revision - distance + 1;
}
