import { assert, InvariantError } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { RollcallError } from '../base/errors.ts';
import type { MemberId } from '../raft/types.ts';
import { encodeBatch } from '../state-machine/command-codec.ts';
import { decodeResult, encodeResult } from '../state-machine/result-codec.ts';
import type { CommandResult } from '../state-machine/types.ts';
import type { ProposalOutcome } from './consensus.ts';
import type { ExecuteOutcome, ForwardAnswer, ForwardRequest } from './forward-codec.ts';
import { TickDeadlines } from './tick-deadlines.ts';

export const writeBounds = {
  /** Commands and bytes of one entry. */
  batchCommandsMax: 1_000,
  batchBytesMax: 512 * 1024,
  /** Entries of this leader under way at once; what comes meanwhile shares the next ones. */
  proposalsInFlightMax: 32,
  /** Calls of clients and peers without an outcome, and their commands' bytes; more are refused as OVERLOADED. */
  callsMax: 32_768,
  callBytesMax: 64 * 1024 * 1024,
} as const;

export type CallOutcome =
  | { readonly ok: true; readonly result: CommandResult }
  | { readonly ok: false; readonly error: RollcallError };

/**
 * `client`: a caller of this member. `peer`: came from a peer that took this member for the leader; it is never handed
 * on again. `own`: the leader's own, e.g. the end of a lease. It has no deadline, since its proposer must know whether
 * it may still be applied, and no bound here: the proposer has one.
 */
export type CallSource = 'client' | 'peer' | 'own';

const nothing = new Uint8Array(0);

interface Call {
  /** Let go of once it is settled. */
  command: Uint8Array;
  readonly source: CallSource;
  readonly onOutcome: (outcome: CallOutcome) => void;
  /** By the monotonic clock: behind it nobody waits any more, and what is not proposed by then never is. */
  readonly deadlineMs: number;
  /** It may be in the log: from now on only its entry, or the deadline, decides. */
  proposed: boolean;
  settled: boolean;
}

interface Proposal {
  readonly calls: readonly Call[];
}

/** In the log at an index, under the term in which it was proposed. */
interface Accepted extends Proposal {
  readonly term: number;
}

export interface WriteCallsOptions {
  readonly clock: Clock;
  readonly memberId: MemberId;
  readonly timeoutTicks: number;
  readonly propose: (id: number, data: Uint8Array) => void;
  /** As Forwarder.ask. */
  readonly ask: (
    to: MemberId,
    request: ForwardRequest,
    onAnswer: (answer: ForwardAnswer | undefined) => void,
  ) => boolean;
}

/**
 * Every write of this member from call to outcome: gathered into entries where it leads, handed to the leader where it
 * does not, kept while there is none. Each call ends exactly once: with what apply answered, NOT_PROPOSED or NO_LEADER
 * (certainly not taken), or OUTCOME_UNKNOWN.
 */
export class WriteCalls {
  readonly #options: WriteCallsOptions;
  readonly #deadlines: TickDeadlines<Call>;
  #waiting: Call[] = [];
  #openBytes = 0;
  /** Certainly not taken. They go again with the next tick or leader: one that does not lead refuses at once. */
  #refused: Call[] = [];
  #open = 0;
  #nowTick = 0;
  #leader: MemberId = '';
  #nextProposal = 1;
  readonly #proposals = new Map<number, Proposal>();
  /** Accepted proposals by their index in the log. */
  readonly #byIndex = new Map<number, Accepted>();
  /**
   * The same of times when this member led and does not any more: what stands at their index will tell, if it ever
   * comes. They take no room from new proposals.
   */
  #orphans = new Map<number, Accepted>();
  #lastStampMs: number | undefined;

  constructor(options: WriteCallsOptions) {
    this.#options = options;
    this.#deadlines = new TickDeadlines(options.timeoutTicks);
  }

  /** Calls that have no outcome yet. */
  get open(): number {
    return this.#open;
  }

  /** Takes one encoded command; `dispatch` sends it on its way. */
  add(
    command: Uint8Array,
    source: CallSource,
    onOutcome: (outcome: CallOutcome) => void,
    deadlineMs = Number.POSITIVE_INFINITY,
  ): void {
    const call: Call = { command, source, onOutcome, deadlineMs, proposed: false, settled: false };
    if (source !== 'own') {
      if (this.#open >= writeBounds.callsMax || this.#openBytes + command.length > writeBounds.callBytesMax) {
        onOutcome({ ok: false, error: new RollcallError('OVERLOADED', 'too many writes wait', { retryAfterMs: 50 }) });
        return;
      }
      this.#open++;
      this.#openBytes += command.length;
      this.#deadlines.add(call, this.#nowTick);
    }
    this.#waiting.push(call);
  }

