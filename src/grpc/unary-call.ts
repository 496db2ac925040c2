import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import type { Caller } from '../api/types.ts';
import { RollcallError } from '../base/errors.ts';
import type { CallContext } from './call-context.ts';
import { callerUntilDeadline, msLeft, outcomeOf, toCallerError } from './call-context.ts';
import { asBuffer } from './method-table.ts';
import type { MethodName } from './observer.ts';
import { callStatusOf } from './status-errors.ts';

/** One unary method: from bytes to bytes. Each part may throw RollcallError. */
export interface UnaryMethod<Request, Answer> {
  readonly name: MethodName;
  parse(bytes: Uint8Array): Request;
  run(request: Request, caller: Caller): Promise<Answer>;
  render(answer: Answer): Uint8Array;
}

export type UnaryHandler = (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => void;

/**
 * The handler of a unary method for grpc-js. A call that is over before it gets here starts no work: one that is
 * cancelled has nobody left to answer, one past its deadline is refused with DEADLINE.
 */
export function unaryHandler<Request, Answer>(
  context: CallContext,
  method: UnaryMethod<Request, Answer>,
): UnaryHandler {
  return (call, callback) => {
    const startedMs = context.clock.monotonicMs();
    const record = (error: RollcallError | undefined): void => {
      const durationMs = context.clock.monotonicMs() - startedMs;
      context.observer.callEnded(method.name, outcomeOf(context, call, error), durationMs);
    };
    const fail = (thrown: unknown): void => {
      const error = toCallerError(context, thrown);
      record(error);
      callback(callStatusOf(error));
    };
    const succeed = (answer: Answer): void => {
      const bytes = method.render(answer);
      record(undefined);
      callback(null, asBuffer(bytes));
    };
    if (call.cancelled) {
      record(undefined);
      return;
    }
    try {
      refuseLate(context, call);
      method.run(method.parse(call.request), callerUntilDeadline(context, call)).then(succeed).catch(fail);
    } catch (thrown) {
      fail(thrown);
    }
  };
}

/** After a stall of the loop the deadline's own timer may be late: what nobody waits for is not begun. */
function refuseLate(context: CallContext, call: ServerUnaryCall<Buffer, Buffer>): void {
  if (msLeft(context, call) > 0) return;
  throw new RollcallError('DEADLINE', 'the deadline of the call passed before it was worked on; nothing was done');
}
