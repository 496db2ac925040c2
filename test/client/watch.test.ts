import { afterEach, describe, expect, it } from 'vitest';
import { RollcallClient } from '../../src/client/client.ts';
import { ClientError } from '../../src/client/client-error.ts';
import type { WatchBatch } from '../../src/client/types.ts';
import type { Watch } from '../../src/client/watch.ts';
import type { rollcall } from '../../src/gen/rollcall.js';
import type { Stream } from './fake-member.ts';
import { deadAddress, FakeMember, until, v1 } from './fake-member.ts';

type Create = rollcall.v1.WatchCreate.$Properties;
type Response = rollcall.v1.WatchResponse.$Properties;

const K = v1.WatchBatchKind;
const members: FakeMember[] = [];
const clients: RollcallClient[] = [];

/** A member whose watches are answered by `answer`, which may send as often as it likes. */
async function member(
  answer: (create: Create, send: (response: Response) => void, stream: Stream) => void,
  creates: Create[] = [],
  acks: [number, number][] = [],
): Promise<FakeMember> {
  const started = await FakeMember.start({
    watch: (stream) => {
      stream.on('data', (bytes: Buffer) => {
        const { create, ack } = v1.WatchRequest.decode(bytes);
        if (ack !== undefined && ack !== null) acks.push([ack.watchId ?? 0, ack.revision ?? 0]);
        if (create === undefined || create === null) return;
        creates.push(create);
        const { watchId = 0 } = create;
        const send = (response: Response): void =>
          void stream.write(Buffer.from(v1.WatchResponse.encode({ watchId, ...response }).finish()));
        answer(create, send, stream);
      });
    },
  });
  members.push(started);
  return started;
}

function client(...servers: readonly string[]): RollcallClient {
  const made = new RollcallClient({ spread: false, servers });
  clients.push(made);
  return made;
}

afterEach(() => {
  for (const made of clients.splice(0)) made.close();
  for (const started of members.splice(0)) started.kill();
});

function put(id: string, revision: number): rollcall.v1.WatchEvent.$Properties {
  return {
    kind: v1.WatchEventKind.WATCH_EVENT_KIND_PUT,
    revision,
    instance: { spec: { service: 'web', id }, meta: { incarnation: revision, modifyRevision: revision } },
  };
}

function gone(id: string, revision: number): rollcall.v1.WatchEvent.$Properties {
  return {
    kind: v1.WatchEventKind.WATCH_EVENT_KIND_DELETE,
    revision,
    key: { namespace: 'default', service: 'web', id },
    cause: v1.RemovalCause.REMOVAL_CAUSE_LEASE_EXPIRED,
  };
}

const snapshot = (to: number, ...ids: string[]): Response => ({
  kind: K.WATCH_BATCH_KIND_SNAPSHOT,
  toRevision: to,
  events: ids.map((id) => put(id, to)),
});
const delta = (from: number, to: number, ...events: rollcall.v1.WatchEvent.$Properties[]): Response => ({
  kind: K.WATCH_BATCH_KIND_DELTA,
  fromRevision: from,
  toRevision: to,
  events,
});

async function take(watch: Watch, count: number): Promise<WatchBatch[]> {
  const batches: WatchBatch[] = [];
  while (batches.length < count) {
    const { value, done } = await watch.next();
    if (done === true) throw new Error(`the watch ended after ${batches.length} of ${count} batches`);
    batches.push(value);
  }
  return batches;
}

const steps = (batches: readonly WatchBatch[]) => batches.map(({ kind, from, to }) => `${kind} ${from}-${to}`);
const held = (watch: Watch) => [...watch.instances.keys()];

