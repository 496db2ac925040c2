import type { Clock, Timer } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { backoffMs } from './backoff.ts';
import type { RunningCall } from './channel.ts';
import { ClientError, tellsMore } from './client-error.ts';
import { clientLimits } from './limits.ts';
import type { Member, MemberPool } from './member-pool.ts';
import type { MethodName } from './methods.ts';
import { methods } from './methods.ts';

export interface UnaryCallsOptions {
  readonly pool: MemberPool;
  readonly clock: Clock;
  readonly random: Random;
  readonly callTimeoutMs: number;
  readonly attemptTimeoutMs: number;
  readonly failFast: boolean;
}

export interface CallKind {
  /** The request carries a request id, and must not be repeated for longer than members remember it. */
  readonly write: boolean;
  /** Default true. False: nothing makes a repeat known, so that none is sent where an attempt may have been taken. */
  readonly repeatsUnknown?: boolean;
}

/** Errors behind which a write was certainly not taken. */
const notApplied: ReadonlySet<string> = new Set([
  'UNREACHABLE',
  'NO_LEADER',
  'NOT_PROPOSED',
  'NOT_SERVING',
  'MEMBER_FENCED',
  'OVERLOADED',
  'TOO_MANY',
  'CHANGE_UNDER_WAY',
]);

/** A member that took so long to refuse a write may take this many times as long. */
const answerTimeSlack = 1.25;

/** Where one call stands between its attempts. */
interface Progress {
  readonly startMs: number;
  readonly deadlineMs: number;
  attempts: number;
  /** Of a write: the last attempt behind which it may be applied. */
  unknown: ClientError | undefined;
  /** How long each member took to say that it had not taken the write, ms. */
  readonly refusedAfterMs: Map<string, number>;
  /** Addresses to which no connection could be made. */
  readonly unreachable: Set<string>;
  /** What a member said last, or why none was reached: what is told where the time of the last attempt is too short. */
  told: ClientError | undefined;
}

/**
 * Unary calls with retries. The same bytes are sent at each attempt, so that a write keeps its request id. A member
 * that fails is left for the next one; one that asks for a pause gets it.
 */
export class UnaryCalls {
  readonly #options: UnaryCallsOptions;
  readonly #running = new Set<RunningCall>();
  /** Ends the pauses between attempts. */
  readonly #waiting = new Set<() => void>();
  #inFlight = 0;
  #closed = false;

  constructor(options: UnaryCallsOptions) {
    this.#options = options;
  }

  /** Resolves with the answer's bytes; rejects with ClientError, at the latest when the call's time is over. */
  async run(method: MethodName, request: Buffer, kind: CallKind): Promise<Buffer> {
    this.#assertMayCall();
    const { clock, callTimeoutMs } = this.#options;
    const startMs = clock.monotonicMs();
    const timeMs = kind.write ? Math.min(callTimeoutMs, clientLimits.repeatWriteMsMax) : callTimeoutMs;
    const progress: Progress = {
      startMs,
      deadlineMs: startMs + timeMs,
      attempts: 0,
      unknown: undefined,
      refusedAfterMs: new Map(),
      unreachable: new Set(),
      told: undefined,
    };
    this.#inFlight += 1;
    try {
      return await this.#attempts(method, request, kind, progress);
    } finally {
      this.#inFlight -= 1;
    }
  }

  /** One attempt at one member, which need not be of the pool. */
  async once(member: Member, method: MethodName, request: Buffer, timeoutMs: number): Promise<Buffer> {
    this.#assertMayCall();
    this.#inFlight += 1;
    try {
      return await this.#attempt(member, method, request, timeoutMs);
    } finally {
      this.#inFlight -= 1;
    }
  }

