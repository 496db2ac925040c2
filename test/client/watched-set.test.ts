import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { applyBatch } from '../../src/client/batch-queue.ts';
import { RollcallClient } from '../../src/client/client.ts';
import type { Instance, SetChange, WatchBatch, WatchedSetOptions, WatchEvent } from '../../src/client/types.ts';
import type { WatchedSet } from '../../src/client/watched-set.ts';
import { applyToSet } from '../../src/client/watched-set.ts';
import type { rollcall } from '../../src/gen/rollcall.js';
import { deadAddress, FakeMember, until, v1 } from './fake-member.ts';

const K = v1.WatchBatchKind;
const E = v1.WatchEventKind;
type Response = rollcall.v1.WatchResponse.$Properties;

const members: FakeMember[] = [];
const clients: RollcallClient[] = [];

afterEach(() => {
  for (const made of clients.splice(0)) made.close();
  for (const started of members.splice(0)) started.kill();
});

interface Watching {
  readonly set: WatchedSet;
  readonly clock: ManualClock;
  readonly changes: SetChange[][];
  readonly send: (response: Response) => void;
}

async function watching(options: WatchedSetOptions = {}): Promise<Watching> {
  let send: Watching['send'] | undefined;
  const a = await FakeMember.start({
    watch: (stream) => {
      stream.on('data', (bytes: Buffer) => {
        const watchId = v1.WatchRequest.decode(bytes).create?.watchId;
        if (watchId === undefined || watchId === null) return;
        send = (response) => void stream.write(Buffer.from(v1.WatchResponse.encode({ watchId, ...response }).finish()));
      });
    },
  });
  members.push(a);
  const clock = new ManualClock();
  const client = new RollcallClient({ servers: a.address, clock });
  clients.push(client);
  const changes: SetChange[][] = [];
  const set = client.watchSet({ ...options, onChange: (change) => changes.push([...change]) });
  await until(() => send !== undefined, 'the watch');
  return { set, clock, changes, send: (response) => send?.(response) };
}

function put(id: string, revision: number): rollcall.v1.WatchEvent.$Properties {
  const meta = { incarnation: revision, modifyRevision: revision };
  return { kind: E.WATCH_EVENT_KIND_PUT, revision, instance: { spec: { service: 'web', id }, meta } };
}

const goes = (kind: rollcall.v1.WatchEventKind, id: string, revision: number): rollcall.v1.WatchEvent.$Properties => ({
  kind,
  revision,
  key: { namespace: 'default', service: 'web', id },
});

const told = (changes: readonly SetChange[]): string[] =>
  changes.map((change) => `${change.kind} ${(change.kind === 'put' ? change.instance : change.before).id}`);

describe('a watched set', () => {
  it('is ready with the first snapshot, follows each batch, and tells what differs', async () => {
    const { set, changes, send } = await watching({ service: 'web' });
    expect([set.instances.size, set.ageMs, set.revision]).toEqual([0, undefined, 0]);
    send({ kind: K.WATCH_BATCH_KIND_SNAPSHOT, toRevision: 5, events: [put('1', 4), put('2', 5)] });
    await set.ready();
    expect(set.get({ service: 'web', id: '1' })).toMatchObject({ incarnation: 4 });
    send({
      kind: K.WATCH_BATCH_KIND_DELTA,
      fromRevision: 5,
      toRevision: 7,
      events: [goes(E.WATCH_EVENT_KIND_LEAVES, '1', 6), put('2', 7)],
    });
    await until(() => set.revision === 7, 'the delta');
    expect([[...set.instances.keys()], set.get({ service: 'web', id: '1' })]).toEqual([['web/2'], undefined]);
    // Each instance once, and what the reader never saw is not told.
    const events = [put('3', 9), goes(E.WATCH_EVENT_KIND_DELETE, '2', 9), goes(E.WATCH_EVENT_KIND_DELETE, 'never', 9)];
    send({ kind: K.WATCH_BATCH_KIND_DELTA, fromRevision: 7, toRevision: 9, coalesced: true, events });
    await until(() => set.revision === 9, 'the coalesced delta');
    send({ kind: K.WATCH_BATCH_KIND_RESET, toRevision: 20, events: [put('3', 9), put('4', 20)] });
    await until(() => set.revision === 20, 'the reset');
    expect(changes.map(told)).toEqual([['put 1', 'put 2'], ['removed 1', 'put 2'], ['put 3', 'removed 2'], ['put 4']]);
    expect(changes[1]?.[1]).toMatchObject({ before: { incarnation: 5 }, instance: { incarnation: 7 } });
  });

  it('says how old it is, by what members say and since they said it', async () => {
    const { set, clock, send } = await watching();
    send({ kind: K.WATCH_BATCH_KIND_SNAPSHOT, toRevision: 5, header: { ageMs: 30 } });
    await set.ready();
    expect(set.ageMs).toBe(30);
    clock.advance(400);
    expect(set.ageMs).toBe(430);
    send({ kind: K.WATCH_BATCH_KIND_PROGRESS, fromRevision: 5, toRevision: 8, header: { ageMs: 7 } });
    await until(() => set.revision === 8, 'the mark');
    expect(set.ageMs).toBe(7);
  });

  it('stays as it is when it is closed, or where the watch cannot go on', async () => {
    const failures: string[] = [];
    const { set, send } = await watching({ onFailed: ({ reason }) => failures.push(reason) });
    send({ kind: K.WATCH_BATCH_KIND_SNAPSHOT, toRevision: 5, events: [put('1', 5)] });
    await set.ready();
    send({ kind: K.WATCH_BATCH_KIND_ENDED, errorReason: 'HISTORY_CHANGED', errorMessage: 'gone' });
    await until(() => failures.length > 0, 'the failure');
    expect([failures, set.instances.size]).toEqual([['HISTORY_CHANGED'], 1]);
    const dead = new RollcallClient({ servers: await deadAddress() });
    clients.push(dead);
    const never = dead.watchSet();
    const late = dead.watchSet({ firstBatchTimeoutMs: 50 });
    never.close();
    await expect(never.ready()).rejects.toMatchObject({ reason: 'CLOSED' });
    await expect(late.ready()).rejects.toMatchObject({ reason: 'UNREACHABLE' });
  });
});

