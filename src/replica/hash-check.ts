import type { MemberId } from '../raft/types.ts';
import type { Forwarder } from './forwarder.ts';
import { type HashRing, judgeHashes } from './hash-ring.ts';

/** The leader compares at least this often (design section 5: at least every 5 s). */
const compareEveryMs = 2_000;
/** Applied indexes whose hashes are kept. */
export const hashesKeptMax = 8_192;

export interface HashCheckOptions {
  readonly memberId: MemberId;
  readonly voters: readonly MemberId[];
  readonly tickMs: number;
  readonly ring: HashRing;
  readonly forwarder: Forwarder;
  readonly appliedIndex: () => number;
  /** This member's state differs from that of a majority at this index. */
  readonly onOdd: (index: number, own: string, majority: string) => void;
  /** No hash has a majority at this index: nobody knows which state is right. */
  readonly onSplit: (index: number, hashes: ReadonlyMap<MemberId, string>) => void;
  readonly onCompared: (index: number, answers: number) => void;
}

/**
 * Equal applied index means equal state, on every member. The leader asks all for their hash at one index and passes
 * what it heard to everybody; each member judges for itself, the leader included.
 */
export class HashCheck {
  readonly #options: HashCheckOptions;
  #nextTick = 0;
  #round = 0;

  constructor(options: HashCheckOptions) {
    this.#options = options;
  }

  /** Called each tick while this member leads and has applied an entry of its term. */
  tick(nowTick: number): void {
    if (nowTick < this.#nextTick) return;
    this.#nextTick = nowTick + Math.ceil(compareEveryMs / this.#options.tickMs);
    this.#compare();
  }

  /** The hash at `index`, '' where it is not known. */
  answer(index: number): string {
    return this.#options.ring.at(index) ?? '';
  }

  /** What a leader heard; also called by the leader for itself. */
  judge(index: number, hashes: ReadonlyMap<MemberId, string>): void {
    const own = this.#options.ring.at(index);
    const known = new Map([...hashes].filter(([member]) => this.#options.voters.includes(member)));
    // Its own hash it knows best.
    if (own !== undefined) known.set(this.#options.memberId, own);
    const verdict = judgeHashes(known, this.#options.voters.length);
    if (verdict.kind === 'split') this.#options.onSplit(index, known);
    if (verdict.kind === 'odd' && own !== undefined && verdict.members.includes(this.#options.memberId)) {
      this.#options.onOdd(index, own, verdict.hash);
    }
  }

  #compare(): void {
    const index = this.#options.appliedIndex();
    const own = this.#options.ring.at(index);
    if (own === undefined) return;
    const round = ++this.#round;
    const hashes = new Map<MemberId, string>([[this.#options.memberId, own]]);
    const others = this.#options.voters.filter((voter) => voter !== this.#options.memberId);
    for (const peer of others) this.#ask(peer, index, round, hashes, 0);
  }

  /** A member that has not applied the index yet is asked again a few times: it is only late. */
  #ask(peer: MemberId, index: number, round: number, hashes: Map<MemberId, string>, attempt: number): void {
    this.#options.forwarder.ask(peer, { kind: 'hash-query', index }, (answer) => {
      if (round !== this.#round || answer?.kind !== 'hash') return;
      if (answer.hash === '') {
        if (attempt < attemptsMax) this.#ask(peer, index, round, hashes, attempt + 1);
        return;
      }
      hashes.set(peer, answer.hash);
      this.#options.onCompared(index, hashes.size);
      this.#spread(index, hashes);
    });
  }

  #spread(index: number, hashes: ReadonlyMap<MemberId, string>): void {
    if (new Set(hashes.values()).size > 1) {
      for (const peer of hashes.keys()) {
        if (peer !== this.#options.memberId)
          this.#options.forwarder.tell(peer, { kind: 'hash-verdict', index, hashes });
      }
    }
    this.judge(index, hashes);
  }
}

const attemptsMax = 20;
