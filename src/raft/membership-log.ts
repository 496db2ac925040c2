import { assert, InvariantError, must } from '../base/assert.ts';
import type { Membership } from './membership.ts';
import { decodeMembership, isFeatureLevelData, isMembershipData, isSystemData } from './system-entries.ts';
import type { Entry } from './types.ts';

interface Held {
  /** Of the entry that says it; where it came with the base, some index not above that. */
  readonly index: number;
  readonly membership: Membership;
}

/**
 * Every membership that the kept log says, that of its base first. The last one is in force: from the moment at which
 * its entry is appended, committed or not, until one that follows is (thesis, section 4.1). What is cut off the log is
 * forgotten with it, and the one before is in force again.
 */
export class MembershipLog {
  /** Never empty; indexes rise. */
  #held: Held[];

  /** @param base Membership at the index where the kept log begins; `entries` are those of the kept log. */
  constructor(baseIndex: number, base: Membership, entries: readonly Entry[]) {
    this.#held = [{ index: baseIndex, membership: base }];
    this.append(entries);
  }

  get inForce(): Membership {
    return this.#last.membership;
  }

  /** Index of the entry that says it; the base's or a lower one where it came with that. */
  get index(): number {
    return this.#last.index;
  }

  /** As of an index of the kept log, its base included. */
  at(index: number): Membership {
    for (let at = this.#held.length - 1; at > 0; at--) {
      const held = this.#held[at];
      if (held !== undefined && held.index <= index) return held.membership;
    }
    return must(this.#held[0], 'membership at the base').membership;
  }

  /** Takes note of entries that were appended. @throws InvariantError for a system entry that cannot be read. */
  append(entries: readonly Entry[]): void {
    for (const { index, data } of entries) {
      if (!isSystemData(data)) continue;
      if (isMembershipData(data)) {
        assert(index > this.index, () => `membership at ${index} follows one at ${this.index}`);
        this.#held.push({ index, membership: decodeMembership(data) });
      } else if (!isFeatureLevelData(data)) {
        throw new InvariantError(
          `entry ${index} is a system entry of kind ${data[0]}, which this version does not know`,
        );
      }
    }
  }

  /** The log was cut behind `index`. */
  cutTo(index: number): void {
    while (this.#held.length > 1 && this.index > index) this.#held.pop();
  }

  /** The log begins behind `index` now. */
  compactTo(index: number): void {
    const kept = this.#held.findLastIndex((held) => held.index <= index);
    if (kept > 0) this.#held = this.#held.slice(kept);
  }

  /** The log restarts at a snapshot. */
  restartAt(index: number, membership: Membership): void {
    this.#held = [{ index, membership }];
  }

  get #last(): Held {
    return must(this.#held.at(-1), 'membership in force');
  }
}
