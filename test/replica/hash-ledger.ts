/** What one member was seen to stand at. */
export interface Sighting {
  readonly id: string;
  readonly boot: number;
  readonly revision: number;
  readonly index: number;
  readonly hash: string;
}

/** Equal applied index means equal hash, on all members and over all their lives; nothing goes back within a life. */
export class HashLedger {
  readonly #hashes = new Map<number, string>();
  readonly #last = new Map<string, Sighting>();
  readonly #crashed = new Set<string>();

  /** What is wrong with it; undefined where nothing is. */
  see(now: Sighting): string | undefined {
    const known = this.#hashes.get(now.index);
    if (known === undefined) this.#hashes.set(now.index, now.hash);
    else if (known !== now.hash) return `${now.id} has hash ${now.hash} at index ${now.index}, ${known} was seen there`;
    const last = this.#last.get(now.id);
    this.#last.set(now.id, now);
    const crashed = this.#crashed.delete(now.id);
    if (last === undefined) return undefined;
    if (crashed && now.boot <= last.boot) return `${now.id} started anew with boot ${now.boot}, was ${last.boot}`;
    if (now.boot < last.boot) return `${now.id} went back from boot ${last.boot} to ${now.boot}`;
    if (now.boot > last.boot) return undefined;
    if (now.revision < last.revision) return `${now.id} went back from revision ${last.revision} to ${now.revision}`;
    if (now.index < last.index) return `${now.id} went back from index ${last.index} to ${now.index}`;
    return undefined;
  }

  /** Its next life must have a higher boot number. */
  crashed(id: string): void {
    this.#crashed.add(id);
  }
}
