import { Metadata, status } from '@grpc/grpc-js';
import type { GrpcLimits } from '../../../src/grpc/limits.ts';
import type { CallOrigin, EndStatus, ServerStreamWire } from './server-calls.ts';
import { MemoryUnaryCall } from './server-calls.ts';

type Answer = (error: Partial<EndStatus> | null, bytes?: Buffer | null) => void;
type Handler = (call: MemoryUnaryCall, callback: Answer) => void;

/** A unary call at the member, until it is answered or reset. */
export interface RunningUnary {
  receive(): void;
  credit(): void;
  reset(): void;
}

/**
 * Hands a request to a unary handler and its answer to the wire, once. Undefined where it was refused before.
 *
 * @param handler A string: nobody implements this path.
 */
export function runUnary(
  handler: unknown,
  request: Buffer | undefined,
  origin: CallOrigin,
  limits: GrpcLimits,
  wire: ServerStreamWire,
): RunningUnary | undefined {
  const refuse = (code: number, details: string): undefined => {
    wire.end({ code, details, metadata: new Metadata() });
  };
  if (typeof handler === 'string' || request === undefined) {
    return refuse(status.UNIMPLEMENTED, `The server does not implement the method ${String(handler)}`);
  }
  const { receiveBytesMax, sendBytesMax } = limits;
  if (request.length > receiveBytesMax) {
    return refuse(
      status.RESOURCE_EXHAUSTED,
      `Received message larger than max (${request.length} vs ${receiveBytesMax})`,
    );
  }
  const call = new MemoryUnaryCall(origin, request);
  let over = false;
  const finish = (ending: EndStatus): void => {
    if (over) return;
    over = true;
    late?.cancel();
    wire.end(ending);
  };
  const { timeoutMs, clock } = origin;
  const late =
    timeoutMs === undefined
      ? undefined
      : clock.setTimer(Math.max(0, timeoutMs), () => {
          finish({ code: status.DEADLINE_EXCEEDED, details: 'Deadline exceeded', metadata: new Metadata() });
          call.cancel();
        });
  (handler as Handler)(call, (error, bytes) => {
    if (over) return;
    if (error !== null) {
      const { code = status.UNKNOWN, details = 'Unknown Error', metadata = new Metadata() } = error;
      finish({ code, details, metadata });
    } else if (bytes !== null && bytes !== undefined && bytes.length > sendBytesMax) {
      const details = `Sent message larger than max (${bytes.length + 5} vs. ${sendBytesMax})`;
      finish({ code: status.RESOURCE_EXHAUSTED, details, metadata: new Metadata() });
    } else {
      if (bytes !== null && bytes !== undefined) wire.message(bytes);
      finish({ code: status.OK, details: 'OK', metadata: new Metadata() });
    }
    // grpc-js says so at the end of every call, however it ended.
    queueMicrotask(() => call.cancel());
  });
  return over
    ? undefined
    : {
        receive: () => undefined,
        credit: () => undefined,
        reset: () => {
          if (over) return;
          over = true;
          late?.cancel();
          call.cancel();
        },
      };
}
