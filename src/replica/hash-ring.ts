/** The state hashes of the entries applied last, for comparison between members. */
export class HashRing {
  readonly #capacity: number;
  readonly #hashes = new Map<number, string>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Indexes come in rising order. */
  record(index: number, hash: string): void {
    this.#hashes.set(index, hash);
    if (this.#hashes.size <= this.#capacity) return;
    const oldest = this.#hashes.keys().next();
    if (oldest.done !== true) this.#hashes.delete(oldest.value);
  }

  /** undefined where the index is not applied yet, or long ago. */
  at(index: number): string | undefined {
    return this.#hashes.get(index);
  }

  /** After the state was replaced by a snapshot. */
  clear(): void {
    this.#hashes.clear();
  }
}

/** What a comparison of hashes at one index says. */
export type HashVerdict =
  /** Too few answers to tell, and no two that differ. */
  | { readonly kind: 'open' }
  | { readonly kind: 'agreed' }
  /** A majority agrees; these members differ from it. */
  | { readonly kind: 'odd'; readonly members: readonly string[]; readonly hash: string }
  /** All have answered and no hash has a majority: nobody knows who is right. */
  | { readonly kind: 'split' };

/** Judges the hashes that members reported for one index. `voters` is the number of voting members. */
export function judgeHashes(hashes: ReadonlyMap<string, string>, voters: number): HashVerdict {
  const votes = new Map<string, number>();
  for (const hash of hashes.values()) votes.set(hash, (votes.get(hash) ?? 0) + 1);
  const quorum = Math.floor(voters / 2) + 1;
  for (const [hash, count] of votes) {
    if (count < quorum) continue;
    const members = [...hashes].filter(([, reported]) => reported !== hash).map(([member]) => member);
    return members.length === 0 ? { kind: 'agreed' } : { kind: 'odd', members, hash };
  }
  return hashes.size === voters ? { kind: 'split' } : { kind: 'open' };
}
