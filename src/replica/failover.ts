import type { Clock, Timer } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { MemberId } from '../raft/types.ts';
import type { ProbeResult } from '../transport/types.ts';

/** Between the members that see the same leader die, by rank, so that one is elected before the next one asks, ms. */
const rankDelayMs = 15;
const jitterMsMax = 5;
/** A leader whose streams have ended is looked at again so much later, while no stream to it is open, ms. */
const probeAgainMs = 40;
/** So often; by then the election timeout has begun to judge. */
const probesMax = 12;
/** A pre-vote that was refused, perhaps by one that has not seen it yet, is asked for again after this long, ms. */
const retryMsMin = 20;
const retryMsMax = 40;
/** Votes are on their way, each behind a sync of a disk; only after this long were they split, ms. */
const splitVoteMsMin = 100;
const splitVoteMsMax = 250;

export interface FailoverOptions {
  readonly memberId: MemberId;
  readonly clock: Clock;
  readonly random: Random;
  /** Looks whether the peer's port still takes connections. */
  readonly probe: (peer: MemberId) => Promise<ProbeResult>;
  /** A stream to this peer is open. */
  readonly isConnected: (peer: MemberId) => boolean;
  /** Who leads; '' where that is not known. */
  readonly leader: () => MemberId;
  /** Voters as of now, in code unit order. */
  readonly voters: () => readonly MemberId[];
  /** See RaftCore.suspectLeader and retrySuspicion. */
  readonly suspect: (campaigns: boolean) => boolean;
  readonly retry: () => boolean;
  /** It has won the pre-votes, and waits for votes. */
  readonly isCandidate: () => boolean;
  readonly onSuspected: (leader: MemberId) => void;
  /** A broken invariant. */
  readonly onFatal: (error: unknown) => void;
}

/**
 * Failover by evidence (design section 3). Sockets of a killed process close within milliseconds, long before an
 * election timeout. But a stream also breaks where only the way to the leader did, so more is asked for: the streams of
 * its present start have ended, and its port refuses a fresh connection. Then this member forgets the leader and asks
 * for pre-votes, after a delay by its rank. A leader that is only silent is left to the election timeout.
 */
export class Failover {
  readonly #options: FailoverOptions;
  #timer: Timer | undefined;
  #probing = false;
  #stopped = false;

  constructor(options: FailoverOptions) {
    this.#options = options;
  }

  /** A stream from or to the present start of this peer has ended. */
  streamEnded(peer: MemberId): void {
    if (this.#stopped || this.#probing || peer !== this.#options.leader()) return;
    this.#cancel();
    this.#look(peer, probesMax);
  }

  /** A stream to this peer is open: it lives. What the core has begun ends with the leader's first word. */
  connected(peer: MemberId): void {
    if (peer === this.#options.leader()) this.#cancel();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #look(peer: MemberId, probesLeft: number): void {
    this.#probing = true;
    this.#options.probe(peer).then(
      (result) => {
        this.#probing = false;
        // Meanwhile another may lead, or this one have come back.
        if (this.#stopped || this.#options.leader() !== peer || this.#options.isConnected(peer)) return;
        if (isEvidence(result)) this.#suspect(peer);
        else if (probesLeft > 1) this.#after(probeAgainMs, () => this.#look(peer, probesLeft - 1));
      },
      (error: unknown) => this.#options.onFatal(error),
    );
  }

  #suspect(leader: MemberId): void {
    const { suspect, onSuspected } = this.#options;
    // At once, so that this member grants the pre-vote of one with a lower rank; its own waits for its turn.
    if (!suspect(false)) return;
    onSuspected(leader);
    this.#after(this.#rankOf(leader) * rankDelayMs + this.#below(jitterMsMax), () => this.#campaign());
  }

  #campaign(): void {
    if (!this.#options.retry()) return;
    this.#after(retryMsMin + this.#below(retryMsMax - retryMsMin), () => this.#goOn());
  }

  #goOn(): void {
    if (!this.#options.isCandidate()) this.#campaign();
    else this.#after(splitVoteMsMin + this.#below(splitVoteMsMax - splitVoteMsMin), () => this.#campaign());
  }

  /** Of this member among the voters without the leader; whoever has no vote asks for none. */
  #rankOf(leader: MemberId): number {
    const { memberId, voters } = this.#options;
    return Math.max(
      0,
      voters()
        .filter((id) => id !== leader)
        .indexOf(memberId),
    );
  }

  #after(ms: number, work: () => void): void {
    this.#cancel();
    this.#timer = this.#options.clock.setTimer(ms, () => {
      this.#timer = undefined;
      if (!this.#stopped) work();
    });
  }

  #below(ms: number): number {
    return this.#options.random.below('failover', ms + 1);
  }

  #cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

function isEvidence(result: ProbeResult): boolean {
  return result === 'refused' || result === 'reset';
}
