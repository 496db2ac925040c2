import { assert, unreachable } from '../base/assert.ts';
import { invalidField, RollcallError } from '../base/errors.ts';
import { WireError, WireReader } from '../base/wire-reader.ts';
import type { WireType } from '../base/wire-writer.ts';
import type { Decoded, FieldShape, MessageTable } from './message-table.ts';

const wireNames: Readonly<Record<WireType, string>> = {
  0: 'a varint',
  1: '8 bytes',
  2: 'bytes with a length',
  5: '4 bytes',
};
const varintWire = 0;
const bytesWire = 2;

interface Slot {
  readonly name: string;
  readonly shape: FieldShape;
  /** Of the fields that may be there once; 0: any number of times. */
  readonly onceBit: number;
}

/** A table made ready for reading. */
interface Plan {
  /** By number of the field. */
  readonly slots: readonly (Slot | undefined)[];
  /** What a message without fields holds; lists and maps are made anew for each message. */
  readonly empty: Values;
  readonly lists: readonly string[];
  readonly maps: readonly string[];
}

type Values = Record<string, unknown>;

/**
 * Where a message stands in the request. The path is put together only where something is refused: of a thousand
 * instances in order nobody wants to know it.
 */
interface Place {
  readonly outer: Place | undefined;
  /** The field of `outer`; without one the path that the caller gave. */
  readonly name: string;
  /** -1: no element of a list. */
  readonly index: number;
}

/** Made once a table, as the tables are constants. */
const planOfTable = new WeakMap<MessageTable, Plan>();

/**
 * Decodes one message strictly. What protobuf tolerates and would let two readers of the same bytes see different
 * things is refused: a singular field twice, a map key twice, text that is not UTF-8, varints longer than needed,
 * numbers beyond their type (64-bit ones beyond 2^53 - 1), enum values without a name, a field in another wire type.
 * Fields that the table does not know are passed over and counted.
 *
 * @param path Where the message stands in the request; '' for the request itself.
 * @throws RollcallError INVALID_FIELD with the field's path, or MALFORMED_MESSAGE where the bytes are no protobuf.
 */
export function decodeStrictly<T extends MessageTable>(table: T, bytes: Uint8Array, path = ''): Decoded<T> {
  const place = { outer: undefined, name: path, index: -1 };
  return decodeMessage(table, bytes, new WireReader(bytes), place) as Decoded<T>;
}