  /** Who leads now, '' where nobody is known. A new leader's clock stamps begin anew: its first batch adds no time. */
  leaderChanged(leader: MemberId): void {
    this.#leader = leader;
    this.#lastStampMs = undefined;
    if (leader !== '') this.#refusedGoAgain();
    if (leader === this.#options.memberId) return;
    for (const [index, accepted] of this.#byIndex) {
      this.#orphans.set(index, accepted);
      // Of the leader that this member was; nobody waits for them any more.
      for (const call of accepted.calls) if (call.source === 'own') this.#unknown(call);
    }
    this.#byIndex.clear();
  }

  /** Proposes or hands on what waits. Called once a turn, and whenever the leader or the room for proposals changes. */
  dispatch(): void {
    if (this.#waiting.length === 0) return;
    if (this.#leader === this.#options.memberId) this.#proposeWaiting();
    else this.#handOn();
  }

  proposed(outcome: ProposalOutcome): void {
    const proposal = this.#proposals.get(outcome.id);
    assert(proposal !== undefined, () => `outcome of an unknown proposal ${outcome.id}`);
    this.#proposals.delete(outcome.id);
    if (outcome.result.accepted) {
      this.#byIndex.set(outcome.result.index, { term: outcome.result.term, calls: proposal.calls });
      return;
    }
    for (const call of proposal.calls) call.proposed = false;
    switch (outcome.result.reason) {
      case 'not-leader':
      case 'ineligible':
      case 'transferring':
        this.#again(proposal.calls);
        return;
      case 'uncommitted-full':
        for (const call of proposal.calls) {
          this.#fail(call, 'OVERLOADED', 'the log holds too much that is not yet on a majority of disks', 100);
        }
    }
  }

  /** The entry at `index` was applied with these results. */
  applied(index: number, term: number, results: readonly CommandResult[]): void {
    this.#appliedTo(this.#orphans, index, term, results);
    this.#appliedTo(this.#byIndex, index, term, results);
  }

  #appliedTo(waiting: Map<number, Accepted>, index: number, term: number, results: readonly CommandResult[]): void {
    const proposal = waiting.get(index);
    if (proposal === undefined) return;
    waiting.delete(index);
    if (proposal.term !== term) {
      // Another leader's entry stands there for good: what this member proposed can never be applied any more.
      for (const call of proposal.calls) call.proposed = false;
      this.#again(proposal.calls);
      return;
    }
    assert(results.length === proposal.calls.length, () => `${results.length} results at ${index}`);
    proposal.calls.forEach((call, i) => {
      const result = results[i];
      assert(result !== undefined, () => `no result ${i} at index ${index}`);
      this.#settle(call, { ok: true, result });
    });
  }

  /** The state was replaced: what was proposed up to `index` may be in it, and nobody can tell. */
  replaced(index: number): void {
    for (const waiting of [this.#byIndex, this.#orphans]) {
      for (const [at, proposal] of waiting) {
        if (at > index) continue;
        waiting.delete(at);
        for (const call of proposal.calls) this.#unknown(call);
      }
    }
  }

  tick(nowTick: number): void {
    this.#nowTick = nowTick;
    const due = this.#deadlines.due(nowTick);
    for (const call of due) {
      if (call.proposed) this.#unknown(call);
      else this.#fail(call, 'NO_LEADER', 'no leader took the write in time; nothing was proposed', 200);
    }
    if (this.#waiting.some((call) => call.settled)) this.#dropSettled();
    if (due.length > 0) this.#dropSettledOrphans();
    this.#refusedGoAgain();
    this.dispatch();
  }

  /**
   * The member stops, or may not believe its own state any more: what waits is refused with `error`, what was proposed
   * here is unknown. What was handed on is its answer's, or its loss's.
   */
  endAll(error: RollcallError): void {
    this.#refusedGoAgain();
    for (const call of this.#waiting.splice(0)) this.#settle(call, { ok: false, error });
    for (const { calls } of this.#proposals.values()) for (const call of calls) this.#unknown(call);
    this.replaced(Number.MAX_SAFE_INTEGER);
  }

  #takeBatch(): Call[] {
    const calls: Call[] = [];
    const late: Call[] = [];
    const nowMs = this.#options.clock.monotonicMs();
    let bytes = 0;
    let taken = 0;
    for (const call of this.#waiting) {
      if (calls.length > 0 && bytes + call.command.length > writeBounds.batchBytesMax) break;
      if (calls.length >= writeBounds.batchCommandsMax) break;
      taken++;
      if (call.settled) continue;
      if (call.deadlineMs <= nowMs) {
        late.push(call);
        continue;
      }
      calls.push(call);
      bytes += call.command.length;
    }
    this.#waiting.splice(0, taken);
    for (const call of late) {
      this.#fail(call, 'NOT_PROPOSED', 'the deadline of the call passed before it could be proposed', 50);
    }
    return calls;
  }

  #proposeWaiting(): void {
    while (this.#waiting.length > 0 && this.#proposals.size + this.#byIndex.size < writeBounds.proposalsInFlightMax) {
      const calls = this.#takeBatch();
      if (calls.length === 0) continue;
      for (const call of calls) call.proposed = true;
      const id = this.#nextProposal++;
      this.#proposals.set(id, { calls });
      const commands = calls.map((call) => call.command);
      this.#options.propose(id, encodeBatch({ ...this.#stamp(), commands }));
    }
  }

  /** Replicated time is the sum of these: milliseconds since this leader's previous batch, 0 for its first. */
  #stamp(): { wallMs: number; elapsedMs: number } {
    const now = this.#options.clock.monotonicMs();
    const elapsedMs = this.#lastStampMs === undefined ? 0 : Math.max(0, Math.floor(now - this.#lastStampMs));
    // What is cut off by rounding stays for the next batch.
    this.#lastStampMs = this.#lastStampMs === undefined ? now : this.#lastStampMs + elapsedMs;
    return { wallMs: Math.max(0, Math.floor(this.#options.clock.wallMs())), elapsedMs };
  }

  #handOn(): void {
    const peers = this.#waiting.filter((call) => call.source !== 'client');
    for (const call of peers) this.#fail(call, 'NOT_PROPOSED', 'this member does not lead', 50);
    if (peers.length > 0) this.#dropSettled();
    if (this.#leader === '') return;
    while (this.#waiting.length > 0) {
      const calls = this.#takeBatch();
      if (calls.length === 0) continue;
      for (const call of calls) call.proposed = true;
      const nowMs = this.#options.clock.monotonicMs();
      const request: ForwardRequest = {
        kind: 'execute',
        commands: calls.map(({ command, deadlineMs }) => ({ command, remainingMs: deadlineMs - nowMs })),
      };
      if (!this.#options.ask(this.#leader, request, (answer) => this.#answered(calls, answer))) {
        // Not connected at the moment: it waits for the next tick, or for another leader.
        for (const call of calls) call.proposed = false;
        this.#waiting = [...calls, ...this.#waiting];
        return;
      }
    }
  }

  #answered(calls: readonly Call[], answer: ForwardAnswer | undefined): void {
    if (answer?.kind !== 'executed' || answer.outcomes.length !== calls.length) {
      for (const call of calls) this.#unknown(call);
      return;
    }
    calls.forEach((call, i) => {
      const outcome = answer.outcomes[i];
      if (outcome === undefined) this.#unknown(call);
      else this.#answeredOne(call, outcome);
    });
  }

  #answeredOne(call: Call, outcome: ExecuteOutcome): void {
    if (outcome.ok) {
      this.#settleWith(call, outcome.result);
      return;
    }
    if (neverTaken.has(outcome.error.reason)) {
      call.proposed = false;
      this.#again([call]);
      return;
    }
    this.#settle(call, { ok: false, error: outcome.error });
  }

  #settleWith(call: Call, encoded: Uint8Array): void {
    let result: CommandResult;
    try {
      result = decodeResult(encoded);
    } catch (error) {
      if (!(error instanceof InvariantError)) throw error;
      // It was applied, or was not: bytes that cannot be read say neither.
      this.#unknown(call);
      return;
    }
    this.#settle(call, { ok: true, result });
  }

  /** Certainly not taken: goes back into the queue until its deadline. */
  #again(calls: readonly Call[]): void {
    for (const call of calls) {
      if (call.settled) continue;
      if (call.source !== 'client') this.#fail(call, 'NOT_PROPOSED', 'this member does not lead any more', 50);
      else this.#refused.push(call);
    }
  }

  #refusedGoAgain(): void {
    for (const call of this.#refused.splice(0)) if (!call.settled) this.#waiting.push(call);
  }

  #dropSettled(): void {
    this.#waiting = this.#waiting.filter((call) => !call.settled);
  }

  #dropSettledOrphans(): void {
    for (const [index, { calls }] of this.#orphans) {
      if (calls.every((call) => call.settled)) this.#orphans.delete(index);
    }
  }

  #unknown(call: Call): void {
    const message = 'the write may still be applied; retry it with the same request id';
    this.#fail(call, 'OUTCOME_UNKNOWN', message, 100);
  }

  #fail(
    call: Call,
    reason: 'OVERLOADED' | 'NO_LEADER' | 'NOT_PROPOSED' | 'OUTCOME_UNKNOWN',
    message: string,
    retryAfterMs: number,
  ): void {
    this.#settle(call, { ok: false, error: new RollcallError(reason, message, { retryAfterMs }) });
  }

  #settle(call: Call, outcome: CallOutcome): void {
    if (call.settled) return;
    call.settled = true;
    if (call.source !== 'own') {
      this.#open--;
      this.#openBytes -= call.command.length;
    }
    call.command = nothing;
    call.onOutcome(outcome);
  }
}

/** What a peer answers for a write that it certainly did not propose: another may take it. */
const neverTaken: ReadonlySet<string> = new Set(['NOT_PROPOSED', 'NO_LEADER', 'NOT_SERVING']);

/** What goes back to the member that handed a call on. */
export function toExecuteOutcome(outcome: CallOutcome): ExecuteOutcome {
  return outcome.ok ? { ok: true, result: encodeResult(outcome.result) } : outcome;
}