describe('a watch', () => {
  it('gives the snapshot and each change, and keeps the set as of what was delivered', async () => {
    const a = await member((_, send) => {
      send(snapshot(5, '1', '2'));
      send(delta(5, 7, gone('1', 6), put('3', 7)));
    });
    const watch = client(a.address).watch({ service: 'web' });
    await take(watch, 1);
    expect([watch.revision, held(watch)]).toEqual([5, ['web/1', 'web/2']]);
    const [batch] = await take(watch, 1);
    expect(batch?.events[0]).toMatchObject({ kind: 'delete', key: { id: '1' }, cause: 'lease-expired' });
    expect([watch.revision, held(watch)]).toEqual([7, ['web/2', 'web/3']]);
  });

  it('puts the parts of a batch together before it delivers it', async () => {
    let finish: () => void = () => undefined;
    const a = await member((_, send) => {
      send({ ...snapshot(5, '1'), more: true });
      send({ ...snapshot(5, '2'), more: true });
      finish = () => send(snapshot(5, '3'));
    });
    const watch = client(a.address).watch();
    const first = take(watch, 1);
    let delivered = false;
    void first.then(() => {
      delivered = true;
    });
    await until(() => a.streams === 1, 'the stream');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(delivered).toBe(false);
    finish();
    expect((await first)[0]?.events).toHaveLength(3);
  });

  it('goes on behind the last whole batch on another member when its own is killed', async () => {
    const resumed: Create[] = [];
    const a = await member((_, send) => {
      send(snapshot(5, '1'));
      send(delta(5, 6, put('2', 6)));
      send({ ...delta(6, 8, put('lost', 8)), more: true });
    });
    const b = await member(({ resumeRevision = 0 }, send) => send(delta(resumeRevision ?? 0, 9, put('3', 9))), resumed);
    const interruptions: ClientError[] = [];
    const watch = client(a.address, b.address).watch({ onInterrupted: (error) => interruptions.push(error) });
    const before = await take(watch, 2);
    a.kill();
    const after = await take(watch, 1);
    expect(steps([...before, ...after])).toEqual(['snapshot 0-5', 'delta 5-6', 'delta 6-9']);
    expect(resumed.map(({ resumeRevision }) => resumeRevision)).toEqual([6]);
    expect(held(watch)).toEqual(['web/1', 'web/2', 'web/3']);
    expect(interruptions.map(({ reason }) => reason)).toEqual(['BROKEN']);
  });

  it('replaces what it holds on a reset', async () => {
    const a = await member((_, send) => send(snapshot(5, '1', '2')));
    const b = await member((_, send) => send({ ...snapshot(50, '2', '9'), kind: K.WATCH_BATCH_KIND_RESET }));
    const watch = client(a.address, b.address).watch();
    await take(watch, 1);
    a.kill();
    expect(steps(await take(watch, 1))).toEqual(['reset 0-50']);
    expect(held(watch)).toEqual(['web/2', 'web/9']);
  });

  it.each([
    ['a gap', delta(7, 8, put('x', 8))],
    ['a repeated change', delta(4, 6, put('x', 6))],
    ['a snapshot from before', { ...snapshot(4, 'x'), kind: K.WATCH_BATCH_KIND_RESET }],
    ['an unknown kind of batch', { ...snapshot(6, 'x'), kind: 99 }],
    ['an unknown kind of event', delta(5, 6, { kind: 9 as rollcall.v1.WatchEventKind, revision: 6 })],
  ])('leaves a member that sends %s, and loses nothing', async (_, bad) => {
    const a = await member((create, send) => {
      if ((create.resumeRevision ?? 0) === 0) send(snapshot(5, '1'));
      send(bad as Response);
    });
    const b = await member((create, send) => send(delta(create.resumeRevision ?? 0, 9, put('2', 9))));
    const watch = client(a.address, b.address).watch();
    expect(steps(await take(watch, 2))).toEqual(['snapshot 0-5', 'delta 5-9']);
    expect(held(watch)).toEqual(['web/1', 'web/2']);
  });

  it('asks another member where this one is behind or does not serve', async () => {
    const a = await member((_, send) =>
      send({ kind: K.WATCH_BATCH_KIND_ENDED, errorReason: 'MEMBER_BEHIND', errorMessage: 'not yet' }),
    );
    const b = await member((_, send) => send(snapshot(5, '1')));
    expect(steps(await take(client(a.address, b.address).watch(), 1))).toEqual(['snapshot 0-5']);
  });

  it('asks the same member again where there is no other, and the other watches do not notice', async () => {
    let refusals = 0;
    const a = await member((create, send) => {
      if (create.service === 'late' && refusals++ === 0) {
        send({ kind: K.WATCH_BATCH_KIND_ENDED, errorReason: 'NO_LEADER', errorMessage: 'none' });
      } else send(snapshot(5, '1'));
    });
    const c = client(a.address);
    const calm = c.watch({ service: 'calm' });
    const late = c.watch({ service: 'late' });
    expect(steps([...(await take(calm, 1)), ...(await take(late, 1))])).toEqual(['snapshot 0-5', 'snapshot 0-5']);
    expect([a.streams, refusals]).toEqual([1, 2]);
  });

  it('fails with what cannot be mended, and the other watches go on', async () => {
    const a = await member((create, send) => {
      if (create.service === 'bad')
        send({ kind: K.WATCH_BATCH_KIND_ENDED, errorReason: 'HISTORY_CHANGED', errorMessage: 'gone' });
      else send(snapshot(5, '1'));
    });
    const c = client(a.address);
    const bad = c.watch({ service: 'bad' });
    await expect(bad.next()).rejects.toMatchObject({ reason: 'HISTORY_CHANGED', code: 'FAILED_PRECONDITION' });
    expect(await bad.next()).toEqual({ done: true, value: undefined });
    await take(c.watch({ service: 'good' }), 1);
  });

  it('tells a stream that was refused as a whole to those that got nothing yet', async () => {
    const a = await member((create, send, stream) => {
      if (create.service !== 'bad') send(snapshot(5, '1'));
      else members[0]?.endStreams({ reason: 'INVALID_FIELD', field: 'create.service' });
      void stream;
    });
    const c = client(a.address);
    const good = c.watch({ service: 'good', progressIntervalMs: 100 });
    await take(good, 1);
    await expect(c.watch({ service: 'bad' }).next()).rejects.toMatchObject({ field: 'create.service' });
    await until(() => a.streams === 2, 'the good watch goes on');
  });

  it('ends after the snapshot with once, and then holds no stream open', async () => {
    const a = await member((create, send) => {
      expect(create.once).toBe(true);
      send(snapshot(5, '1'));
      send({ kind: K.WATCH_BATCH_KIND_ENDED });
    });
    const batches: WatchBatch[] = [];
    for await (const batch of client(a.address).watch({ once: true })) batches.push(batch);
    expect(steps(batches)).toEqual(['snapshot 0-5']);
    await until(() => a.openStreams === 0, 'the stream ends');
  });

  it('hides progress from readers that did not ask, with no gap between their batches', async () => {
    const progress = (from: number, to: number): Response => ({
      kind: K.WATCH_BATCH_KIND_PROGRESS,
      fromRevision: from,
      toRevision: to,
    });
    const a = await member((_, send) => {
      send(snapshot(5, '1'));
      send(progress(5, 8));
      send(delta(8, 9, put('2', 9)));
    });
    const c = client(a.address);
    expect(steps(await take(c.watch(), 2))).toEqual(['snapshot 0-5', 'delta 5-9']);
    const asked = await take(c.watch({ progressIntervalMs: 100 }), 3);
    expect(steps(asked)).toEqual(['snapshot 0-5', 'progress 5-8', 'delta 8-9']);
  });

  it.each([15_001, Number.MAX_SAFE_INTEGER])('leaves a member that has heard no leader for %d ms', async (ageMs) => {
    const a = await member((_, send) => {
      send(snapshot(5, '1'));
      send({ kind: K.WATCH_BATCH_KIND_PROGRESS, fromRevision: 5, toRevision: 5, header: { ageMs } });
    });
    const b = await member((create, send) => send(delta(create.resumeRevision ?? 0, 9, put('2', 9))));
    const trouble: string[] = [];
    const watch = client(a.address, b.address).watch({ onInterrupted: ({ message }) => trouble.push(message) });
    expect(steps(await take(watch, 2))).toEqual(['snapshot 0-5', 'delta 5-9']);
    expect(trouble).toEqual([`${a.address} has not heard a leader for over 15000 ms`]);
  });

  it('does not run in circles between members that break each stream behind a batch', async () => {
    const breaking = (create: Create, send: (response: Response) => void): void => {
      const from = create.resumeRevision ?? 0;
      send(from === 0 ? snapshot(1) : delta(from, from + 1, put('x', from + 1)));
      send(delta(from + 9, from + 10));
    };
    const [a, b] = [await member(breaking), await member(breaking)];
    const startMs = performance.now();
    await take(client(a.address, b.address).watch(), 8);
    expect(performance.now() - startMs).toBeGreaterThan(200);
  });

  it('tells what a member said, and not that another address refused, where no batch comes in time', async () => {
    const refusal = { kind: K.WATCH_BATCH_KIND_ENDED, errorReason: 'NO_LEADER', errorMessage: 'none leads' };
    const creates: Create[] = [];
    const a = await member((_, send) => {
      if (creates.length === 1) send(refusal);
    }, creates);
    const trouble: string[] = [];
    const watch = client(a.address, await deadAddress()).watch({
      firstBatchTimeoutMs: 1_000,
      onInterrupted: ({ reason }) => trouble.push(reason),
    });
    await expect(watch.next()).rejects.toMatchObject({ reason: 'NO_LEADER', address: a.address });
    expect(trouble).toEqual(['NO_LEADER', 'UNREACHABLE']);
  });

  it('fails where nothing comes in time, with the last trouble, and at once where nobody listens', async () => {
    const silent = await member(() => undefined);
    await expect(client(silent.address).watch({ firstBatchTimeoutMs: 30 }).next()).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      reason: 'TIMEOUT',
    });
    const dead = await deadAddress();
    await expect(client(dead).watch({ firstBatchTimeoutMs: 100 }).next()).rejects.toMatchObject({
      reason: 'UNREACHABLE',
    });
    const fast = new RollcallClient({ servers: [dead], failFast: true });
    clients.push(fast);
    await expect(fast.watch().next()).rejects.toMatchObject({ reason: 'UNREACHABLE' });
  });

  it('ends for its reader when it or the client is closed, and all share one stream until then', async () => {
    const creates: Create[] = [];
    const a = await member((_, send) => send(snapshot(5)), creates);
    const c = client(a.address);
    const watches = [c.watch({ service: 'a' }), c.watch({ service: 'b' }), c.watch({ service: 'c' })];
    for (const watch of watches) await take(watch, 1);
    expect([a.streams, new Set(creates.map(({ watchId }) => watchId)).size]).toEqual([1, 3]);
    const waiting = watches.map((watch) => watch.next());
    watches[0]?.close();
    expect(await waiting[0]).toEqual({ done: true, value: undefined });
    expect(a.openStreams).toBe(1);
    c.close();
    expect(await waiting[2]).toEqual({ done: true, value: undefined });
    await until(() => a.openStreams === 0, 'the stream ends');
  });

  it('refuses what would end the stream of all, and more than 1,000 watches', async () => {
    const a = await member(() => undefined);
    const c = client(a.address);
    expect(() => c.watch({ service: 'A B' })).toThrow(/service: is "A B"/);
    expect(() => c.watch({ progressIntervalMs: 99 })).toThrow(/progressIntervalMs/);
    expect(() => c.watch({ since: -1 })).toThrow(/since/);
    for (let i = 0; i < 1_000; i++) c.watch();
    expect(() => c.watch()).toThrow(/at most 1000/);
  });

  it('has one reader at a time', async () => {
    const a = await member(() => undefined);
    const watch = client(a.address).watch();
    const first = watch.next();
    await expect(watch.next()).rejects.toBeInstanceOf(ClientError);
    watch.close();
    expect((await first).done).toBe(true);
  });

  it('asks for what its filter and prefix say, and tells what leaves the filter', async () => {
    const creates: Create[] = [];
    const a = await member((_, send) => {
      send(snapshot(5, '1', '2'));
      const key = { namespace: 'default', service: 'web', id: '1' };
      send(delta(5, 6, { kind: v1.WatchEventKind.WATCH_EVENT_KIND_LEAVES, revision: 6, key, incarnation: 5 }));
      const unsaid = { kind: v1.WatchEventKind.WATCH_EVENT_KIND_DELETE, key: { ...key, id: '2' } };
      send({ ...delta(6, 9, unsaid), coalesced: true });
    }, creates);
    const watch = client(a.address).watch({
      servicePrefix: 'we',
      filter: {
        tags: ['canary'],
        metadata: [
          { key: 'a', equals: '1' },
          { key: 'b', in: ['2', '3'] },
          { key: 'c', exists: true },
        ],
        versionRange: '^1.2',
        zones: ['z'],
        regions: ['r'],
        statuses: ['up', 'draining'],
      },
    });
    const [, second, third] = await take(watch, 3);
    const { METADATA_OPERATOR_EQUALS, METADATA_OPERATOR_IN, METADATA_OPERATOR_EXISTS } = v1.MetadataOperator;
    expect(creates[0]).toMatchObject({ service: '', servicePrefix: 'we' });
    expect(creates[0]?.filter).toEqual({
      tags: ['canary'],
      metadata: [
        { key: 'a', operator: METADATA_OPERATOR_EQUALS, values: ['1'] },
        { key: 'b', operator: METADATA_OPERATOR_IN, values: ['2', '3'] },
        { key: 'c', operator: METADATA_OPERATOR_EXISTS, values: [] },
      ],
      versionRange: '^1.2',
      zones: ['z'],
      regions: ['r'],
      statuses: [2, 3],
    });
    expect(second).toMatchObject({ coalesced: false, events: [{ kind: 'leaves', key: { id: '1' }, incarnation: 5 }] });
    expect(third).toMatchObject({ coalesced: true, events: [{ kind: 'delete', cause: 'unspecified' }] });
    expect(held(watch)).toEqual([]);
  });

  it('refuses a filter that would end the stream of all, and tells what a member refuses to its watch', async () => {
    const a = await member((create, send) => {
      if (create.filter === undefined || create.filter === null) {
        if (create.service === 'good') send(snapshot(5, '1'));
      } else members[0]?.endStreams({ reason: 'INVALID_FIELD', field: 'create.filter.version_range' });
    });
    const c = client(a.address);
    expect(() => c.watch({ filter: { tags: Array.from({ length: 17 }, String) } })).toThrow(/filter.tags.length/);
    expect(() => c.watch({ filter: { zones: [''] } })).toThrow(/filter.zones/);
    expect(() => c.watch({ filter: { metadata: [{ key: '', exists: true }] } })).toThrow(/filter.metadata\[0\].key/);
    expect(() => c.watch({ filter: { metadata: [{ key: 'a', in: [] }] } })).toThrow(/in.length/);
    expect(() => c.watch({ filter: { versionRange: 'x'.repeat(257) } })).toThrow(/versionRange/);
    expect(() => c.watch({ service: 'web', servicePrefix: 'we' })).toThrow(/servicePrefix/);
    const quiet = c.watch({ service: 'quiet' });
    const bad = c.watch({ filter: { versionRange: 'no range' } });
    await expect(bad.next()).rejects.toMatchObject({ field: 'create.filter.version_range' });
    await until(() => a.streams === 2, 'the other watch goes on');
    quiet.close();
  });
});

