import { assert } from '../base/assert.ts';

/** Keys with their newest value, undefined for removed. */
export type Changes = ReadonlyMap<string, Uint8Array | undefined>;

/**
 * The keys changed since the last freeze. Values are kept by reference: nothing that is put here is ever written to
 * again, so freezing is an exchange of two maps, and a frozen set stays as it was while later commands apply.
 */
export class DirtySet {
  #current = new Map<string, Uint8Array | undefined>();
  #currentBytes = 0;
  #frozen: Changes | undefined;
  #frozenBytes = 0;

  /** Bytes of keys and values changed and not yet released. */
  get bytes(): number {
    return this.#currentBytes + this.#frozenBytes;
  }

  set(key: string, value: Uint8Array | undefined): void {
    const before = this.#current.get(key);
    if (before !== undefined) this.#currentBytes -= before.length;
    else if (!this.#current.has(key)) this.#currentBytes += key.length;
    if (value !== undefined) this.#currentBytes += value.length;
    this.#current.set(key, value);
  }

  /**
   * Removes a key that is written once and never again. Where that was after the last freeze, no store has heard of it,
   * and none needs to.
   */
  forget(key: string): void {
    const value = this.#current.get(key);
    if (value === undefined) {
      this.set(key, undefined);
      return;
    }
    this.#current.delete(key);
    this.#currentBytes -= key.length + value.length;
  }

  /** At most one frozen set at a time. */
  freeze(): { readonly changes: Changes; readonly bytes: number } {
    assert(this.#frozen === undefined, 'freeze while a frozen set is held');
    const frozen = { changes: this.#current, bytes: this.#currentBytes };
    this.#frozen = frozen.changes;
    this.#frozenBytes = frozen.bytes;
    this.#current = new Map();
    this.#currentBytes = 0;
    return frozen;
  }

  release(): void {
    assert(this.#frozen !== undefined, 'release without a frozen set');
    this.#frozen = undefined;
    this.#frozenBytes = 0;
  }
}