function instance(id: string, revision: number): Instance {
  const text = { namespace: 'default', service: 'web', id, version: '', region: '', zone: '' };
  const revisions = { incarnation: revision, createRevision: revision, modifyRevision: revision, leaseId: 0 };
  const rest = { endpoints: [], tags: [], metadata: {}, weight: 100, createTimeMs: 0, modifyTimeMs: 0 };
  return { ...text, ...revisions, ...rest, status: 'up' };
}

function eventOf(id: string, kind: 'put' | 'delete' | 'leaves', revision: number): WatchEvent {
  const key = { namespace: 'default', service: 'web', id };
  if (kind === 'put') return { kind, revision, instance: instance(id, revision) };
  if (kind === 'leaves') return { kind, revision, key, incarnation: 0 };
  return { kind, revision, key, incarnation: 0, cause: 'deregistered', reason: '' };
}

describe('the changes of a set', () => {
  const event = fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    kind: fc.constantFrom('put' as const, 'put' as const, 'delete' as const, 'leaves' as const),
  });
  const step = fc.record({
    kind: fc.constantFrom<WatchBatch['kind']>('delta', 'delta', 'delta', 'reset', 'progress'),
    events: fc.array(event, { maxLength: 6 }),
  });

  it('lead from each set to the next, name each instance once, and only what differs', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const set = new Map<string, Instance>();
        const replayed = new Map<string, Instance>();
        const byChanges = new Map<string, Instance>();
        let revision = 0;
        for (const { kind, events } of steps) {
          const before = new Map(set);
          // A reset tells again what has not changed.
          const kept = kind === 'reset' ? [...before.values()].filter((_, i) => i % 2 === 0) : [];
          const same: WatchEvent[] = kept.map((each) => ({
            kind: 'put',
            revision: each.modifyRevision,
            instance: { ...each },
          }));
          const fresh = events.filter((each) => kind !== 'reset' || each.kind === 'put');
          const changed = kind === 'progress' ? [] : fresh.map((each) => eventOf(each.id, each.kind, ++revision));
          const batch = { kind, events: [...same, ...changed] };
          const changes = applyToSet(set, batch);
          applyBatch(replayed, batch);
          for (const change of changes) {
            const { service, id } = change.kind === 'put' ? change.instance : change.before;
            const key = `${service}/${id}`;
            expect(change.before).toBe(before.get(key));
            if (change.kind === 'put') byChanges.set(key, change.instance);
            else byChanges.delete(key);
            expect(change.kind === 'put' ? change.instance : undefined).toBe(set.get(key));
          }
          expect(
            new Set(changes.map((change) => (change.kind === 'put' ? change.instance : change.before).id)).size,
          ).toBe(changes.length);
          expect(set).toEqual(replayed);
          expect(byChanges).toEqual(set);
          const differing = [...new Set([...before.keys(), ...set.keys()])].filter(
            (key) => before.get(key)?.modifyRevision !== set.get(key)?.modifyRevision,
          );
          expect(changes).toHaveLength(differing.length);
        }
      }),
    );
  });
});
