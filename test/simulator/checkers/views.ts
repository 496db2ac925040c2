import { WireReader } from '../../../src/base/wire-reader.ts';
import type { KeyText, SeenInstance } from '../types.ts';

/** An instance as it stands in the committed log. `value` is NaN where its metadata has no number "v". */
export interface LedgerInstance extends SeenInstance {
  readonly createRevision: number;
  readonly tags: readonly string[];
}

/** Reads an InstanceView {spec, meta} by itself: field numbers of proto/rollcall/v1/instance.proto. */
export function readView(key: KeyText, view: Uint8Array): LedgerInstance {
  let value = Number.NaN;
  const tags: string[] = [];
  const numbers = [0, 0, 0, 0, 0, 0, 0];
  const reader = new WireReader(view);
  while (reader.next()) {
    if (reader.field === 1) {
      const spec = reader.message();
      while (spec.next()) {
        if (spec.field === 7) tags.push(spec.string());
        else if (spec.field === 8) value = valueIn(spec.message(), value);
        else spec.skip();
      }
    } else if (reader.field === 2) {
      const meta = reader.message();
      while (meta.next()) numbers[meta.field] = meta.uint();
    } else {
      reader.skip();
    }
  }
  const [, incarnation = 0, createRevision = 0, modifyRevision = 0, , , leaseId = 0] = numbers;
  return { key, value, incarnation, createRevision, modifyRevision, leaseId, tags };
}

/** One pair of the metadata: its number where the pair is the value's, otherwise what was known before. */
function valueIn(pair: WireReader, known: number): number {
  let [key, value] = ['', ''];
  while (pair.next()) {
    if (pair.field === 1) key = pair.string();
    else if (pair.field === 2) value = pair.string();
    else pair.skip();
  }
  return key === 'v' ? Number(value) : known;
}

export function hasTag(instance: LedgerInstance | undefined, tag: string): boolean {
  return instance !== undefined && (tag === '' || instance.tags.includes(tag));
}

/** For messages: nothing, or what tells one instance from another. */
export function shown(instance: SeenInstance | undefined): string {
  if (instance === undefined) return 'nothing';
  const { value, incarnation, modifyRevision, leaseId } = instance;
  return `value ${value} incarnation ${incarnation} at ${modifyRevision} lease ${leaseId}`;
}

export function isSame(one: SeenInstance | undefined, other: SeenInstance | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return (
    one.key === other.key &&
    one.value === other.value &&
    one.incarnation === other.incarnation &&
    one.modifyRevision === other.modifyRevision &&
    one.leaseId === other.leaseId
  );
}
