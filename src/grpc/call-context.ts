import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { RollcallError } from '../base/errors.ts';
import type { Caller } from '../api/types.ts';
import type { GrpcLimits } from './limits.ts';
import type { CallOutcome, GrpcObserver, MethodName } from './observer.ts';

/** What every handler of this folder works with. */
export interface CallContext {
  readonly clock: Clock;
  readonly limits: GrpcLimits;
  readonly observer: GrpcObserver;
  /** A fault of ours: the owner ends the process. */
  readonly onFatal: (error: unknown) => void;
}

/** The part of a grpc-js call that says who calls and whether it is over. */
interface AnyCall {
  readonly cancelled: boolean;
  getPeer(): string;
  getDeadline(): Date | number;
}

/** Who calls: nobody is authenticated yet, so the address is all there is to know. */
export function callerOf(call: AnyCall): Caller {
  return { actor: 'anonymous', origin: call.getPeer() };
}

/**
 * The same with the end of a unary call by the monotonic clock. grpc-js keeps it by the wall clock, as it was when the
 * call came in; what that clock jumped since then is not known.
 */
export function callerUntilDeadline(context: CallContext, call: AnyCall): Caller {
  const deadlineMs = context.clock.monotonicMs() + msLeft(context, call);
  return deadlineMs === Infinity ? callerOf(call) : { ...callerOf(call), deadlineMs };
}

/** Until the deadline of a call: 0 or less where it has passed, Infinity where there is none. */
export function msLeft(context: CallContext, call: AnyCall): number {
  return Number(call.getDeadline()) - context.clock.wallMs();
}

/**
 * The error as the caller is told it. Anything but a RollcallError is a broken invariant: the owner is told, who ends
 * the process, and the caller learns no more than that.
 */
export function toCallerError(context: CallContext, error: unknown): RollcallError {
  if (error instanceof RollcallError) return error;
  context.onFatal(error);
  return new RollcallError('INTERNAL', 'the member stops because of a fault of its own; its log says which');
}

/** How a call ended as its client saw it: an answer that came too late for it is no success. */
export function outcomeOf(context: CallContext, call: AnyCall, error: RollcallError | undefined): CallOutcome {
  if (!call.cancelled) return error === undefined ? 'OK' : error.code;
  return msLeft(context, call) <= 0 ? 'DEADLINE_EXCEEDED' : 'CANCELLED';
}

/** Tells the observer once how a stream ended. */
export class StreamRecord {
  readonly #context: CallContext;
  readonly #method: MethodName;
  readonly #startedMs: number;
  #told = false;

  constructor(context: CallContext, method: MethodName) {
    this.#context = context;
    this.#method = method;
    this.#startedMs = context.clock.monotonicMs();
  }

  end(outcome: CallOutcome): void {
    if (this.#told) return;
    this.#told = true;
    const durationMs = this.#context.clock.monotonicMs() - this.#startedMs;
    assert(durationMs >= 0, () => `a ${this.#method} stream lasted ${durationMs} ms`);
    this.#context.observer.callEnded(this.#method, outcome, durationMs);
  }
}
