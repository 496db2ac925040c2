import type { MemberId } from '../raft/types.ts';
import type { Forwarder } from './forwarder.ts';
import { type HashRing, judgeHashes } from './hash-ring.ts';

/** The leader compares at least this often (design section 5: at least every 5 s). */
const compareEveryMs = 2_000;
/** Ticks within which a member that has not applied the index yet is asked anew: it is only late. */
const attemptsMax = 20;
/** Applied indexes whose hashes are kept. */
export const hashesKeptMax = 8_192;

export interface HashCheckOptions {
  readonly memberId: MemberId;
  /** As of now. */
  readonly voters: () => readonly MemberId[];
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
  #round: Round | undefined;

  constructor(options: HashCheckOptions) {
    this.#options = options;
  }

  /** Called each tick while this member leads and has applied an entry of its term. */
  tick(nowTick: number): void {
    if (nowTick >= this.#nextTick) {
      this.#nextTick = nowTick + Math.ceil(compareEveryMs / this.#options.tickMs);
      this.#begin();
      return;
    }
    if (this.#round !== undefined && this.#round.attempts < attemptsMax) this.#askMissing(this.#round);
  }

  /** The hash at `index`, '' where it is not known. */
  answer(index: number): string {
    return this.#options.ring.at(index) ?? '';
  }

  /** What a leader heard; also called by the leader for itself. */
  judge(index: number, hashes: ReadonlyMap<MemberId, string>): void {
    const own = this.#options.ring.at(index);
    const known = new Map([...hashes].filter(([member]) => this.#options.voters().includes(member)));
    // Its own hash it knows best.
    if (own !== undefined) known.set(this.#options.memberId, own);
    const verdict = judgeHashes(known, this.#options.voters().length);
    if (verdict.kind === 'split') this.#options.onSplit(index, known);
    if (verdict.kind === 'odd' && own !== undefined && verdict.members.includes(this.#options.memberId)) {
      this.#options.onOdd(index, own, verdict.hash);
    }
  }

  #begin(): void {
    const index = this.#options.appliedIndex();
    const own = this.#options.ring.at(index);
    this.#round = undefined;
    if (own === undefined) return;
    this.#round = { index, hashes: new Map([[this.#options.memberId, own]]), asked: new Set(), attempts: 0 };
    this.#askMissing(this.#round);
  }

  #askMissing(round: Round): void {
    round.attempts++;
    for (const peer of this.#options.voters()) {
      if (!round.hashes.has(peer) && !round.asked.has(peer)) this.#ask(peer, round);
    }
  }

  #ask(peer: MemberId, round: Round): void {
    const sent = this.#options.forwarder.ask(peer, { kind: 'hash-query', index: round.index }, (answer) => {
      round.asked.delete(peer);
      if (round !== this.#round || answer?.kind !== 'hash' || answer.hash === '') return;
      round.hashes.set(peer, answer.hash);
      this.#options.onCompared(round.index, round.hashes.size);
      this.#spread(round.index, round.hashes);
    });
    if (sent) round.asked.add(peer);
  }

  #spread(index: number, hashes: ReadonlyMap<MemberId, string>): void {
    if (new Set(hashes.values()).size > 1) {
      for (const peer of hashes.keys()) {
        if (peer === this.#options.memberId) continue;
        this.#options.forwarder.tell(peer, { kind: 'hash-verdict', index, hashes });
      }
    }
    this.judge(index, hashes);
  }
}

/** One comparison: of one index, and of the answers to it alone. */
interface Round {
  readonly index: number;
  readonly hashes: Map<MemberId, string>;
  /** Those that are asked at the moment. */
  readonly asked: Set<MemberId>;
  attempts: number;
}
