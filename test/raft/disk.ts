import { must } from '../../src/base/assert.ts';
import { emptyPrefixHash } from '../../src/base/hash.ts';
import type { RaftInitial } from '../../src/raft/config.ts';
import { noMembership } from '../../src/raft/membership.ts';
import type { Membership } from '../../src/raft/membership.ts';
import type { Entry, HardState, LogBase, Persist } from '../../src/raft/types.ts';

/** What one member of a test cluster has on disk: a dumb twin of the log and hard state files. */
export class Disk {
  hardState: HardState = { term: 0, vote: '' };
  base: LogBase = { index: 0, term: 0, hash: emptyPrefixHash };
  /** As of the base. */
  membership: Membership = noMembership;
  entries: Entry[] = [];
  commit = 0;
  /** Raised and synced at each start. */
  boot = 0;

  get lastIndex(): number {
    return this.base.index + this.entries.length;
  }

  /** Writes one step whole. */
  write(step: Persist): void {
    if (step.hardState !== undefined) this.hardState = step.hardState;
    if (step.snapshot !== undefined) {
      this.base = step.snapshot;
      this.membership = must(step.snapshotMembership, 'membership of a snapshot');
      this.entries = [];
    }
    const first = step.entries[0];
    if (first !== undefined) {
      if (first.index <= this.base.index || first.index > this.lastIndex + 1) {
        throw new Error(`step ${step.sequence} starts at ${first.index}, the disk holds up to ${this.lastIndex}`);
      }
      this.entries = [...this.entries.slice(0, first.index - this.base.index - 1), ...step.entries];
    }
    this.commit = Math.max(this.commit, step.commit);
  }

  /** Drops the prefix up to `index`; the state up to there is held elsewhere. */
  compact(index: number, membership: Membership): void {
    const dropped = index - this.base.index;
    const last = this.entries[dropped - 1];
    if (last === undefined) return;
    this.base = { index, term: last.term, hash: last.hash };
    this.membership = membership;
    this.entries = this.entries.slice(dropped);
  }

  /** What the next start finds. The state is rebuilt from the base. */
  initial(): RaftInitial {
    const commit = Math.max(this.commit, this.base.index);
    const { hardState, base, membership, entries } = this;
    return { hardState, base, membership, entries, commit, applied: base.index };
  }
}
