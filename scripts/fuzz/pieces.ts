// Protobuf as a tree that can hold what no writer would write: any tag, numbers too long, lengths that lie.

export type Body =
  /** `padding`: further bytes of a varint that say nothing. */
  | { readonly kind: 'varint'; readonly value: bigint; readonly padding: number }
  /** With its length in front, which is wrong by `lengthError`. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly lengthError: number }
  | { readonly kind: 'message'; readonly pieces: readonly Piece[]; readonly lengthError: number }
  /** As they are. */
  | { readonly kind: 'raw'; readonly bytes: Uint8Array };

/** One occurrence of a field. `wire` is any of the eight that three bits can say. */
export interface Piece {
  readonly number: number;
  readonly wire: number;
  readonly body: Body;
}

export function varintPiece(number: number, value: bigint | number): Piece {
  return { number, wire: 0, body: { kind: 'varint', value: BigInt(value), padding: 0 } };
}

export function bytesPiece(number: number, bytes: Uint8Array | string): Piece {
  const body = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
  return { number, wire: 2, body: { kind: 'bytes', bytes: body, lengthError: 0 } };
}

export function messagePiece(number: number, pieces: readonly Piece[]): Piece {
  return { number, wire: 2, body: { kind: 'message', pieces, lengthError: 0 } };
}

export function encodePieces(pieces: readonly Piece[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const piece of pieces) encodePiece(piece, parts);
  return Buffer.concat(parts);
}

function encodePiece({ number, wire, body }: Piece, parts: Uint8Array[]): void {
  parts.push(varint(BigInt(number) * 8n + BigInt(wire)));
  switch (body.kind) {
    case 'varint':
      parts.push(varint(body.value, body.padding));
      break;
    case 'bytes':
      parts.push(varint(wrongLength(body.bytes.length, body.lengthError)), body.bytes);
      break;
    case 'message': {
      const inner = encodePieces(body.pieces);
      parts.push(varint(wrongLength(inner.length, body.lengthError)), inner);
      break;
    }
    case 'raw':
      parts.push(body.bytes);
      break;
  }
}

function wrongLength(length: number, error: number): bigint {
  return BigInt(Math.max(0, length + error));
}

export function varint(value: bigint, padding: number = 0): Uint8Array {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, value);
  while (left > 0x7fn) {
    bytes.push(Number(left & 0x7fn) | 0x80);
    left >>= 7n;
  }
  bytes.push(Number(left));
  for (let i = 0; i < padding; i++) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 0x80;
    bytes.push(0);
  }
  return Uint8Array.from(bytes);
}
