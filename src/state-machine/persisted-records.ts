import { assert } from '../base/assert.ts';
import { DirtySet } from './dirty-set.ts';
import { StateHash } from './state-hash.ts';

/** Follows every change of a persisted record with the state hash and the dirty set. */
export class PersistedRecords {
  readonly hash = new StateHash();
  readonly dirty = new DirtySet();

  /**
   * @param before The value so far, undefined where there was none.
   * @param after The new value, undefined where it is removed. Kept: its bytes must never change again.
   */
  changed(key: string, before: Uint8Array | undefined, after: Uint8Array | undefined): void {
    assert(before !== undefined || after !== undefined, 'change from nothing to nothing');
    if (before !== undefined) this.hash.remove(key, before);
    if (after !== undefined) this.hash.add(key, after);
    this.dirty.set(key, after);
  }

  /** Removes a record whose key was written once and is never written again. */
  forgotten(key: string, value: Uint8Array): void {
    this.hash.remove(key, value);
    this.dirty.forget(key);
  }

  /** A record that comes from the store: in the hash, not dirty. */
  loaded(key: string, value: Uint8Array): void {
    this.hash.add(key, value);
  }
}
