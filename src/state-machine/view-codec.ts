/*
 * The InstanceView of rollcall/v1/instance.proto, put together from the client's bytes and our own: field 1 (spec)
 * first, field 2 (meta) last, both always present. This is what is stored, hashed, answered and sent to watchers.
 */
import { assert } from '../base/assert.ts';
import { WireReader } from '../base/wire-reader.ts';
import { WireWriter } from '../base/wire-writer.ts';
import { decodeStrictly } from '../base/strict-decode.ts';

/** InstanceMeta of the proto file; createRevision <= incarnation <= modifyRevision. */
export interface InstanceMeta {
  readonly incarnation: number;
  readonly createRevision: number;
  readonly modifyRevision: number;
  readonly createTimeMs: number;
  readonly modifyTimeMs: number;
  /** 0: persistent. */
  readonly leaseId: number;
}

const specField = 1;
const metaField = 2;

/** Writes the view of an instance; the writer must be empty. */
export function writeView(writer: WireWriter, spec: Uint8Array, meta: InstanceMeta): void {
  assert(
    meta.createRevision <= meta.incarnation && meta.incarnation <= meta.modifyRevision,
    () => `instance created at ${meta.createRevision}, incarnation ${meta.incarnation}, at ${meta.modifyRevision}`,
  );
  writer
    .bytesPresent(specField, spec)
    .beginMessage(metaField)
    .uint(1, meta.incarnation)
    .uint(2, meta.createRevision)
    .uint(3, meta.modifyRevision)
    .uint(4, meta.createTimeMs)
    .uint(5, meta.modifyTimeMs)
    .uint(6, meta.leaseId)
    .endMessage();
}

/** The client's bytes in a view. Shares its memory. */
export function specOf(view: Uint8Array): Uint8Array {
  const reader = new WireReader(view);
  reader.next();
  return reader.bytes();
}

/** The server's fields of a view that this member has written or checked. */
export function metaOf(view: Uint8Array): InstanceMeta {
  const reader = new WireReader(view);
  reader.next();
  reader.skip();
  reader.next();
  return readMeta(reader.message());
}

const checkWriter = new WireWriter();

/** As `metaOf`, for a view that comes from outside the process: throws InvariantError unless `writeView` gives it. */
export function checkedMetaOf(view: Uint8Array): InstanceMeta {
  const meta = decodeStrictly('instance view', view, (reader) => {
    assert(nextField(reader) === specField, 'instance view: spec expected');
    reader.skip();
    assert(nextField(reader) === metaField, 'instance view: meta expected');
    return readMeta(reader.message());
  });
  checkWriter.reset();
  writeView(checkWriter, specOf(view), meta);
  assert(Buffer.compare(checkWriter.peek(), view) === 0, 'instance view: not as this version writes it');
  return meta;
}

/** 0 at the end. */
function nextField(reader: WireReader): number {
  return reader.next() ? reader.field : 0;
}

function readMeta(reader: WireReader): InstanceMeta {
  let incarnation = 0;
  let createRevision = 0;
  let modifyRevision = 0;
  let createTimeMs = 0;
  let modifyTimeMs = 0;
  let leaseId = 0;
  while (reader.next()) {
    const value = reader.uint();
    if (reader.field === 1) incarnation = value;
    else if (reader.field === 2) createRevision = value;
    else if (reader.field === 3) modifyRevision = value;
    else if (reader.field === 4) createTimeMs = value;
    else if (reader.field === 5) modifyTimeMs = value;
    else {
      assert(reader.field === 6, () => `instance meta: unknown field ${reader.field}`);
      leaseId = value;
    }
  }
  return { incarnation, createRevision, modifyRevision, createTimeMs, modifyTimeMs, leaseId };
}
