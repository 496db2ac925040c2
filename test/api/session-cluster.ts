import { SessionHub } from '../../src/api/session-hub.ts';
import type {
  CheckedOperation,
  CheckedSpec,
  SessionAnswer,
  SessionCall,
  SessionResult,
  SessionSink,
} from '../../src/api/types.ts';
import type { RollcallError } from '../../src/base/errors.ts';
import type { InstanceName } from '../../src/state-machine/types.ts';
import { MemoryCluster, type MemoryClusterOptions } from '../replica/memory-cluster.ts';

type Answer<Kind extends SessionAnswer['kind']> = Extract<SessionAnswer, { readonly kind: Kind }>;

/** One stream of a session, as its client sees it. */
export class TestStream implements SessionSink {
  readonly answers: SessionAnswer[] = [];
  readonly #cluster: MemoryCluster;
  call!: SessionCall;
  ended: { readonly error: RollcallError | undefined } | undefined;

  constructor(cluster: MemoryCluster) {
    this.#cluster = cluster;
  }

  send(answer: SessionAnswer): void {
    if (this.ended !== undefined) throw new Error('an answer behind the end');
    this.answers.push(answer);
  }

  end(error: RollcallError | undefined): void {
    if (this.ended !== undefined) throw new Error('a stream ended twice');
    this.ended = { error };
  }

  all<Kind extends SessionAnswer['kind']>(kind: Kind): Answer<Kind>[] {
    return this.answers.filter((answer): answer is Answer<Kind> => answer.kind === kind);
  }

  /** The first answer of a kind that fits. */
  next<Kind extends SessionAnswer['kind']>(
    kind: Kind,
    fits: (answer: Answer<Kind>) => boolean = () => true,
  ): Promise<Answer<Kind>> {
    return this.#cluster.until(`a ${kind}`, () => this.all(kind).find(fits));
  }

  async write(sequence: number, operations: readonly CheckedOperation[]): Promise<readonly SessionResult[]> {
    const before = this.all('written').length;
    this.call.receive({ kind: 'write', sequence, operations });
    const written = await this.#cluster.until(`write ${sequence}`, () => this.all('written')[before]);
    if (written.sequence !== sequence) throw new Error(`write ${sequence} answered as ${written.sequence}`);
    return written.results;
  }

  async ping(pingId: number): Promise<boolean> {
    this.call.receive({ kind: 'ping', pingId });
    return (await this.next('pong', (pong) => pong.pingId === pingId)).renewed;
  }

  /** The reason of the end; '' for one without an error. */
  endReason(msMax?: number): Promise<string> {
    return this.#cluster.until('the end of the stream', () => this.ended && (this.ended.error?.reason ?? ''), msMax);
  }
}

/** A cluster on twins in memory with a hub of sessions at each member. */
export class SessionCluster {
  readonly cluster: MemoryCluster;
  readonly fatal: unknown[] = [];
  readonly #hubs = new Map<string, SessionHub>();

  constructor(options: MemoryClusterOptions = {}) {
    this.cluster = new MemoryCluster(options);
  }

  static async started(options: MemoryClusterOptions = {}): Promise<SessionCluster> {
    const made = new SessionCluster(options);
    await made.cluster.startAll();
    await made.cluster.leader();
    for (const { id } of made.cluster.members) made.addHub(id);
    return made;
  }

  /** For a member that was started (again). */
  addHub(id: string): void {
    const replica = this.cluster.replica(id);
    const onFatal = (error: unknown): void => void this.fatal.push(error);
    this.#hubs.set(id, new SessionHub({ replica, clock: this.cluster.clock, random: this.cluster.random, onFatal }));
  }

  streams(member: string): number {
    return this.#hubs.get(member)?.streams ?? 0;
  }

  begin(member: string, request: { sessionId?: number; attachment?: number; ttlMs?: number; id?: string }): TestStream {
    const { sessionId = 0, attachment = 0, ttlMs = sessionId === 0 ? 10_000 : 0, id = '' } = request;
    const hub = this.#hubs.get(member);
    if (hub === undefined) throw new Error(`no hub at ${member}`);
    const stream = new TestStream(this.cluster);
    const caller = { actor: 'test', origin: 'test' };
    stream.call = hub.open({ sessionId, ttlMs, requestId: id, attachment }, stream, caller);
    return stream;
  }

  /** A stream that is open, and its session's id. */
  async open(
    member: string,
    request: { sessionId?: number; attachment?: number; ttlMs?: number } = {},
  ): Promise<{ stream: TestStream; sessionId: number }> {
    const stream = this.begin(member, request);
    const { sessionId } = await stream.next('opened');
    return { stream, sessionId };
  }

  async stop(): Promise<void> {
    // What changed last is flushed in slices, which take their turns.
    await this.cluster.run(500);
    await this.cluster.stop();
    const fatal = [...this.fatal, ...this.cluster.members.flatMap((member) => member.fatal)];
    if (fatal.length > 0) throw fatal[0];
  }
}

export function nameOf(id: string): InstanceName {
  return { namespace: 'default', service: 's', id };
}

export function specOf(id: string, content: string = ''): CheckedSpec {
  return { name: nameOf(id), bytes: Buffer.from(`${id}=${content}`), unknownFields: 0 };
}

export function start(id: string, content?: string): CheckedOperation {
  return { kind: 'register', spec: specOf(id, content), restore: false, ownIncarnation: 0 };
}

export function restore(id: string, ownIncarnation: number = 0): CheckedOperation {
  return { kind: 'register', spec: specOf(id), restore: true, ownIncarnation };
}

export function update(id: string, content: string, incarnation: number = 0): CheckedOperation {
  return { kind: 'update', spec: specOf(id, content), incarnation };
}

export function remove(id: string): CheckedOperation {
  return { kind: 'deregister', name: nameOf(id), incarnation: 0, reason: '' };
}
