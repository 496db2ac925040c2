// Messages that a member may well accept, made from the proto files and a sense of what each field is for.
import type protobuf from 'protobufjs';
import type { Draw } from './draw.ts';
import type { Piece } from './pieces.ts';
import { bytesPiece, encodePieces, messagePiece, varintPiece } from './pieces.ts';

const depthMax = 8;

/** A message of the type: required fields are there, others now and then, of each oneof one. */
export function generateMessage(type: protobuf.Type, draw: Draw, depth: number = 0, turn?: number): Piece[] {
  if (depth > depthMax) return [];
  const pieces: Piece[] = [];
  const chosen = new Map(type.oneofsArray.map((oneof) => [oneof, draw.pick(oneof.fieldsArray)]));
  for (const field of type.fieldsArray) {
    const { partOf } = field;
    // `optional` makes a oneof of one field.
    const single = partOf !== null && partOf.fieldsArray.length === 1;
    if (partOf !== null && !single && chosen.get(partOf) !== field) continue;
    if ((partOf === null || single) && !required.has(field.name) && !draw.onceIn(rare.has(field.name) ? 12 : 3)) {
      continue;
    }
    pieces.push(...generateField(field, draw, depth, turn));
  }
  return pieces;
}

/** All occurrences of one field. `turn`: which of the elements of a list it is in; names there are to differ. */
export function generateField(field: protobuf.Field, draw: Draw, depth: number = 0, turn?: number): Piece[] {
  if (field.map) {
    return distinct(draw.within(1, 4), () => draw.pick(texts.key ?? [])).map((key) =>
      messagePiece(field.id, [bytesPiece(1, key), bytesPiece(2, textOf('value', draw))]),
    );
  }
  if (!field.repeated) return [generateValue(field, draw, depth, turn)];
  const count = field.name === 'items' || field.name === 'operations' ? draw.within(1, 6) : draw.within(1, 3);
  const first = draw.below(40);
  return Array.from({ length: count }, (_, i) => generateValue(field, draw, depth, first + i));
}

function generateValue(field: protobuf.Field, draw: Draw, depth: number, turn: number | undefined): Piece {
  const { id, name, resolvedType } = field;
  if (resolvedType !== null) {
    if ('values' in resolvedType) return varintPiece(id, draw.pick(Object.values(resolvedType.values)));
    return messagePiece(id, generateMessage(resolvedType, draw, depth + 1, turn));
  }
  if (field.type === 'string') return bytesPiece(id, textOf(name, draw, turn));
  if (field.type === 'bytes') return bytesPiece(id, draw.bytes(draw.below(40)));
  if (field.type === 'bool') return varintPiece(id, 1);
  return varintPiece(id, numberOf(name, draw));
}

/** Without these a request is refused before it comes to anything. */
const required: ReadonlySet<string> = words(
  'instance key service id endpoints name protocol address port items operations ttl_ms lease_id lease_ids watch_id ' +
    'sequence state identity operator values',
);
/** With these most requests wait, or are refused. */
const rare: ReadonlySet<string> = words(
  'min_revision page_token if_incarnation if_absent filter resume_revision own_incarnation session_id request_id ' +
    'service_prefix progress_interval_ms keep_equal',
);

function words(list: string): ReadonlySet<string> {
  return new Set(list.split(' '));
}

/** No two in one list may have the same. */
const ownNames: ReadonlySet<string> = words('id name tags');

const texts: Readonly<Record<string, readonly string[]>> = {
  namespace: ['', 'default', 'fuzz', 'fuzz.two'],
  service: Array.from({ length: 12 }, (_, i) => `svc-${i}`),
  id: Array.from({ length: 40 }, (_, i) => `i-${i}`),
  name: ['main', 'admin', 'metrics', 'debug'],
  protocol: ['grpc', 'http', 'h2c+tls'],
  address: ['10.0.0.1', '127.0.0.1', '2001:db8::1', 'host-1.example.org', 'localhost'],
  version: ['1.2.3', '2.0.0-rc.1', 'build 77', 'v1'],
  version_range: ['>=1.4.0 <2.0.0', '^1.2', '~1.2.3 || 2.x', '*', '1.2.3 - 2.3.4', '>=1 <'],
  tags: ['blue', 'green', 'canary', 'x'.repeat(128)],
  zones: ['z1', 'z2'],
  zone: ['z1', 'z2'],
  regions: ['north', 'south'],
  region: ['north', 'south'],
  key: ['team', 'tier', 'commit', 'k8s.io/name', '__proto__'],
  value: ['a', 'b', 'core', '7c1f', ''],
  values: ['a', 'b', 'core'],
  prefix: ['', 'svc', 'svc-1'],
  service_prefix: ['svc', 'svc-1'],
  page_token: ['AAAA', 'bm9uZQ', 'x'],
  reason: ['deploy', 'gone', ''],
  request_id: Array.from({ length: 200 }, (_, i) => `r-${i}`),
  list_services: ['', '*'],
  file_containing_symbol: ['rollcall.v1.Registry', 'rollcall.v1.InstanceSpec', 'none.Such'],
  file_by_filename: ['rollcall/v1/registry.proto', 'none.proto'],
  host: ['localhost'],
};
/** Ids and names come from short lists, so that the state stays small and requests meet each other. */
function textOf(name: string, draw: Draw, turn?: number): string {
  const known = texts[name];
  if (known !== undefined && turn !== undefined && ownNames.has(name)) return known[turn % known.length] ?? '';
  return known === undefined ? `t-${draw.below(50)}` : draw.pick(known);
}

function numberOf(name: string, draw: Draw): number {
  switch (name) {
    case 'port':
      return draw.within(1, 65_535);
    case 'weight':
      return draw.pick([0, 1, 100, 1_000_000]);
    case 'ttl_ms':
      // Short, so that what a run leaves behind is gone soon after.
      return draw.onceIn(50) ? draw.within(5_000, 15_000) : draw.within(1_000, 4_000);
    case 'progress_interval_ms':
      return draw.within(100, 2_000);
    case 'page_size':
      return draw.pick([0, 1, 2, 100, 1_000]);
    case 'watch_id':
      return draw.within(1, 6);
    case 'sequence':
      return draw.within(1, 3);
    case 'min_revision':
    case 'resume_revision':
    case 'revision':
      return draw.below(20_000);
    case 'lease_id':
    case 'lease_ids':
    case 'session_id':
      return draw.within(1, draw.pick([20, 2_000, 200_000]));
    default:
      return draw.below(1_000_000);
  }
}

function distinct(count: number, draw: () => string): string[] {
  return [...new Set(Array.from({ length: count }, draw))];
}

/** The bytes of one acceptable message. */
export function validBytes(type: protobuf.Type, draw: Draw): Buffer {
  return encodePieces(generateMessage(type, draw));
}
