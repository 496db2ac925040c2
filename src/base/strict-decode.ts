import { InvariantError } from './assert.ts';
import { WireError, WireReader } from './wire-reader.ts';

/**
 * Decodes what this version of Rollcall must have written itself. Anything else, be it one byte left over, halts the
 * member: a record of a newer version that was skipped would let the members' states part.
 */
export function decodeStrictly<T>(what: string, bytes: Uint8Array, read: (reader: WireReader) => T): T {
  try {
    const reader = new WireReader(bytes);
    const value = read(reader);
    if (reader.left > 0) throw new WireError(`${reader.left} bytes left over`, reader.offset);
    return value;
  } catch (thrown) {
    if (thrown instanceof WireError) throw new InvariantError(`${what}: ${thrown.message}`, { cause: thrown });
    throw thrown;
  }
}

/** Reads the format number that each of our records begins with. */
export function expectFormat(reader: WireReader, format: number): void {
  const found = reader.byte();
  if (found !== format) throw new WireError(`format ${found}, this version knows ${format}`, reader.offset - 1);
}

/** Reads a byte that is 0 or 1. */
export function readFlag(reader: WireReader): boolean {
  const value = reader.byte();
  if (value > 1) throw new WireError(`flag of ${value}`, reader.offset - 1);
  return value === 1;
}

/** Reads a number of a closed list, such as a kind, as an index into `names`. */
export function readChoice<T extends string>(reader: WireReader, names: readonly T[], what: string): T {
  const number = reader.byte();
  const name = names[number];
  if (name === undefined) throw new WireError(`unknown ${what} ${number}`, reader.offset - 1);
  return name;
}