/** `instance.id` for ('instance', 'id'). */
export function joinPath(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

/** @param all What the caller gave; `reader` stands at the message's start in it. */
function decodeMessage(table: MessageTable, all: Uint8Array, reader: WireReader, place: Place): Decoded<MessageTable> {
  const plan = planOf(table);
  const values: Values = { ...plan.empty };
  for (const name of plan.lists) values[name] = [];
  for (const name of plan.maps) values[name] = new Map<string, string>();
  const start = reader.offset;
  const end = start + reader.left;
  let seen = 0;
  let unknownFields = 0;
  while (nextTag(reader, place)) {
    const slot = plan.slots[reader.field];
    if (slot === undefined) {
      skipUnknown(reader, place);
      unknownFields++;
      continue;
    }
    if ((seen & slot.onceBit) !== 0) throw invalidField(pathOf(place, slot.name), 'is there twice, allowed is once');
    seen |= slot.onceBit;
    unknownFields += decodeField(slot, all, reader, values, place);
  }
  return new DecodedMessage(values, unknownFields, all, start, end);
}

/** Most messages are never asked for their bytes: a part of a Buffer costs more than many of them. */
class DecodedMessage implements Decoded<MessageTable> {
  readonly values: Decoded<MessageTable>['values'];
  readonly unknownFields: number;
  readonly #all: Uint8Array;
  readonly #start: number;
  readonly #end: number;

  constructor(values: Values, unknownFields: number, all: Uint8Array, start: number, end: number) {
    this.values = values as Decoded<MessageTable>['values'];
    this.unknownFields = unknownFields;
    this.#all = all;
    this.#start = start;
    this.#end = end;
  }

  get bytes(): Uint8Array {
    return this.#all.subarray(this.#start, this.#end);
  }
}

function nextTag(reader: WireReader, place: Place): boolean {
  try {
    return reader.next();
  } catch (error) {
    throw malformed(place, error);
  }
}

function skipUnknown(reader: WireReader, place: Place): void {
  try {
    reader.skip();
  } catch (error) {
    throw malformed(place, error);
  }
}

function planOf(table: MessageTable): Plan {
  const known = planOfTable.get(table);
  if (known !== undefined) return known;
  const fields = Object.entries(table.fields);
  const slots: (Slot | undefined)[] = [];
  let once = 0;
  for (const [name, shape] of fields) {
    slots[shape.number] = { name, shape, onceBit: isRepeated(shape) ? 0 : 1 << once++ };
  }
  assert(once <= 31, () => `${table.name} has ${once} singular fields, more than bits`);
  const plan = {
    slots,
    empty: Object.fromEntries(fields.map(([name, shape]) => [name, emptyValue(shape)])),
    lists: fields.filter(([, shape]) => isRepeated(shape) && shape.type !== 'string-map').map(([name]) => name),
    maps: fields.filter(([, shape]) => shape.type === 'string-map').map(([name]) => name),
  };
  planOfTable.set(table, plan);
  return plan;
}

function isRepeated(shape: FieldShape): boolean {
  return 'countMax' in shape;
}

/** Lists and maps have none that could be shared. */
function emptyValue(shape: FieldShape): unknown {
  switch (shape.type) {
    case 'string':
      return shape.present === 'explicit' ? undefined : '';
    case 'bool':
      return shape.present === 'explicit' ? undefined : false;
    case 'uint32':
    case 'uint64':
      return shape.present === 'explicit' ? undefined : 0;
    case 'enum':
      return 0;
    case 'message':
    case 'strings':
    case 'uint64s':
    case 'enums':
    case 'messages':
    case 'string-map':
      return undefined;
    default:
      return unreachable(shape);
  }
}

/** Decodes one occurrence of a field into `values`; returns the number of unknown fields inside it. */
function decodeField(slot: Slot, all: Uint8Array, reader: WireReader, values: Values, place: Place): number {
  const { name, shape } = slot;
  switch (shape.type) {
    case 'string':
      values[name] = readText(reader, place, name, -1);
      return 0;
    case 'bool':
      values[name] = readNumber(reader, place, name, -1, 1) === 1;
      return 0;
    case 'uint32':
      values[name] = readNumber(reader, place, name, -1, 2 ** 32 - 1);
      return 0;
    case 'uint64':
      values[name] = readNumber(reader, place, name, -1, Number.MAX_SAFE_INTEGER);
      return 0;
    case 'enum':
      values[name] = readEnum(reader, place, name, shape.names);
      return 0;
    case 'message': {
      const inner = { outer: place, name, index: -1 };
      const message = decodeMessage(shape.table, all, readerOf(reader, inner), inner);
      values[name] = message;
      return message.unknownFields;
    }
    case 'strings': {
      const list = values[name] as string[];
      checkRoom(list.length, shape.countMax, place, name);
      list.push(readText(reader, place, name, list.length));
      return 0;
    }
    case 'uint64s':
      readNumbers(values[name] as number[], reader, place, name, shape.countMax);
      return 0;
    case 'enums': {
      const list = values[name] as number[];
      const before = list.length;
      readNumbers(list, reader, place, name, shape.countMax);
      for (let i = before; i < list.length; i++) checkEnum(list[i] as number, place, name, i, shape.names);
      return 0;
    }
    case 'messages': {
      const list = values[name] as Decoded<MessageTable>[];
      checkRoom(list.length, shape.countMax, place, name);
      const inner = { outer: place, name, index: list.length };
      const message = decodeMessage(shape.table, all, readerOf(reader, inner), inner);
      list.push(message);
      return message.unknownFields;
    }
    case 'string-map': {
      const pairs = values[name] as Map<string, string>;
      checkRoom(pairs.size, shape.countMax, place, name);
      return decodePair(pairs, all, reader, { outer: place, name, index: pairs.size });
    }
    default:
      return unreachable(shape);
  }
}

const pairTable = {
  name: 'map entry',
  fields: { key: { number: 1, type: 'string' }, value: { number: 2, type: 'string' } },
} as const satisfies MessageTable;

function decodePair(pairs: Map<string, string>, all: Uint8Array, reader: WireReader, place: Place): number {
  const pair = decodeMessage(pairTable, all, readerOf(reader, place), place) as Decoded<typeof pairTable>;
  const { key, value } = pair.values;
  if (pairs.has(key)) {
    throw invalidField(pathOf(place, 'key'), `${quoted(key)} is there twice, keys must be unique`);
  }
  pairs.set(key, value);
  return pair.unknownFields;
}

/** Over the message that `inner` is the place of. */
function readerOf(reader: WireReader, inner: Place): WireReader {
  if (reader.wireType !== bytesWire) throw wrongWire(reader, bytesWire, placePath(inner));
  try {
    return reader.message();
  } catch (error) {
    throw refusedValue(error, placePath(inner), 'a whole message');
  }
}

function readText(reader: WireReader, place: Place, name: string, index: number): string {
  if (reader.wireType !== bytesWire) {
    throw wrongWire(reader, bytesWire, pathOf(place, name, index));
  }
  try {
    return reader.string();
  } catch (error) {
    throw refusedValue(error, pathOf(place, name, index), 'text in UTF-8');
  }
}

function readNumber(reader: WireReader, place: Place, name: string, index: number, max: number): number {
  if (reader.wireType !== varintWire) throw wrongWire(reader, varintWire, pathOf(place, name, index));
  let value: number;
  try {
    value = reader.uint();
  } catch (error) {
    throw refusedValue(error, pathOf(place, name, index), `0 to ${max} as the shortest varint`);
  }
  if (value > max) throw invalidField(pathOf(place, name, index), `is ${value}, allowed is 0 to ${max}`);
  return value;
}

/** Packed or one by one: a reader of protobuf takes both. */
function readNumbers(list: number[], reader: WireReader, place: Place, name: string, countMax: number): void {
  if (reader.wireType !== bytesWire) {
    checkRoom(list.length, countMax, place, name);
    list.push(readNumber(reader, place, name, list.length, Number.MAX_SAFE_INTEGER));
    return;
  }
  const packed = packedOf(reader, place, name);
  while (packed.left > 0) {
    checkRoom(list.length, countMax, place, name);
    try {
      list.push(packed.varint());
    } catch (error) {
      throw refusedValue(error, pathOf(place, name, list.length), 'a varint');
    }
  }
}

function packedOf(reader: WireReader, place: Place, name: string): WireReader {
  try {
    return reader.message();
  } catch (error) {
    throw refusedValue(error, pathOf(place, name), 'packed numbers');
  }
}

/** Refuses one more element where `countMax` are there. */
function checkRoom(count: number, countMax: number, place: Place, name: string): void {
  if (count < countMax) return;
  throw invalidField(pathOf(place, name), `has more than ${countMax} elements, allowed are at most ${countMax}`);
}

function readEnum(reader: WireReader, place: Place, name: string, names: readonly string[]): number {
  if (reader.wireType !== varintWire) throw wrongWire(reader, varintWire, pathOf(place, name));
  let value: number;
  try {
    value = reader.uint();
  } catch (error) {
    throw refusedValue(error, pathOf(place, name), namesText(names));
  }
  checkEnum(value, place, name, -1, names);
  return value;
}

function checkEnum(value: number, place: Place, name: string, index: number, names: readonly string[]): void {
  if (value >= names.length) {
    throw invalidField(pathOf(place, name, index), `is ${value}, allowed is ${namesText(names)}`);
  }
}

function namesText(names: readonly string[]): string {
  return names.map((name, value) => `${value} (${name})`).join(', ');
}

function pathOf(place: Place, name: string, index = -1): string {
  const path = joinPath(placePath(place), name);
  return index === -1 ? path : `${path}[${index}]`;
}

function placePath({ outer, name, index }: Place): string {
  return outer === undefined ? name : pathOf(outer, name, index);
}

function wrongWire(reader: WireReader, expected: WireType, field: string): RollcallError {
  return invalidField(field, `is sent as ${wireNames[reader.wireType]}, expected ${wireNames[expected]}`);
}

/** The value of a field that is known: what is wrong with it is told by the field's name. */
function refusedValue(error: unknown, field: string, allowed: string): unknown {
  return error instanceof WireError ? invalidField(field, `${error.message}, allowed is ${allowed}`) : error;
}

/** A client's text in a message: short, and without characters that a terminal would obey. */
export function quoted(text: string): string {
  const shown = text.length <= 64 ? text : `${text.slice(0, 64)}...`;
  return JSON.stringify(shown).replace(/[\u007f-\u009f\u2028\u2029]/g, '?');
}

/** The bytes between the fields that are known make no sense. */
function malformed(place: Place, error: unknown): unknown {
  if (!(error instanceof WireError)) return error;
  const path = placePath(place);
  const where = path === '' ? 'the request' : path;
  const message = `${where} is no valid protobuf: ${error.message}; use the proto files of this server`;
  return new RollcallError('MALFORMED_MESSAGE', message, path === '' ? {} : { field: path });
}
