import type { Consistency, Header } from '../api/types.ts';
import { unreachable } from '../base/assert.ts';
import type { WireWriter } from '../base/wire-writer.ts';

/** Writes a rollcall.v1.ResponseHeader as the given field of the message that is being written. */
export function writeHeader(writer: WireWriter, field: number, header: Header): void {
  writer.beginMessage(field);
  writer.uint(1, header.revision).string(2, header.member).uint(3, consistencyNumber(header.consistency));
  writer.uint(4, Math.ceil(header.ageMs));
  writer.endMessage();
}

function consistencyNumber(consistency: Consistency): number {
  switch (consistency) {
    case 'linearizable':
      return 0;
    case 'stale':
      return 1;
    default:
      return unreachable(consistency);
  }
}
