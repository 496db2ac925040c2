import { describe, expect, it } from 'vitest';
import { Admission } from '../../src/api/admission.ts';
import { ReplicatedRegistryApi } from '../../src/api/registry-api.ts';
import type { WatchCreateRequest, WatchSession } from '../../src/api/types.ts';
import { must } from '../../src/base/assert.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { matchAll } from '../../src/filter/compile-filter.ts';
import { kinds, TestSink } from '../watch/follower.ts';
import { noSessions, ReplicaDouble } from './replica-double.ts';

class Harness {
  readonly replica = new ReplicaDouble();
  readonly sink = new TestSink();
  readonly session: WatchSession;
  idleCalls = 0;

  constructor() {
    const { replica } = this;
    const api = new ReplicatedRegistryApi({
      replica,
      hub: replica.hub,
      admission: new Admission(),
      sessions: noSessions,
    });
    this.session = api.openWatch(this.sink, { actor: 'anonymous', origin: 'here' });
    this.session.onIdle(() => this.idleCalls++);
  }

  create(changes: Partial<WatchCreateRequest> = {}): void {
    this.session.create({ ...plain, ...changes });
  }

  transcript(): string[] {
    return this.sink.responses().map((response) => {
      const { watchId, fromRevision, toRevision, errorReason } = response;
      return `${watchId} ${must(kinds[response.kind], 'kind')} ${fromRevision}-${toRevision} ${errorReason}`.trim();
    });
  }
}

const plain: WatchCreateRequest = {
  watchId: 1,
  namespace: 'default',
  service: 'cart',
  servicePrefix: '',
  matcher: matchAll,
  resumeRevision: 0,
  consistency: 'linearizable',
  once: false,
  progressIntervalMs: 0,
};

/** Promises that are resolved have run their continuations. */
async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

