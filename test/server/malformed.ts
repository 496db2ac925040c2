// Requests that are wrong in one field, made from the tables of all fields, so that no field is forgotten.
import type { FieldShape, MessageTable } from '../../src/api/message-table.ts';
import {
  deregisterTable,
  discoverTable,
  grantLeaseTable,
  keepAliveTable,
  listServicesTable,
  registerTable,
  revokeLeaseTable,
  statusTable,
  updateTable,
  watchTable,
} from '../../src/api/message-table.ts';
import { WireWriter } from '../../src/base/wire-writer.ts';
import { rollcall } from '../../src/gen/rollcall.js';

const { v1 } = rollcall;

export interface Method {
  readonly name: string;
  readonly path: string;
  readonly streams: boolean;
  readonly table: MessageTable;
  /** A request that is answered with OK, or with an error that is not about its form. */
  readonly valid: Uint8Array;
}

const key = { service: 'cart', id: 'cart-1' };
const instance = { ...key, endpoints: [{ name: 'main', protocol: 'grpc', address: '127.0.0.1', port: 7_400 }] };

function method(name: string, table: MessageTable, valid: Uint8Array): Method {
  const service = name === 'Status' ? 'Cluster' : 'Registry';
  const streams = name === 'KeepAlive' || name === 'Watch';
  return { name, path: `/rollcall.v1.${service}/${name}`, streams, table, valid };
}

export const methods: readonly Method[] = [
  method('Register', registerTable, v1.RegisterRequest.encode({ instance, persistent: true }).finish()),
  method('Update', updateTable, v1.UpdateRequest.encode({ instance, incarnation: 1 }).finish()),
  method('Deregister', deregisterTable, v1.DeregisterRequest.encode({ key }).finish()),
  method('GrantLease', grantLeaseTable, v1.GrantLeaseRequest.encode({ ttlMs: 1_000 }).finish()),
  method('RevokeLease', revokeLeaseTable, v1.RevokeLeaseRequest.encode({ leaseId: 1 }).finish()),
  method('KeepAlive', keepAliveTable, v1.KeepAliveRequest.encode({ leaseIds: [1] }).finish()),
  method('Discover', discoverTable, v1.DiscoverRequest.encode({ service: 'cart' }).finish()),
  method('ListServices', listServicesTable, v1.ListServicesRequest.encode({}).finish()),
  method('Watch', watchTable, v1.WatchRequest.encode({ create: { watchId: 1, service: 'cart' } }).finish()),
  method('Status', statusTable, v1.StatusRequest.encode({}).finish()),
];

export interface Malformed {
  readonly method: Method;
  /** What is wrong, for the name of a failure. */
  readonly what: string;
  readonly bytes: Uint8Array;
  /** That the refusal is to name. */
  readonly field: string;
}

/** Each field of each request, each in every way in which the form of a field can be wrong. */
export function malformedRequests(): Malformed[] {
  return methods.flatMap((one) =>
    faultsOf(one.table, '', (bytes) => bytes).map((fault) => ({ method: one, ...fault })),
  );
}

type Fault = Omit<Malformed, 'method'>;
/** Puts the bytes of a message where it stands in its request. */
type Wrap = (bytes: Uint8Array) => Uint8Array;

function faultsOf(table: MessageTable, path: string, wrap: Wrap): Fault[] {
  return Object.entries(table.fields).flatMap(([name, shape]) => {
    const field = path === '' ? name : `${path}.${name}`;
    const own = fieldFaults(shape, field).map((fault) => ({ ...fault, bytes: wrap(fault.bytes) }));
    return [...own, ...innerFaults(shape, field, wrap)];
  });
}

function innerFaults(shape: FieldShape, field: string, wrap: Wrap): Fault[] {
  const inside: Wrap = (bytes) => wrap(new WireWriter().bytesPresent(shape.number, bytes).finish());
  if (shape.type === 'message') return faultsOf(shape.table, field, inside);
  if (shape.type === 'messages') return faultsOf(shape.table, `${field}[0]`, inside);
  return shape.type === 'string-map' ? faultsOf(pairTable, `${field}[0]`, inside) : [];
}

const pairTable = {
  name: 'pair',
  fields: { key: { number: 1, type: 'string' }, value: { number: 2, type: 'string' } },
} as const satisfies MessageTable;

function fieldFaults(shape: FieldShape, field: string): Fault[] {
  const { number } = shape;
  const at = isList(shape) ? `${field}[0]` : field;
  const make = (write: (writer: WireWriter) => void): Uint8Array => {
    const writer = new WireWriter();
    write(writer);
    return writer.finish();
  };
  const fixed32 = make((writer) => writer.tag(number, 5).raw(new Uint8Array(4)));
  const faults: Fault[] = [{ what: 'as 4 bytes', bytes: fixed32, field: at }];
  const varint = (what: string, bytes: readonly number[]): void => {
    faults.push({ what, bytes: make((writer) => writer.tag(number, 0).raw(Uint8Array.from(bytes))), field: at });
  };
  switch (shape.type) {
    case 'string':
    case 'strings':
      for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]]) {
        const text = make((writer) => writer.bytesPresent(number, Uint8Array.from(bytes)));
        faults.push({ what: `not UTF-8: ${bytes.join(' ')}`, bytes: text, field: at });
      }
      break;
    case 'bool':
      varint('2', [2]);
      varint('a varint too long', [0x80, 0]);
      break;
    case 'uint32':
      varint('2^32', [0x80, 0x80, 0x80, 0x80, 0x10]);
      varint('a varint too long', [0x81, 0]);
      break;
    case 'uint64':
    case 'uint64s':
      varint('2^53', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]);
      varint('2^64 - 1', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
      varint('a varint too long', [0x81, 0x80, 0]);
      varint('a varint without end', [0x80]);
      break;
    case 'enum':
    case 'enums':
      varint('a value without a name', [shape.names.length]);
      varint('-1', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
      break;
    case 'message':
    case 'messages':
    case 'string-map':
      faults.push({ what: 'cut off', bytes: make((writer) => writer.tag(number, 2).byte(5)), field: at });
      break;
  }
  const once = onceOf(shape);
  if (once !== undefined) faults.push({ what: 'twice', bytes: Buffer.concat([once, once]), field });
  return faults;
}

function isList(shape: FieldShape): boolean {
  return ['strings', 'uint64s', 'enums', 'string-map', 'messages'].includes(shape.type);
}

/** A singular field with nothing wrong in it. */
function onceOf(shape: FieldShape): Uint8Array | undefined {
  if (isList(shape)) return undefined;
  if (shape.type === 'string' || shape.type === 'message') {
    return new WireWriter().bytesPresent(shape.number, new Uint8Array(0)).finish();
  }
  return new WireWriter().uintPresent(shape.number, 1).finish();
}
