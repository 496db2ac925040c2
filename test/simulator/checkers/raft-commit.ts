import type { Entry, MemberId } from '../../../src/raft/types.ts';

interface Committed {
  readonly entry: Entry;
  readonly member: MemberId;
}

/** What any member ever knew to be committed, and since when. */
export class CommittedEntries {
  readonly #entries = new Map<number, Committed>();
  readonly #steps: { readonly atMs: number; readonly index: number }[] = [];

  get last(): number {
    return this.#steps.at(-1)?.index ?? 0;
  }

  at(index: number): Entry | undefined {
    return this.#entries.get(index)?.entry;
  }

  /** Returns what is wrong, or ''. */
  add(member: MemberId, entry: Entry, atMs: number): string {
    const known = this.#entries.get(entry.index);
    if (known === undefined) {
      this.#entries.set(entry.index, { member, entry });
      if (entry.index > this.last) this.#steps.push({ atMs, index: entry.index });
      return '';
    }
    const { index, term, hash, data } = entry;
    const isSame = known.entry.term === term && known.entry.hash === hash;
    if (isSame && (known.entry.data === data || Buffer.compare(known.entry.data, data) === 0)) return '';
    const own = `term ${term} hash ${hash} ${data.length} bytes`;
    const theirs = `term ${known.entry.term} hash ${known.entry.hash} ${known.entry.data.length} bytes`;
    return `${member} commits entry ${index} of ${own}, ${known.member} committed ${theirs}`;
  }

  /** The last index that anybody knew before a moment, that moment itself left out. */
  before(ms: number): number {
    let [from, to] = [0, this.#steps.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#steps[middle]?.atMs ?? 0) < ms) from = middle + 1;
      else to = middle;
    }
    return this.#steps[from - 1]?.index ?? 0;
  }
}
