// What is wrong with a message: each mutation keeps most of it, so that it gets as far as its fault.
import type protobuf from 'protobufjs';
import type { Draw } from './draw.ts';
import { generateField, generateMessage } from './generate.ts';
import type { Body, Piece } from './pieces.ts';
import { bytesPiece, encodePieces, varint } from './pieces.ts';

const powers = (exponents: readonly bigint[]): bigint[] =>
  exponents.flatMap((exponent) => [2n ** exponent - 1n, 2n ** exponent, 2n ** exponent + 1n]);
const around = (bounds: readonly number[]): number[] => bounds.flatMap((bound) => [bound - 1, bound, bound + 1]);

/** Where numbers of some type, or of what a field allows, end. */
const edges: readonly bigint[] = [
  ...around([1, 4, 16, 64, 100, 128, 256, 1_000, 65_536, 1_000_000, 86_400_000]).map(BigInt),
  ...powers([31n, 32n, 53n, 63n]),
  2n ** 64n - 1n,
];
/** One below, at and above what the fields allow. */
const lengths: readonly number[] = around([1, 32, 64, 128, 256, 1_024, 8_192, 65_536]);
const counts: readonly number[] = [2, 15, 16, 17, 63, 64, 65, 66, 999, 1_000, 1_001, 5_000];
const repeatedBytesMax = 200_000;
const badUtf8: readonly (readonly number[])[] = [
  [0xff],
  [0xc0, 0x80],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xe2, 0x82],
  [0x80],
  [0xf8, 0x88, 0x80, 0x80, 0x80],
];
const oddTexts: readonly string[] = [
  '\0',
  'a\0b',
  ' ',
  'a b',
  '\r\n',
  '\u001b[31m',
  '\u202e',
  '\ufeff',
  '\u{1f600}',
  '\u{10ffff}',
  'é',
  ...'" / a/b ../../x .. . - -a a- A %00 % {{}} <b> a..b'.split(' '),
  ...'__proto__ constructor toString hasOwnProperty null undefined NaN 1e999 -0'.split(' '),
  ...'256.1.1.1 1.2.3 0x7f.1 :: ::: [::1] fe80::1%eth0 ::ffff:1.2.3.4'.split(' '),
  `${'a'.repeat(64)}.b`,
  ...'>= || ^ 1.x.x 999999999999999999999.0.0 1.2.3- 1.2.3+'.split(' '),
  '>1 <2 =3',
  '* || '.repeat(50),
  '-'.repeat(256),
];

interface Mutation {
  readonly weight: number;
  readonly run: (piece: Piece, draw: Draw, type: protobuf.Type) => Piece[];
}

const mutations: readonly Mutation[] = [
  { weight: 6, run: (piece, draw) => [{ ...piece, wire: 0, body: varintBody(draw.pick(edges)) }] },
  { weight: 2, run: (piece, draw) => [withVarint(piece, draw)] },
  { weight: 3, run: (piece, draw) => [piece, ...unknownPieces(draw)] },
  { weight: 4, run: (piece, draw) => [otherWire(piece, draw)] },
  { weight: 5, run: (piece) => [piece, piece] },
  { weight: 3, run: (piece, draw, type) => [piece, ...anotherField(type, draw)] },
  { weight: 4, run: (piece, draw) => [bytesPiece(piece.number, Buffer.from(draw.pick(badUtf8)))] },
  { weight: 6, run: (piece, draw) => [bytesPiece(piece.number, draw.pick(oddTexts))] },
  { weight: 5, run: (piece, draw) => [bytesPiece(piece.number, letters(draw))] },
  { weight: 3, run: repeated },
  { weight: 1, run: nested },
  { weight: 4, run: () => [] },
  { weight: 3, run: (piece, draw) => [{ ...piece, body: withLengthError(piece.body, draw) }] },
  {
    weight: 2,
    run: (piece, draw) => [{ ...piece, number: draw.pick([0, 1, 2, 3, 15, 16, 2_047, 2_048, 2 ** 29 - 1]) }],
  },
  { weight: 2, run: (piece, draw) => [bytesPiece(piece.number, draw.bytes(draw.below(60)))] },
  { weight: 2, run: (piece) => [{ number: piece.number, wire: 2, body: { kind: 'raw', bytes: new Uint8Array(0) } }] },
];

/** The message with one to three faults in it, at any depth. */
export function mutateMessage(type: protobuf.Type, pieces: readonly Piece[], draw: Draw): Piece[] {
  let mutated = [...pieces];
  for (let faults = draw.pick([1, 1, 1, 2, 3]); faults > 0; faults--) mutated = mutateOnce(type, mutated, draw);
  return mutated;
}

function mutateOnce(type: protobuf.Type, pieces: readonly Piece[], draw: Draw): Piece[] {
  if (pieces.length === 0) return draw.onceIn(2) ? unknownPieces(draw) : generateMessage(type, draw);
  if (draw.onceIn(30)) return pieces.toReversed();
  const at = draw.below(pieces.length);
  const piece = pieces[at];
  if (piece === undefined) return [...pieces];
  const inner = type.fieldsById[piece.number]?.resolvedType;
  const goesIn = piece.body.kind === 'message' && !draw.onceIn(4);
  const changed =
    goesIn && inner !== null && inner !== undefined && 'fieldsArray' in inner
      ? [insideOf(piece, inner, draw)]
      : draw.weighted(mutations).run(piece, draw, type);
  return [...pieces.slice(0, at), ...changed, ...pieces.slice(at + 1)];
}

