import type { ServiceError, StatusObject } from '@grpc/grpc-js';

/** A call's answer, as bytes. */
export type AnswerCallback = (error: ServiceError | null, answer?: Buffer) => void;

/** A unary call that was sent; its callback comes once, also where it is cancelled. */
export interface RunningCall {
  cancel(): void;
}

/** A bidirectional stream of encoded messages. It ends with one `status`, and an `error` before it where it failed. */
export interface ByteStream {
  /** What the member does not take yet waits; nothing is told of it. */
  write(message: Buffer): unknown;
  /** Closes this side of the stream. */
  end(): unknown;
  /** Ends the stream, with the status CANCELLED for this side. */
  cancel(): void;
  on(event: 'data', listener: (message: Buffer) => void): unknown;
  on(event: 'error', listener: (error: ServiceError) => void): unknown;
  on(event: 'status', listener: (status: StatusObject) => void): unknown;
}

/** What a client needs of gRPC: calls and streams to one address. Nothing is connected before the first of them. */
export interface Channel {
  call(path: string, request: Buffer, callback: AnswerCallback): RunningCall;
  stream(path: string): ByteStream;
  /** Calls that are under way may still be answered; no other may begin. */
  close(): void;
}

/** Makes the channel to `host:port`. */
export type Connect = (address: string) => Channel;