describe('a watch session', () => {
  it('opens a linearizable watch behind a barrier, with what was applied until then', async () => {
    const h = new Harness();
    h.replica.held = [];
    h.create();
    expect(h.session.idle).toBe(false);
    h.replica.driver.register('cart', 'i');
    h.replica.hub.applied(h.replica.driver.takeTurn());
    await settled();
    expect(h.transcript()).toEqual([]);
    h.replica.release();
    await settled();
    expect(h.transcript()).toEqual(['1 snapshot 0-1']);
    expect(h.sink.responses()[0]?.header?.consistency).toBe(0);
  });

  it('opens a stale watch without one, and says so', async () => {
    const h = new Harness();
    h.create({ consistency: 'stale' });
    await settled();
    expect(h.replica.barriers).toBe(0);
    expect(h.sink.responses()[0]?.header).toMatchObject({ consistency: 1, ageMs: 12 });
  });

  it('ends a watch that waits for a revision in vain with that error, and no other', async () => {
    const h = new Harness();
    h.replica.driver.register('cart', 'i');
    h.replica.hub.applied(h.replica.driver.takeTurn());
    h.create({ resumeRevision: 1 });
    h.create({ watchId: 2, resumeRevision: 9 });
    await settled();
    expect(h.replica.waits).toEqual([9]);
    expect(h.transcript()).toEqual(['2 ended 0-0 MEMBER_BEHIND']);
    h.replica.driver.register('cart', 'j');
    h.replica.hub.applied(h.replica.driver.takeTurn());
    expect(h.transcript().slice(1)).toEqual(['1 delta 1-2']);
  });

  it('ends with what the replica refuses with', async () => {
    const h = new Harness();
    h.replica.refusal = new RollcallError('MEMBER_FENCED', 'fenced', { retryAfterMs: 1 });
    h.create();
    h.create({ watchId: 2, consistency: 'stale' });
    await settled();
    expect(h.transcript().toSorted()).toEqual(['1 ended 0-0 MEMBER_FENCED', '2 ended 0-0 MEMBER_FENCED']);
    expect([h.session.idle, h.idleCalls]).toEqual([true, 1]);
  });

  it('cancels a watch while it is being opened, whose id is then free', async () => {
    const h = new Harness();
    h.replica.held = [];
    h.create();
    h.session.cancel(1);
    expect(h.transcript()).toEqual(['1 ended 0-0']);
    expect([h.session.idle, h.idleCalls]).toEqual([true, 1]);
    h.create();
    h.replica.release();
    await settled();
    expect(h.transcript()).toEqual(['1 ended 0-0', '1 snapshot 0-0']);
    h.session.cancel(1);
    h.session.cancel(77);
    expect(h.transcript().slice(2)).toEqual(['1 ended 0-0']);
  });

  it('ends a watch that acknowledges what it was not sent, also while it is being opened', async () => {
    const h = new Harness();
    h.replica.driver.register('cart', 'i');
    h.replica.hub.applied(h.replica.driver.takeTurn());
    h.create();
    await settled();
    h.session.ack(1, 1);
    h.session.ack(9, 100);
    expect(h.transcript()).toEqual(['1 snapshot 0-1']);
    h.session.ack(1, 2);
    expect(h.transcript().slice(1)).toEqual(['1 ended 0-0 INVALID_FIELD']);
    h.replica.held = [];
    h.create();
    h.create({ watchId: 2, resumeRevision: 1 });
    h.session.ack(2, 1);
    h.session.ack(1, 1);
    h.replica.release();
    await settled();
    expect(h.transcript().slice(2)).toEqual(['1 ended 0-0 INVALID_FIELD']);
    expect(h.replica.hub.counts().watches).toBe(1);
  });

  it('is idle when all ended and everything is sent', async () => {
    const h = new Harness();
    expect(h.session.idle).toBe(true);
    h.sink.credit = 1;
    h.create({ once: true });
    await settled();
    expect(h.transcript()).toEqual(['1 snapshot 0-0']);
    expect([h.session.idle, h.idleCalls]).toEqual([false, 0]);
    h.sink.credit = 5;
    h.session.drained();
    expect(h.transcript().at(-1)).toBe('1 ended 0-0');
    expect([h.session.idle, h.idleCalls]).toEqual([true, 1]);
  });

  it('ends both watches of an id that is used twice', async () => {
    const h = new Harness();
    h.create();
    h.create();
    await settled();
    expect(h.transcript()).toEqual(['1 ended 0-0 INVALID_FIELD']);
    h.create();
    await settled();
    h.create();
    await settled();
    expect(h.transcript().slice(1)).toEqual(['1 snapshot 0-0', '1 ended 0-0 INVALID_FIELD']);
    expect(h.replica.hub.counts().watches).toBe(0);
  });

  it('holds at most 1,000 watches, opened or being opened', async () => {
    const h = new Harness();
    h.replica.held = [];
    for (let watchId = 1; watchId <= 1_000; watchId++) h.create({ watchId });
    h.create({ watchId: 1_001 });
    expect(h.transcript()).toEqual(['1001 ended 0-0 OVERLOADED']);
    h.replica.release();
    await settled();
    h.create({ watchId: 1_002 });
    expect(h.replica.hub.counts().watches).toBe(1_000);
    h.replica.clock.advance(0);
    expect(h.transcript().filter((line) => line.endsWith('OVERLOADED')).length).toBe(2);
  });

  it('counts the watches of a connection over all its streams, and those of another one apart', async () => {
    const replica = new ReplicaDouble();
    const { hub } = replica;
    const api = new ReplicatedRegistryApi({
      replica,
      hub,
      admission: new Admission(),
      sessions: noSessions,
      watchesPerConnectionMax: 3,
    });
    const open = (origin: string): { session: WatchSession; ends: () => string[] } => {
      const sink = new TestSink();
      const session = api.openWatch(sink, { actor: 'anonymous', origin });
      const ends = (): string[] =>
        sink.responses().flatMap(({ errorReason }) => (errorReason === '' ? [] : errorReason));
      return { session, ends };
    };
    const [one, two, other] = [open('10.0.0.1:5000'), open('10.0.0.1:5000'), open('10.0.0.1:5001')];
    for (const watchId of [1, 2]) one.session.create({ ...plain, watchId });
    for (const watchId of [1, 2]) two.session.create({ ...plain, watchId });
    for (const watchId of [1, 2, 3]) other.session.create({ ...plain, watchId });
    await settled();
    expect([one.ends(), two.ends(), other.ends()]).toEqual([[], ['OVERLOADED'], []]);
    one.session.cancel(1);
    two.session.create({ ...plain, watchId: 3 });
    await settled();
    expect([two.ends(), hub.counts().watches]).toEqual([['OVERLOADED'], 6]);
    one.session.close();
    two.session.create({ ...plain, watchId: 4 });
    await settled();
    expect([two.ends(), hub.counts().watches]).toEqual([['OVERLOADED'], 6]);
  });

  it('tells a client that creates without reading to go, and has room for all ends until then', async () => {
    const h = new Harness();
    h.replica.held = [];
    h.sink.credit = 0;
    for (let watchId = 1; watchId <= 1_000; watchId++) h.create({ watchId });
    let refused = 0;
    expect(() => {
      for (; refused < 5_000; refused++) h.create({ watchId: 2_000 + refused });
    }).toThrow(RollcallError);
    // One was taken by the sink, which then said stop.
    expect(refused).toBe(1_001);
    h.replica.refusal = new RollcallError('NO_LEADER', 'none', { retryAfterMs: 1 });
    h.replica.release();
    await settled();
    h.sink.credit = Infinity;
    h.session.drained();
    expect(h.sink.sent.length).toBe(2_001);
    expect([h.session.idle, h.replica.hub.counts().backlogBytes]).toEqual([true, 0]);
  });

  it('forgets everything when it is closed', async () => {
    const h = new Harness();
    h.replica.held = [];
    h.create();
    h.session.close();
    h.replica.release();
    await settled();
    h.create({ watchId: 2 });
    expect(h.transcript()).toEqual([]);
    expect(h.replica.hub.counts()).toMatchObject({ streams: 0, watches: 0 });
  });
});
