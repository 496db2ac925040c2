import { WireWriter } from '../base/wire-writer.ts';
import { decodeStrictly, expectFormat } from '../base/strict-decode.ts';

/** The counters of the whole state; part of the state hash. */
export interface MetaRecord {
  readonly revision: number;
  readonly replicatedTimeMs: number;
  /** Lease ids are never reused. */
  readonly nextLeaseId: number;
  readonly nextRequestSequence: number;
}

/** What a new cluster begins with, and what an empty store stands for. */
export const initialMeta: MetaRecord = {
  revision: 0,
  replicatedTimeMs: 0,
  nextLeaseId: 1,
  nextRequestSequence: 0,
};

const metaFormat = 1;
const writer = new WireWriter();

export function encodeMeta(meta: MetaRecord): Uint8Array {
  writer.reset();
  return writer
    .byte(metaFormat)
    .varint(meta.revision)
    .varint(meta.replicatedTimeMs)
    .varint(meta.nextLeaseId)
    .varint(meta.nextRequestSequence)
    .finish();
}

export function decodeMeta(bytes: Uint8Array): MetaRecord {
  return decodeStrictly('meta record', bytes, (reader) => {
    expectFormat(reader, metaFormat);
    return {
      revision: reader.varint(),
      replicatedTimeMs: reader.varint(),
      nextLeaseId: reader.varint(),
      nextRequestSequence: reader.varint(),
    };
  });
}