  /** Ends all calls: they reject with CLOSED. */
  close(): void {
    this.#closed = true;
    for (const call of this.#running) call.cancel();
    for (const wake of this.#waiting) wake();
  }

  #assertMayCall(): void {
    if (this.#closed) throw ClientError.closed('the client');
    const max = clientLimits.callsInFlightMax;
    if (this.#inFlight < max) return;
    throw new ClientError('RESOURCE_EXHAUSTED', 'TOO_MANY', `${max} calls are under way, allowed are at most ${max}`);
  }

  async #attempts(method: MethodName, request: Buffer, kind: CallKind, progress: Progress): Promise<Buffer> {
    const { pool, clock, attemptTimeoutMs } = this.#options;
    for (;;) {
      const member = pool.current;
      const beganMs = clock.monotonicMs();
      const leftMs = Math.max(1, progress.deadlineMs - beganMs);
      if (progress.told !== undefined && wouldBeCutOff(progress, member, leftMs)) {
        throw this.#final(progress.told, progress);
      }
      progress.attempts += 1;
      try {
        return await this.#attempt(member, method, request, Math.min(leftMs, attemptTimeoutMs));
      } catch (thrown) {
        if (!(thrown instanceof ClientError)) throw thrown;
        // The leader's last word: whether to try once more, or with another member, is for who asked.
        if (thrown.reason === 'TRANSFER_FAILED') throw thrown;
        if (kind.write && notApplied.has(thrown.reason)) {
          progress.refusedAfterMs.set(member.address, clock.monotonicMs() - beganMs);
        } else if (kind.write && thrown.retryable) {
          progress.unknown = thrown;
        }
        if (this.#closed) throw this.#final(ClientError.closed('the client'), progress);
        if (!thrown.retryable) throw thrown;
        if (kind.repeatsUnknown === false && !notApplied.has(thrown.reason)) throw this.#final(thrown, progress);
        pool.moveOn(member);
        await this.#pauseOrGiveUp(thrown, member, progress);
      }
    }
  }

  async #pauseOrGiveUp(error: ClientError, member: Member, progress: Progress): Promise<void> {
    const { pool, clock, random, failFast } = this.#options;
    if (error.reason === 'UNREACHABLE') progress.unreachable.add(member.address);
    if (tellsMore(error, progress.told)) progress.told = error;
    const leftMs = progress.deadlineMs - clock.monotonicMs();
    if (leftMs <= 0) throw this.#final(progress.told ?? error, progress);
    if (failFast && progress.unreachable.size === pool.size) {
      throw progress.unknown === undefined ? this.#hopeless(error) : this.#final(error, progress);
    }
    // Members that were not asked yet are asked at once, unless one has asked for a pause.
    const rounds = Math.floor(progress.attempts / pool.size);
    const isNewRound = progress.attempts % pool.size === 0;
    const pauseMs = isNewRound || error.retryAfterMs !== undefined ? backoffMs(rounds, error.retryAfterMs, random) : 0;
    if (pauseMs >= leftMs) throw this.#final(progress.told ?? error, progress);
    if (pauseMs > 0) await this.#pause(pauseMs);
    if (this.#closed) throw this.#final(ClientError.closed('the client'), progress);
  }

  #hopeless(last: ClientError): ClientError {
    const { size } = this.#options.pool;
    const others = size === 1 ? '' : `; nor to the ${size === 2 ? 'other address' : `${size - 1} other addresses`}`;
    const { code, reason, address } = last;
    return new ClientError(code, reason, `${last.message}${others}`, { address, cause: last });
  }

  /** The error that is told, with what is known of all attempts. */
  #final(told: ClientError, progress: Progress): ClientError {
    const { unknown } = progress;
    // "Certainly not" holds for one attempt, not for a write that another may have brought in.
    const error = unknown !== undefined && notApplied.has(told.reason) ? outcomeUnknown(unknown) : told;
    const tookMs = Math.round(this.#options.clock.monotonicMs() - progress.startMs);
    const tries = progress.attempts === 1 ? '' : ` (${progress.attempts} attempts in ${tookMs} ms)`;
    return new ClientError(error.code, error.reason, `${error.message}${tries}`, {
      field: error.field,
      retryAfterMs: error.retryAfterMs,
      address: error.address,
      facts: error.facts,
      mayHaveApplied: unknown !== undefined,
      cause: error,
    });
  }

  #attempt(member: Member, method: MethodName, request: Buffer, timeoutMs: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      let late: ClientError | undefined;
      const call = member.call(methods[method], request, (error, answer) => {
        timer.cancel();
        this.#running.delete(call);
        if (error !== null) reject(late ?? ClientError.ofCall(error, member.address));
        else if (answer === undefined) reject(ClientError.badAnswer(member.address, 'no message'));
        else resolve(answer);
      });
      this.#running.add(call);
      const timer: Timer = this.#options.clock.setTimer(timeoutMs, () => {
        const message = `${member.address} did not answer within ${Math.round(timeoutMs)} ms`;
        late = new ClientError('DEADLINE_EXCEEDED', 'TIMEOUT', message, { address: member.address });
        call.cancel();
      });
    });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        timer.cancel();
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = this.#options.clock.setTimer(ms, wake);
      this.#waiting.add(wake);
    });
  }
}

/**
 * A write of which is known that nobody took it, and a member that may not even say so within the time that is left:
 * one more attempt would make the outcome unknown, and could hardly succeed.
 */
function wouldBeCutOff({ unknown, refusedAfterMs }: Progress, { address }: Member, leftMs: number): boolean {
  const neededMs = Math.max(clientLimits.writeAttemptMsMin, (refusedAfterMs.get(address) ?? 0) * answerTimeSlack);
  return unknown === undefined && refusedAfterMs.size > 0 && leftMs < neededMs;
}

function outcomeUnknown(error: ClientError): ClientError {
  if (error.reason === 'OUTCOME_UNKNOWN') return error;
  const { address, retryAfterMs } = error;
  const message = `the write may still be applied: ${error.message}`;
  return new ClientError('UNAVAILABLE', 'OUTCOME_UNKNOWN', message, { address, retryAfterMs, cause: error });
}
