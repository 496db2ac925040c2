import { unreachable } from '../base/assert.ts';
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
}

/** Fields of each table by number; made once a table, as the tables are constants. */
const slotsOfTable = new WeakMap<MessageTable, readonly (Slot | undefined)[]>();

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
  return decodeMessage(table, { bytes, reader: new WireReader(bytes) }, path) as Decoded<T>;
}

/** `instance.id` for ('instance', 'id'). */
export function joinPath(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

type Values = Record<string, unknown>;

/** A message to be read: `bytes` is all that the caller gave, `reader` stands at the message's start in it. */
interface Source {
  readonly bytes: Uint8Array;
  readonly reader: WireReader;
}

function decodeMessage(table: MessageTable, source: Source, path: string): Decoded<MessageTable> {
  const { reader } = source;
  const slots = slotsOf(table);
  const values = emptyValues(table);
  const seen = new Set<Slot>();
  const bytes = source.bytes.subarray(reader.offset, reader.offset + reader.left);
  let unknownFields = 0;
  while (nextTag(reader, path)) {
    const slot = slots[reader.field];
    if (slot === undefined) {
      skipUnknown(reader, path);
      unknownFields++;
      continue;
    }
    if (seen.has(slot) && !isRepeated(slot.shape)) {
      throw invalidField(joinPath(path, slot.name), 'is there twice, allowed is once');
    }
    seen.add(slot);
    unknownFields += decodeField(slot, source, values, joinPath(path, slot.name));
  }
  return { values: values as Decoded<MessageTable>['values'], bytes, unknownFields };
}

function nextTag(reader: WireReader, path: string): boolean {
  try {
    return reader.next();
  } catch (error) {
    throw malformed(path, error);
  }
}

function skipUnknown(reader: WireReader, path: string): void {
  try {
    reader.skip();
  } catch (error) {
    throw malformed(path, error);
  }
}

function slotsOf(table: MessageTable): readonly (Slot | undefined)[] {
  const known = slotsOfTable.get(table);
  if (known !== undefined) return known;
  const slots: (Slot | undefined)[] = [];
  for (const [name, shape] of Object.entries(table.fields)) slots[shape.number] = { name, shape };
  slotsOfTable.set(table, slots);
  return slots;
}

function isRepeated(shape: FieldShape): boolean {
  return (
    shape.type === 'strings' ||
    shape.type === 'uint64s' ||
    shape.type === 'enums' ||
    shape.type === 'string-map' ||
    shape.type === 'messages'
  );
}

function emptyValues(table: MessageTable): Values {
  const values: Values = {};
  for (const [name, shape] of Object.entries(table.fields)) values[name] = emptyValue(shape);
  return values;
}

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
      return undefined;
    case 'strings':
    case 'uint64s':
    case 'enums':
    case 'messages':
      return [];
    case 'string-map':
      return new Map();
    default:
      return unreachable(shape);
  }
}

/** Decodes one occurrence of a field into `values`; returns the number of unknown fields inside it. */
function decodeField(slot: Slot, source: Source, values: Values, field: string): number {
  const { name, shape } = slot;
  const { reader } = source;
  switch (shape.type) {
    case 'string':
      values[name] = readText(reader, field);
      return 0;
    case 'bool':
      values[name] = readNumber(reader, field, 1) === 1;
      return 0;
    case 'uint32':
      values[name] = readNumber(reader, field, 2 ** 32 - 1);
      return 0;
    case 'uint64':
      values[name] = readNumber(reader, field, Number.MAX_SAFE_INTEGER);
      return 0;
    case 'enum':
      values[name] = readEnum(reader, field, shape.names);
      return 0;
    case 'message': {
      const message = decodeMessage(shape.table, innerSource(source, field), field);
      values[name] = message;
      return message.unknownFields;
    }
    case 'strings': {
      const list = values[name] as string[];
      checkRoom(list.length, shape.countMax, field);
      list.push(readText(reader, `${field}[${list.length}]`));
      return 0;
    }
    case 'uint64s':
      readNumbers(values[name] as number[], reader, field, shape.countMax);
      return 0;
    case 'enums': {
      const list = values[name] as number[];
      const before = list.length;
      readNumbers(list, reader, field, shape.countMax);
      for (let i = before; i < list.length; i++) checkEnum(list[i] as number, `${field}[${i}]`, shape.names);
      return 0;
    }
    case 'messages': {
      const list = values[name] as Decoded<MessageTable>[];
      checkRoom(list.length, shape.countMax, field);
      const at = `${field}[${list.length}]`;
      const message = decodeMessage(shape.table, innerSource(source, at), at);
      list.push(message);
      return message.unknownFields;
    }
    case 'string-map':
      return decodePair(values[name] as Map<string, string>, source, field, shape.countMax);
    default:
      return unreachable(shape);
  }
}