function insideOf(piece: Piece, type: protobuf.Type, draw: Draw): Piece {
  const { body } = piece;
  if (body.kind !== 'message') return piece;
  return { ...piece, body: { ...body, pieces: mutateOnce(type, body.pieces, draw) } };
}

function varintBody(value: bigint): Body {
  return { kind: 'varint', value, padding: 0 };
}

/** A varint longer than needed, or than one can be. */
function withVarint(piece: Piece, draw: Draw): Piece {
  const value = piece.body.kind === 'varint' ? piece.body.value : draw.pick(edges);
  return { ...piece, wire: 0, body: { kind: 'varint', value, padding: draw.pick([1, 2, 5, 8, 9, 10, 20]) } };
}

function unknownPieces(draw: Draw): Piece[] {
  const number = draw.pick([0, 14, 15, 16, 100, 999, 19_000, 19_999, 2 ** 28, 2 ** 29 - 1, 2 ** 29, 2 ** 31]);
  const wire = draw.below(8);
  const count = draw.pick([1, 1, 1, 2, 50, 3_000]);
  const body = unknownBody(wire, draw);
  return Array.from({ length: count }, () => ({ number, wire, body }));
}

function unknownBody(wire: number, draw: Draw): Body {
  switch (wire) {
    case 0:
      return varintBody(draw.pick(edges));
    case 1:
      return { kind: 'raw', bytes: draw.bytes(draw.pick([8, 8, 7])) };
    case 2:
      return { kind: 'bytes', bytes: draw.bytes(draw.below(100)), lengthError: draw.pick([0, 0, 0, 1, 2 ** 31]) };
    case 5:
      return { kind: 'raw', bytes: draw.bytes(draw.pick([4, 4, 3])) };
    default:
      // Groups, and what no wire type is.
      return { kind: 'raw', bytes: draw.bytes(draw.below(10)) };
  }
}

function otherWire(piece: Piece, draw: Draw): Piece {
  const wire = draw.below(8);
  return { number: piece.number, wire, body: unknownBody(wire, draw) };
}

function letters(draw: Draw): Buffer {
  return Buffer.alloc(draw.pick(lengths), draw.pick(['a', '-', '.', 'Z', 'é']));
}

/** Of a oneof perhaps, of which another field is there already. */
function anotherField(type: protobuf.Type, draw: Draw): Piece[] {
  return type.fieldsArray.length === 0 ? unknownPieces(draw) : generateField(draw.pick(type.fieldsArray), draw);
}

/** At the edge of a count, or far beyond it. */
function repeated(piece: Piece, draw: Draw): Piece[] {
  const bytes = encodePieces([piece]).length;
  const count = Math.max(2, Math.min(draw.pick(counts), Math.floor(repeatedBytesMax / bytes)));
  const numbered = draw.onceIn(2) && piece.body.kind === 'bytes';
  return Array.from({ length: count }, (_, i) => (numbered ? bytesPiece(piece.number, `n-${i}`) : piece));
}

/** The message in itself in itself, as deep as a reader without a bound would follow. */
function nested(piece: Piece, draw: Draw): Piece[] {
  const tag = varint(BigInt(draw.pick([1, piece.number])) * 8n + 2n);
  const parts: Uint8Array[] = [encodePieces([piece]).subarray(0, 100)];
  let size = parts[0]?.length ?? 0;
  for (let depth = draw.pick([2, 10, 100, 1_000, 5_000]); depth > 0; depth--) {
    const length = varint(BigInt(size));
    parts.push(length, tag);
    size += length.length + tag.length;
  }
  return [bytesPiece(piece.number, Buffer.concat(parts.toReversed()))];
}

function withLengthError(body: Body, draw: Draw): Body {
  const lengthError = draw.pick([-1, 1, 2, 127, 2 ** 20, 2 ** 31 - 1, 2 ** 32]);
  return body.kind === 'bytes' || body.kind === 'message' ? { ...body, lengthError } : body;
}

/** Bytes with a few changed, cut off, repeated or followed by more: what no structure tells. */
export function mutateBytes(bytes: Uint8Array, draw: Draw): Buffer {
  let mutated = Buffer.from(bytes);
  for (let changes = draw.below(4); changes > 0 && mutated.length > 0; changes--) {
    const at = draw.below(mutated.length);
    mutated[at] = draw.onceIn(2) ? draw.below(256) : (mutated[at] ?? 0) ^ (1 << draw.below(8));
  }
  switch (draw.below(6)) {
    case 0:
      mutated = mutated.subarray(0, draw.below(mutated.length + 1));
      break;
    case 1:
      mutated = Buffer.concat([mutated, draw.bytes(draw.within(1, 12))]);
      break;
    case 2:
      mutated = Buffer.concat([mutated, mutated]);
      break;
    default:
  }
  return mutated;
}