describe('acknowledgements of a watch', () => {
  it('say what the reader has come back from, not what is in its hands, at most every 100 ms', async () => {
    const acks: [number, number][] = [];
    let go: () => void = () => undefined;
    const a = await member(
      (_, send) => {
        send(snapshot(5, '1'));
        send(delta(5, 6, put('2', 6)));
        go = () => {
          for (let to = 7; to < 30; to++) send(delta(to - 1, to, put('3', to)));
        };
      },
      [],
      acks,
    );
    const watch = client(a.address).watch();
    await take(watch, 2);
    await until(() => acks.length > 0, 'the first');
    expect(acks).toEqual([[1, 5]]);
    const startMs = performance.now();
    go();
    await take(watch, 23);
    const next = watch.next();
    await until(() => acks.at(-1)?.[1] === 29, 'the last');
    const allowed = 2 + Math.ceil((performance.now() - startMs) / 100);
    expect(acks.length).toBeLessThanOrEqual(allowed);
    const revisions = acks.map(([, revision]) => revision);
    expect(revisions).toEqual([...revisions].sort((one, other) => one - other));
    watch.close();
    await next;
  });

  it('follow progress that the reader is not told, once it waits', async () => {
    const acks: [number, number][] = [];
    const a = await member(
      (_, send) => {
        send(snapshot(5));
        send({ kind: K.WATCH_BATCH_KIND_PROGRESS, fromRevision: 5, toRevision: 8 });
      },
      [],
      acks,
    );
    const watch = client(a.address).watch();
    await take(watch, 1);
    void watch.next();
    await until(() => acks.length > 0 && acks.at(-1)?.[1] !== 5, 'the acknowledgement');
    expect(acks.at(-1)).toEqual([1, 8]);
  });

  it('say nothing on a new stream of what it has not brought, nor where they are not wanted', async () => {
    const first: [number, number][] = [];
    const second: [number, number][] = [];
    let more: () => void = () => undefined;
    const a = await member((_, send) => send(snapshot(5, '1')), [], first);
    const b = await member(
      ({ resumeRevision = 0 }, send) => {
        more = () => send(delta(resumeRevision ?? 0, 9, put('2', 9)));
      },
      [],
      second,
    );
    const c = client(a.address, b.address);
    const watch = c.watch();
    await take(watch, 1);
    const next = watch.next();
    await until(() => first.length === 1, 'the acknowledgement');
    a.kill();
    await until(() => b.streams === 1, 'the other member');
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(second).toEqual([]);
    more();
    await next;
    void watch.next();
    await until(() => second.length === 1, 'the acknowledgement');
    // Ids are never used again.
    expect(second).toEqual([[2, 9]]);
  });

  it('are not said where they are not wanted, nor for a watch that ends with its snapshot', async () => {
    const acks: [number, number][] = [];
    const a = await member(
      (_, send) => {
        send(snapshot(5, '1'));
        send(delta(5, 6, put('2', 6)));
      },
      [],
      acks,
    );
    const c = client(a.address);
    await take(c.watch({ once: true }), 2);
    await take(c.watch({ acks: false }), 2);
    await take(c.watch(), 2);
    await until(() => acks.length === 1, 'the acknowledgement of the last');
    expect(acks).toEqual([[3, 5]]);
  });
});
