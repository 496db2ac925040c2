// What a session's stream is told by a member that cannot go on with it.
import { expect, it } from 'vitest';
import { apiBounds } from '../../src/api/bounds.ts';
import { SessionHub } from '../../src/api/session-hub.ts';
import { must } from '../../src/base/assert.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { SeededRandom } from '../../src/base/random.ts';
import type { Command, CommandResult } from '../../src/state-machine/types.ts';
import { RegistryState } from '../../src/state-machine/registry-state.ts';
import { ReplicaDouble } from './replica-double.ts';
import { SessionCluster, start } from './session-cluster.ts';

/** Its hash is another than that of equal states from when the test says so. */
class OddState extends RegistryState {
  readonly #isOdd: () => boolean;

  constructor(isOdd: () => boolean) {
    super();
    this.#isOdd = isOdd;
  }

  override stateHash(): string {
    const hash = super.stateHash();
    return this.#isOdd() ? `${hash.startsWith('f') ? '0' : 'f'}${hash.slice(1)}` : hash;
  }
}

it('ends the streams of a member whose state differs from the majority, and tells them nothing out of it', async () => {
  let odd = '';
  const all = await SessionCluster.started({ createState: (id) => new OddState(() => odd === id) });
  const leader = await all.cluster.leader();
  const [member, sound] = all.cluster.members.map(({ id }) => id).filter((id) => id !== leader);
  const { stream, sessionId } = await all.open(must(member, 'follower'));
  await stream.write(1, [start('x')]);
  const { stream: rival } = await all.open(must(sound, 'another follower'));
  odd = must(member, 'follower');
  // Hashes are taken where something is applied.
  await rival.write(1, [start('y')]);
  await all.cluster.until('the odd member to fence itself', () =>
    all.cluster.replica(odd).status().fenced ? true : undefined,
  );
  await rival.write(2, [start('x')]);
  expect(await stream.endReason()).toBe('MEMBER_FENCED');
  expect(stream.all('lost')).toEqual([]);
  expect(all.streams(odd)).toBe(0);
  // Another member tells it what happened.
  const { stream: next } = await all.open(must(sound, 'another follower'), { sessionId, attachment: 2 });
  expect((await next.next('lost')).lost.cause).toBe('superseded');
  await all.stop();
});

/** Refuses each command as apply does where too many request ids are remembered. */
class FullReplica extends ReplicaDouble {
  executed = 0;

  override execute(): Promise<CommandResult> {
    this.executed++;
    const message = 'too many requests with an id within a minute';
    return Promise.resolve({ kind: 'refused', revision: 0, reason: 'OVERLOADED', message, field: 'request_id' });
  }
}

it('says when to come again where too many request ids are remembered, and does not ask again itself', async () => {
  const replica = new FullReplica();
  const onFatal = (error: unknown): never => {
    throw error;
  };
  const hub = new SessionHub({ replica, clock: replica.clock, random: new SeededRandom(1), onFatal });
  const ended = new Promise<RollcallError | undefined>((resolve) => {
    const request = { sessionId: 0, ttlMs: 5_000, requestId: 'r', attachment: 0 };
    hub.open(request, { send: () => undefined, end: resolve }, { actor: 'test', origin: 'test' });
  });
  expect(await ended).toMatchObject({
    reason: 'OVERLOADED',
    field: 'open.request_id',
    retryAfterMs: apiBounds.overloadedRetryAfterMs,
  });
  expect([replica.executed, hub.streams]).toEqual([1, 0]);
});

/** Lets every promise that can go on do so. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Nobody can tell the outcome of the first try of each command. */
class ForgetfulReplica extends ReplicaDouble {
  readonly asked: Command[] = [];

  override execute(command: Command): Promise<CommandResult> {
    this.asked.push(command);
    if (this.asked.length % 2 === 1) {
      return Promise.reject(new RollcallError('OUTCOME_UNKNOWN', 'who knows', { retryAfterMs: 100 }));
    }
    return super.execute(command);
  }
}

it('opens with an id of its own where the client gave none, the same at each try, so that it opens once', async () => {
  const replica = new ForgetfulReplica();
  const onFatal = (error: unknown): never => {
    throw error;
  };
  const hub = new SessionHub({ replica, clock: replica.clock, random: new SeededRandom(1), onFatal });
  const sink = { send: () => undefined, end: () => undefined };
  const caller = { actor: 'test', origin: 'test' };
  for (const requestId of ['', '', 'mine']) {
    hub.open({ sessionId: 0, ttlMs: 5_000, requestId, attachment: 0 }, sink, caller);
    await settled();
    replica.clock.advance(100);
    await settled();
  }
  const ids = replica.asked.map(({ requestId }) => requestId);
  expect(ids).toHaveLength(6);
  expect(ids[0]).toMatch(/^[0-9a-f]{32}$/);
  expect([ids[1], ids[3], ids[4], ids[5]]).toEqual([ids[0], ids[2], 'mine', 'mine']);
  expect(ids[2]).not.toBe(ids[0]);
});

it('fails without a quorum within two election timeouts, however many sessions wait for their turn', async () => {
  const all = await SessionCluster.started();
  const leader = await all.cluster.leader();
  const member = must(
    all.cluster.members.find(({ id }) => id !== leader),
    'follower',
  ).id;
  const { stream } = await all.open(member, { ttlMs: 60_000 });
  for (const { id } of all.cluster.members) if (id !== member) all.cluster.crash(id);
  await all.cluster.run(3_000);
  const startMs = all.cluster.clock.monotonicMs();
  const opening = Array.from({ length: 2 * apiBounds.sessionWritesInFlightMax }, () => all.begin(member, {}));
  stream.call.receive({ kind: 'write', sequence: 1, operations: [start('x')] });
  for (const each of [...opening, stream]) expect(await each.endReason()).toBe('NO_LEADER');
  const { electionTimeoutMs } = all.cluster.replica(member);
  expect(all.cluster.clock.monotonicMs() - startMs).toBeLessThanOrEqual(2 * electionTimeoutMs);
  expect(stream.ended?.error?.retryAfterMs).toBeGreaterThan(0);
  expect(all.streams(member)).toBe(0);
  await all.stop();
});
