import type { MethodDefinition, ServerDuplexStream, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { Reason } from '../../src/base/errors.ts';
import { reasonCodes } from '../../src/base/errors.ts';
import type { MethodName } from '../../src/client/methods.ts';
import { methods } from '../../src/client/methods.ts';
import { google, rollcall } from '../../src/gen/rollcall.js';

export const v1 = rollcall.v1;
export type Stream = ServerDuplexStream<Buffer, Buffer>;

/** An error as a member sends it. */
export interface Refusal {
  readonly reason: Reason;
  readonly retryAfterMs?: number;
  readonly field?: string;
  readonly facts?: Readonly<Record<string, string>>;
  /** Of a unary call: comes so late. */
  readonly afterMs?: number;
}

/** What a unary call is answered with; 'hang': not at all. */
export type Answer = { readonly finish: () => Uint8Array } | Refusal | 'hang';

export interface Behaviour {
  /** The answer to the n-th call, n from 0. */
  unary?: (method: MethodName, request: Buffer, n: number) => Answer;
  watch?: (stream: Stream, member: FakeMember) => void;
  keepAlive?: (stream: Stream, member: FakeMember) => void;
  session?: (stream: Stream, member: FakeMember) => void;
}

export interface SeenCall {
  readonly method: MethodName;
  readonly request: Buffer;
}

/** The wire protocol of a member with scripted answers: what a client meets at its edge. */
export class FakeMember {
  readonly seen: SeenCall[] = [];
  streams = 0;
  readonly #server: Server;
  readonly #open = new Set<Stream>();
  port = 0;

  static async start(behaviour: Behaviour, port = 0): Promise<FakeMember> {
    const member = new FakeMember(behaviour);
    await member.#listen(port);
    return member;
  }

  private constructor(behaviour: Behaviour) {
    // With channelz off, forceShutdown of grpc-js leaves connections open.
    this.#server = new Server();
    const names = Object.keys(methods) as MethodName[];
    const definition = Object.fromEntries(names.map((name) => [name, methodDefinition(name)]));
    const implementation = Object.fromEntries(
      names.map((name) => {
        if (name === 'watch') return [name, (stream: Stream) => this.#stream(stream, behaviour.watch)];
        if (name === 'keepAlive') return [name, (stream: Stream) => this.#stream(stream, behaviour.keepAlive)];
        if (name === 'session') return [name, (stream: Stream) => this.#stream(stream, behaviour.session)];
        return [
          name,
          (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
            const n = this.seen.length;
            this.seen.push({ method: name, request: call.request });
            const answer = behaviour.unary?.(name, call.request, n) ?? { reason: 'UNKNOWN_METHOD' as const };
            if (answer === 'hang') return;
            if ('finish' in answer) callback(null, Buffer.from(answer.finish()));
            else if (answer.afterMs === undefined) callback(statusOf(answer));
            else setTimeout(() => callback(statusOf(answer)), answer.afterMs);
          },
        ];
      }),
    );
    this.#server.addService(definition, implementation);
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get openStreams(): number {
    return this.#open.size;
  }

  /** Ends at once, as a killed process does: its sockets close. */
  kill(): void {
    this.#server.forceShutdown();
  }

  endStreams(refusal: Refusal): void {
    for (const stream of this.#open) stream.emit('error', statusOf(refusal));
  }

  #listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
        this.port = bound;
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  #stream(stream: Stream, behave: ((stream: Stream, member: FakeMember) => void) | undefined): void {
    this.streams += 1;
    this.#open.add(stream);
    stream.on('cancelled', () => this.#open.delete(stream));
    stream.on('error', () => this.#open.delete(stream));
    behave?.(stream, this);
  }
}

/** An address at which nobody listens: a port that was ours a moment ago. */
export async function deadAddress(): Promise<string> {
  const member = await FakeMember.start({});
  member.kill();
  return member.address;
}

export function statusOf({ reason, retryAfterMs, field, facts }: Refusal): {
  code: number;
  details: string;
  metadata: Metadata;
} {
  const code = status[reasonCodes[reason]];
  const message = `refused: ${reason}`;
  const detail = (name: string, value: Uint8Array): google.protobuf.Any.$Properties => ({
    type_url: `type.googleapis.com/google.rpc.${name}`,
    value,
  });
  const details = [
    detail('ErrorInfo', google.rpc.ErrorInfo.encode({ reason, domain: 'rollcall', metadata: facts ?? {} }).finish()),
    // What this version does not know must not matter.
    detail('DebugInfo', Buffer.from('0a00', 'hex')),
  ];
  if (retryAfterMs !== undefined) {
    const retryDelay = { seconds: Math.floor(retryAfterMs / 1_000), nanos: (retryAfterMs % 1_000) * 1_000_000 };
    details.push(detail('RetryInfo', google.rpc.RetryInfo.encode({ retryDelay }).finish()));
  }
  if (field !== undefined) {
    const fieldViolations = [{ field, description: message }];
    details.push(detail('BadRequest', google.rpc.BadRequest.encode({ fieldViolations }).finish()));
  }
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from(google.rpc.Status.encode({ code, message, details }).finish()));
  return { code, details: message, metadata };
}

function methodDefinition(name: MethodName): MethodDefinition<Buffer, Buffer> {
  const isStream = name === 'watch' || name === 'keepAlive' || name === 'session';
  const same = (bytes: Buffer): Buffer => bytes;
  return {
    path: methods[name],
    requestStream: isStream,
    responseStream: isStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
    originalName: name,
  };
}

/** Resolves once `holds` does; fails after `timeoutMs` with `what`. */
export async function until(holds: () => boolean, what: string, timeoutMs = 5_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