const pairTable = {
  name: 'map entry',
  fields: { key: { number: 1, type: 'string' }, value: { number: 2, type: 'string' } },
} as const satisfies MessageTable;

function decodePair(pairs: Map<string, string>, source: Source, field: string, countMax: number): number {
  checkRoom(pairs.size, countMax, field);
  const at = `${field}[${pairs.size}]`;
  const pair = decodeMessage(pairTable, innerSource(source, at), at) as Decoded<typeof pairTable>;
  const { key, value } = pair.values;
  if (pairs.has(key)) throw invalidField(`${at}.key`, `${quoted(key)} is there twice, keys must be unique`);
  pairs.set(key, value);
  return pair.unknownFields;
}

function innerSource(source: Source, field: string): Source {
  expectWire(source.reader, bytesWire, field);
  return {
    bytes: source.bytes,
    reader: readValue(
      field,
      () => 'a whole message',
      () => source.reader.message(),
    ),
  };
}

function readText(reader: WireReader, field: string): string {
  expectWire(reader, bytesWire, field);
  return readValue(
    field,
    () => 'text in UTF-8',
    () => reader.string(),
  );
}

function readNumber(reader: WireReader, field: string, max: number): number {
  expectWire(reader, varintWire, field);
  const value = readValue(
    field,
    () => `0 to ${max} as the shortest varint`,
    () => reader.uint(),
  );
  if (value > max) throw invalidField(field, `is ${value}, allowed is 0 to ${max}`);
  return value;
}

/** Packed or one by one: a reader of protobuf takes both. */
function readNumbers(list: number[], reader: WireReader, field: string, countMax: number): void {
  const packed =
    reader.wireType === bytesWire
      ? readValue(
          field,
          () => 'packed numbers',
          () => reader.message(),
        )
      : undefined;
  while (packed === undefined || packed.left > 0) {
    checkRoom(list.length, countMax, field);
    const at = `${field}[${list.length}]`;
    if (packed === undefined) {
      list.push(readNumber(reader, at, Number.MAX_SAFE_INTEGER));
      return;
    }
    list.push(
      readValue(
        at,
        () => 'a varint',
        () => packed.varint(),
      ),
    );
  }
}

/** Refuses one more element where `countMax` are there. */
function checkRoom(count: number, countMax: number, field: string): void {
  if (count >= countMax)
    throw invalidField(field, `has more than ${countMax} elements, allowed are at most ${countMax}`);
}

function readEnum(reader: WireReader, field: string, names: readonly string[]): number {
  expectWire(reader, varintWire, field);
  const value = readValue(
    field,
    () => namesText(names),
    () => reader.uint(),
  );
  checkEnum(value, field, names);
  return value;
}

function checkEnum(value: number, field: string, names: readonly string[]): void {
  if (value >= names.length) throw invalidField(field, `is ${value}, allowed is ${namesText(names)}`);
}

function namesText(names: readonly string[]): string {
  return names.map((name, value) => `${value} (${name})`).join(', ');
}

function expectWire(reader: WireReader, expected: WireType, field: string): void {
  if (reader.wireType === expected) return;
  throw invalidField(field, `is sent as ${wireNames[reader.wireType]}, expected ${wireNames[expected]}`);
}

/** The value of a field that is known: what is wrong with it is told by the field's name. */
function readValue<V>(field: string, allowed: () => string, read: () => V): V {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw invalidField(field, `${error.message}, allowed is ${allowed()}`);
  }
}

/** A client's text in a message: short, and without characters that a terminal would obey. */
export function quoted(text: string): string {
  const shown = text.length <= 64 ? text : `${text.slice(0, 64)}...`;
  return JSON.stringify(shown).replace(/[\u007f-\u009f\u2028\u2029]/g, '?');
}

/** The bytes between the fields that are known make no sense. */
function malformed(path: string, error: unknown): unknown {
  if (!(error instanceof WireError)) return error;
  const where = path === '' ? 'the request' : path;
  const message = `${where} is no valid protobuf: ${error.message}; use the proto files of this server`;
  return new RollcallError('MALFORMED_MESSAGE', message, path === '' ? {} : { field: path });
}
