/*
 * Results as they are kept for repeats and handed from the leader to the member that was called. Positional like the
 * commands: format kind, then the fields of the kind in the order below.
 */
import { unreachable } from '../base/assert.ts';
import type { WireReader } from '../base/wire-reader.ts';
import { WireWriter } from '../base/wire-writer.ts';
import { decodeStrictly, expectFormat, readChoice, readFlag } from './strict-decode.ts';
import type { CommandResult, RefusalReason } from './types.ts';

const resultFormat = 1;
/** The place in a list is the number on disk: append only. */
const kinds = [
  'registered',
  'updated',
  'deregistered',
  'lease-granted',
  'lease-ended',
  'refused',
] as const satisfies readonly CommandResult['kind'][];
const reasons = [
  'ALREADY_REGISTERED',
  'SUPERSEDED',
  'UNKNOWN_INSTANCE',
  'UNKNOWN_LEASE',
  'REQUEST_ID_REUSED',
  'OVERLOADED',
] as const satisfies readonly RefusalReason[];

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
    default:
      unreachable(result);
  }
  return writer.finish();
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
    default:
      return unreachable(kind);
  }
}
