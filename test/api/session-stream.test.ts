// One stream of a session between its client and a replica whose answers the test gives: what it waits for, and what is
// left behind when it is over.
import { SeededRandom } from '../../src/base/random.ts';
import { describe, expect, it } from 'vitest';
import { apiBounds } from '../../src/api/bounds.ts';
import { SessionHub } from '../../src/api/session-hub.ts';
import type { SessionAnswer, SessionCall, SessionMessage } from '../../src/api/types.ts';
import { must } from '../../src/base/assert.ts';
import { RollcallError } from '../../src/base/errors.ts';
import type { Command, CommandResult } from '../../src/state-machine/types.ts';
import { ReplicaDouble } from './replica-double.ts';
import { nameOf, start } from './session-cluster.ts';

/** What was promised and can be kept by now. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

interface TestStream {
  readonly call: SessionCall;
  readonly answers: SessionAnswer[];
  /** The reason of the end, '' for one without an error; undefined: it goes on. */
  ended: string | undefined;
}

class Harness {
  readonly replica: ReplicaDouble;
  readonly hub: SessionHub;

  constructor(replica: ReplicaDouble = new ReplicaDouble()) {
    this.replica = replica;
    const onFatal = (error: unknown): never => {
      throw error;
    };
    this.hub = new SessionHub({ replica, clock: replica.clock, random: new SeededRandom(1), onFatal });
  }

  open(sessionId = 0, attachment = 0): TestStream {
    const answers: SessionAnswer[] = [];
    const stream: { -readonly [Key in keyof TestStream]?: TestStream[Key] } = { answers, ended: undefined };
    const sink = {
      send: (answer: SessionAnswer) => void answers.push(answer),
      end: (error: RollcallError | undefined) => void (stream.ended = error?.reason ?? ''),
    };
    const request = { sessionId, ttlMs: sessionId === 0 ? 5_000 : 0, requestId: '', attachment };
    stream.call = this.hub.open(request, sink, { actor: 'test', origin: 'test' });
    return stream as TestStream;
  }
}

function write(sequence: number, id: string): SessionMessage {
  return { kind: 'write', sequence, operations: [start(id)] };
}

function kinds({ answers }: TestStream): string[] {
  return answers.map(({ kind }) => kind);
}

describe('a stream that opens', () => {
  it('is told nothing before its member has applied everything up to then', async () => {
    const { replica, open } = bound(new Harness());
    replica.held = [];
    const stream = open();
    stream.call.receive(write(1, 'x'));
    await settled();
    expect([kinds(stream), replica.commands.length]).toEqual([[], 1]);
    replica.release();
    await settled();
    expect(kinds(stream)).toEqual(['opened', 'written']);
  });

  it('is over where a later one has opened before it was told', async () => {
    const { replica, open } = bound(new Harness());
    const first = open();
    await settled();
    replica.held = [];
    const second = open(1, 2);
    const third = open(1, 3);
    await settled();
    replica.release();
    await settled();
    expect([first.ended, second.ended, third.ended]).toEqual(['SESSION_TAKEN', 'SESSION_TAKEN', undefined]);
    expect([kinds(second), kinds(third)]).toEqual([[], ['opened']]);
  });
});

/** Carries a command out and loses the answer, as often as the test says. */
class ForgetfulReplica extends ReplicaDouble {
  toLose = 0;

  override async execute(command: Command): Promise<CommandResult> {
    const result = await super.execute(command);
    if (this.toLose === 0) return result;
    this.toLose--;
    throw new RollcallError('OUTCOME_UNKNOWN', 'lost', { retryAfterMs: 100 });
  }
}

it('a write and an end whose answers are lost are asked for again, and applied once', async () => {
  const replica = new ForgetfulReplica();
  const { open } = bound(new Harness(replica));
  const stream = open();
  await settled();
  replica.toLose = 1;
  stream.call.receive(write(1, 'x'));
  await settled();
  expect(kinds(stream)).toEqual(['opened']);
  replica.clock.advance(100);
  await settled();
  const incarnation = replica.state.incarnationOf('default', nameOf('x').service, 'x');
  expect(stream.answers.at(-1)).toMatchObject({ kind: 'written', results: [{ status: 'registered', incarnation }] });
  expect(replica.state.position.revision).toBe(1);
  replica.toLose = 1;
  stream.call.halfClose();
  await settled();
  expect(stream.ended).toBeUndefined();
  replica.clock.advance(100);
  await settled();
  expect([stream.ended, replica.state.counts().instances]).toEqual(['', 0]);
});

describe('streams that are over leave nothing behind', () => {
  it('of the turns to write, also where they were waiting to try again', async () => {
    const { hub, replica, open } = bound(new Harness());
    replica.refusal = new RollcallError('NO_LEADER', 'none', { retryAfterMs: 100 });
    const opening = Array.from({ length: apiBounds.sessionWritesInFlightMax }, () => open());
    await settled();
    for (const { call } of opening) call.close();
    await settled();
    replica.refusal = undefined;
    const next = open();
    for (let sequence = 1; sequence <= apiBounds.sessionWritesInFlightMax + 1; sequence++) {
      next.call.receive(write(sequence, 'x'));
      await settled();
    }
    expect(next.answers.at(-1)).toMatchObject({ sequence: apiBounds.sessionWritesInFlightMax + 1 });
    expect(hub.streams).toBe(1);
  });

  it('of the room for bytes that wait', async () => {
    const { replica, open } = bound(new Harness());
    replica.refusal = new RollcallError('NO_LEADER', 'none', { retryAfterMs: 100 });
    const spec = { name: nameOf('x'), bytes: new Uint8Array(1024 * 1024), unknownFields: 0 };
    const large = { kind: 'register', spec, restore: false, ownIncarnation: 0 } as const;
    const streams = Array.from({ length: apiBounds.sessionBytesQueuedMax / spec.bytes.length }, () => open());
    for (const { call } of streams) call.receive({ kind: 'write', sequence: 1, operations: [large] });
    expect(streams.map(({ call }) => call.full)).not.toContain(false);
    must(streams.pop(), 'stream').call.close();
    expect(streams.map(({ call }) => call.full)).not.toContain(true);
    await settled();
  });
});

/** The parts of a harness, to be taken apart. */
function bound(harness: Harness): {
  readonly hub: SessionHub;
  readonly replica: ReplicaDouble;
  readonly open: Harness['open'];
} {
  return { hub: harness.hub, replica: harness.replica, open: (...of) => harness.open(...of) };
}
