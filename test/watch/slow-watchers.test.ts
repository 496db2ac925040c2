import { describe, expect, it } from 'vitest';
import type { WatchBounds } from '../../src/watch/bounds.ts';
import { watchBounds } from '../../src/watch/bounds.ts';
import type { WatchSpec, WatchStream } from '../../src/watch/types.ts';
import { TestSink } from './follower.ts';
import { eventsOf, Harness, transcript } from './hub-harness.ts';
import { registerBody } from './registry-driver.ts';

const small: Partial<WatchBounds> = { backlogBytesMax: 1_000, plainCatchUpBytesMax: 500 };

/** A client that takes one response and no more. */
function stalled(h: Harness, spec: Partial<WatchSpec> = {}): { readonly sink: TestSink; readonly stream: WatchStream } {
  const sink = new TestSink();
  sink.credit = 1;
  const stream = h.hub.open(sink);
  h.watch(stream, spec);
  h.settle();
  return { sink, stream };
}

/** Changes of the first `instances` of a service, each as often as the others. */
function change(h: Harness, changes: number, instances: number, service = 'api'): void {
  for (let i = 0; i < changes; i++) {
    h.driver.register(service, `i${i % instances}`);
    h.turn();
  }
}

describe('a slow watcher', () => {
  it('has deltas that wait up to the backlog, and then its position only', () => {
    const h = new Harness({ ...small });
    const { sink, stream } = stalled(h);
    const fast = new TestSink();
    h.watch(h.hub.open(fast));
    let queued = 0;
    for (let i = 0; h.hub.counts().behind === 0; i++) {
      queued = Math.max(queued, stream.backlogBytes);
      h.driver.register('api', `i${i}`);
      h.turn();
    }
    expect(queued).toBeGreaterThan(800);
    expect(queued).toBeLessThanOrEqual(1_000);
    expect(stream.backlogBytes).toBe(0);
    h.driver.deregister('api', 'i0');
    h.turn();
    expect(transcript(sink)).toEqual(['snapshot 0-0 0']);
    expect(h.hub.counts().changedKeysBytes).toBeGreaterThan(0);
    h.read(sink, stream);
    const { revision } = h.driver;
    expect(transcript(sink).slice(1)).toEqual([`coalesced 0-${revision} ${revision - 1}`]);
    expect(h.hub.counts()).toMatchObject({ behind: 0, changedKeysBytes: 0, coalesced: 1, resets: 0 });
    // Nobody else noticed.
    const others = transcript(fast).slice(1);
    expect(others.every((line) => line.startsWith('delta '))).toBe(true);
    expect(fast.sent.length).toBe(revision + 1);
    // And it goes on.
    h.driver.register('api', 'new');
    h.turn();
    expect(transcript(sink).at(-1)).toBe(`delta ${revision}-${revision + 1} 1`);
  });

  it('is told each instance once, as it is now: present, or gone without a reason', () => {
    const h = new Harness(small);
    h.fill('api', 3);
    const { sink, stream } = stalled(h);
    change(h, 30, 3);
    h.driver.deregister('api', 'i1');
    h.driver.register('api', 'brief');
    h.driver.deregister('api', 'brief');
    h.turn();
    h.read(sink, stream);
    expect(transcript(sink).slice(1)).toEqual(['coalesced 3-36 4']);
    expect(eventsOf(sink, 1)).toEqual([
      '31 put api/i0',
      '33 put api/i2',
      '36 delete api/i1 0',
      '36 delete api/brief 0',
    ]);
  });

  it('that missed little is told it change by change', () => {
    const h = new Harness({ ...small, plainCatchUpBytesMax: 100_000 });
    const { sink, stream } = stalled(h);
    change(h, 50, 2);
    expect(h.hub.counts().behind).toBe(1);
    h.read(sink, stream);
    expect(transcript(sink).slice(1)).toEqual(['delta 0-50 50']);
  });

  it('is told so although the history has forgotten what it missed', () => {
    const h = new Harness({ ...small, plainCatchUpBytesMax: 100_000 }, 5);
    const { sink, stream } = stalled(h);
    change(h, 50, 2);
    h.read(sink, stream);
    expect(transcript(sink).slice(1)).toEqual(['coalesced 0-50 2']);
  });

  it('gets the rest of a batch that was begun, and then what comes behind it', () => {
    const h = new Harness({ ...small, backlogBytesMax: 4_000, partBytesMax: 1_200 });
    const granted = h.driver.apply({ kind: 'grant-lease', ttlMs: 10_000 });
    const leaseId = granted.kind === 'lease-granted' ? granted.leaseId : 0;
    for (let i = 0; i < 30; i++)
      h.driver.apply(registerBody({ namespace: 'default', service: 'api', id: `i${i}` }, '', leaseId));
    h.turn();
    const sink = new TestSink();
    const stream = h.hub.open(sink);
    h.watch(stream, { resumeRevision: 30 });
    sink.credit = 1;
    h.driver.apply({ kind: 'revoke-lease', leaseId });
    h.turn();
    expect(transcript(sink)).toEqual([expect.stringMatching(/^delta 30-31 \d+\+$/)]);
    change(h, 60, 2);
    expect(h.hub.counts().behind).toBe(1);
    h.read(sink, stream);
    const lines = transcript(sink);
    expect(lines.slice(0, -1).every((line) => line.startsWith('delta 30-31 '))).toBe(true);
    expect(lines.slice(-2)).toEqual([expect.stringMatching(/^delta 30-31 \d+$/), 'coalesced 31-91 2']);
    expect(eventsOf(sink).length).toBe(32);
  });

  it('of a namespace or of a prefix is told what it covers', () => {
    const h = new Harness(small);
    const all = stalled(h, { service: '' });
    const some = stalled(h, { service: '', servicePrefix: 'ap' });
    change(h, 20, 2, 'api');
    change(h, 20, 2, 'db');
    expect(h.hub.counts().behind).toBe(2);
    h.read(all.sink, all.stream);
    h.read(some.sink, some.stream);
    expect(transcript(all.sink).slice(1)).toEqual(['coalesced 0-40 4']);
    expect(transcript(some.sink).slice(1)).toEqual(['coalesced 0-40 2']);
    expect(eventsOf(some.sink).every((line) => line.includes(' put api/'))).toBe(true);
  });

  it('whose resume point is forgotten meanwhile gets a reset, with `once` then the end', () => {
    const h = new Harness({ ...small, catchUpPartBytesMax: 1_024, backlogBytesMax: 20_000 }, 40);
    h.fill('api', 60);
    const sink = new TestSink();
    sink.credit = 1;
    const stream = h.hub.open(sink);
    h.watch(stream, { resumeRevision: 30, once: true });
    change(h, 300, 30);
    h.read(sink, stream);
    const lines = transcript(sink);
    expect(lines[0]).toMatch(/^delta 30-\d+ /);
    expect(lines.slice(1, -1).every((line) => line.startsWith('reset 0-360 '))).toBe(true);
    expect(lines.at(-1)).toBe('ended');
  });
});

describe('coalesced changes', () => {
  it('are of exactly one revision, though they are made over several turns and changes go on', () => {
    const h = new Harness({ ...small, turnWorkBytesMax: 4_096, catchUpPartBytesMax: 2_048 });
    h.fill('api', 200);
    const { sink, stream } = stalled(h);
    change(h, 200, 200);
    sink.credit = Infinity;
    stream.drained();
    h.driver.deregister('api', 'i0');
    h.driver.deregister('api', 'i199');
    h.driver.register('api', 'i100');
    h.driver.register('api', 'new');
    h.turn();
    h.settle();
    const lines = transcript(sink);
    const first = lines.findIndex((line) => line.startsWith('coalesced '));
    expect(lines.length).toBeGreaterThan(first + 5);
    expect(new Set(lines.slice(first).map((line) => line.slice(0, 17)))).toEqual(new Set(['coalesced 200-404']));
    const events = eventsOf(sink, first);
    expect(events.length).toBe(201);
    expect(events).toContain('404 delete api/i0 0');
    expect(events).toContain('404 delete api/i199 0');
    expect(events).toContain('403 put api/i100');
    expect(events).toContain('404 put api/new');
    expect(events.filter((line) => line.endsWith('/i100')).length).toBe(1);
    for (const { length } of sink.sent) expect(length).toBeLessThanOrEqual(2_048);
  });

  it('are made once for slow watchers that stand at different revisions, who are sent what they lack', () => {
    const h = new Harness({ ...small, catchUpPartBytesMax: 1_024 });
    h.fill('api', 40);
    const readers = [stalled(h)];
    change(h, 4, 40);
    readers.push(stalled(h));
    for (let i = 4; i < 40; i++) h.driver.register('api', `i${i}`);
    h.turn();
    const before = h.hub.counts().snapshotBytes;
    for (const { sink, stream } of readers) {
      sink.credit = 2;
      stream.drained();
    }
    h.settle();
    const held = h.hub.counts().snapshotBytes - before;
    expect(held).toBeLessThan(40 * 300);
    for (const { sink, stream } of readers) h.read(sink, stream);
    const counted = readers.map(({ sink }) =>
      eventsOf(
        sink,
        transcript(sink).findIndex((l) => l.startsWith('coal')),
      ),
    );
    expect(counted.map(({ length }) => length)).toEqual([40, 36]);
    expect(transcript(readers[1]?.sink ?? new TestSink()).at(-1)).toMatch(/^coalesced 44-80 \d+$/);
  });

  it('are sent again for a while to whoever comes, who then goes on with what changed since', () => {
    const h = new Harness({ ...small, changesReuseMs: 100 });
    const readers = Array.from({ length: 3 }, () => stalled(h));
    change(h, 40, 4);
    const read = (index: number): string[] => {
      const { sink, stream } = readers[index] ?? stalled(h);
      h.read(sink, stream);
      return transcript(sink).slice(1);
    };
    expect(read(0)).toEqual(['coalesced 0-40 4']);
    change(h, 1, 1);
    expect(read(1)).toEqual(['coalesced 0-40 4', 'delta 40-41 1']);
    h.clock.advance(101);
    change(h, 1, 1);
    expect(read(2)).toEqual(['coalesced 0-42 4']);
  });

  it('are sent again for longer where the room for more of them grows short', () => {
    const bounds = { ...small, changesReuseMs: 100, catchUpPartBytesMax: 1_024, snapshotBytesMax: 24_000 };
    const h = new Harness(bounds);
    const [holder, other] = [stalled(h), stalled(h)];
    change(h, 120, 60);
    holder.sink.credit = 2;
    holder.stream.drained();
    h.settle();
    expect(h.hub.counts().snapshotBytes).toBeGreaterThan(6_000);
    h.clock.advance(101);
    change(h, 1, 1);
    h.read(other.sink, other.stream);
    const lines = transcript(other.sink).slice(1);
    expect(lines.slice(0, -1).every((line) => line.startsWith('coalesced 0-120 '))).toBe(true);
    expect(lines.at(-1)).toBe('delta 120-121 1');
  });

  it('are held no longer than that when nobody is sent them', () => {
    const h = new Harness({ ...small, changesReuseMs: 100 });
    const { sink, stream } = stalled(h);
    change(h, 40, 4);
    h.read(sink, stream);
    expect(h.hub.counts().snapshotBytes).toBeGreaterThan(0);
    h.clock.advance(101);
    change(h, 1, 1);
    expect(h.hub.counts().snapshotBytes).toBe(0);
  });

  it('wait until the hub was told what is applied', () => {
    const h = new Harness(small, 20);
    const { sink, stream } = stalled(h);
    change(h, 40, 4);
    h.driver.register('api', 'ahead');
    h.read(sink, stream);
    expect(transcript(sink).length).toBe(1);
    h.turn();
    h.settle();
    expect(transcript(sink).slice(1)).toEqual(['coalesced 0-41 5']);
  });

  it('begin anew when the state is replaced, by its history or by a reset', () => {
    const h = new Harness({ ...small, turnWorkBytesMax: 4_096 }, 1);
    h.fill('api', 200);
    const { sink, stream } = stalled(h);
    change(h, 200, 200);
    sink.credit = Infinity;
    stream.drained();
    h.driver.register('api', 'missed');
    h.hub.replaced(h.driver.replace());
    h.settle();
    expect(transcript(sink).slice(1).at(-1)).toMatch(/^reset 0-401 \d+$/);
    expect(h.hub.counts()).toMatchObject({ behind: 0, changedKeysBytes: 0 });
  });

  it('that find no room end the watch', () => {
    const h = new Harness({ ...small, snapshotBytesMax: 9_000, catchUpPartBytesMax: 1_024 });
    const { sink, stream } = stalled(h);
    change(h, 200, 100);
    h.read(sink, stream);
    expect(transcript(sink).slice(1)).toEqual(['ended OVERLOADED']);
    expect(h.hub.counts().snapshotBytes).toBe(0);
  });
});

describe('what slow watchers cost', () => {
  it('is the same for one and for many of a service', () => {
    const bytes = [1, 50].map((count) => {
      const h = new Harness(small);
      for (let i = 0; i < count; i++) stalled(h, { watchId: i + 1 });
      change(h, 200, 50);
      const { behind, backlogBytes, changedKeysBytes } = h.hub.counts();
      expect([behind, backlogBytes]).toEqual([count, 0]);
      return changedKeysBytes;
    });
    expect(bytes[0]).toBe(bytes[1]);
  });

  it('is bounded over all services: beyond, what was changed most has its watchers reset', () => {
    const h = new Harness({ ...small, changedKeysBytesMax: 10_000, plainCatchUpBytesMax: 100 }, 10);
    const [few, many] = [stalled(h, { service: 'few' }), stalled(h, { service: 'many' })];
    change(h, 20, 5, 'few');
    let most = 0;
    for (let i = 0; i < 200; i++) {
      h.driver.register('many', `i${i}`);
      h.turn();
      most = Math.max(most, h.hub.counts().changedKeysBytes);
    }
    expect(most).toBeGreaterThan(9_000);
    expect(most).toBeLessThanOrEqual(10_000);
    h.read(few.sink, few.stream);
    h.read(many.sink, many.stream);
    expect(transcript(few.sink).slice(1)).toEqual(['coalesced 0-220 5']);
    expect(transcript(many.sink).slice(1)).toEqual(['reset 0-220 200']);
    expect(h.hub.counts().resets).toBe(1);
  });

  it('is bounded for what waits in all streams together', () => {
    expect(watchBounds.backlogsBytesMax).toBe(64 * 1024 * 1024);
    const h = new Harness({ backlogsBytesMax: 2_000 });
    const readers = ['a', 'b', 'c'].map((service) => stalled(h, { service }));
    for (let i = 0; i < 30; i++) for (const service of ['a', 'b', 'c']) change(h, 1, 1, service);
    expect(h.hub.counts().backlogBytes).toBeLessThanOrEqual(2_000);
    expect(h.hub.counts().behind).toBeGreaterThan(0);
    for (const { sink, stream } of readers) h.read(sink, stream);
    for (const { sink } of readers) expect(eventsOf(sink).length).toBe(30);
  });

  it('is nothing when they have read, or are gone', () => {
    const h = new Harness(small);
    const readers = Array.from({ length: 4 }, () => stalled(h));
    change(h, 5, 5);
    expect(h.hub.counts().changedKeysBytes).toBeGreaterThan(0);
    for (const { sink, stream } of readers.slice(0, 2)) h.read(sink, stream);
    for (const { stream } of readers.slice(2)) stream.close();
    expect(h.hub.counts()).toMatchObject({ changedKeysBytes: 0, behind: 0, backlogBytes: 0 });
  });

  it('is part of a large snapshot too: what changes while it is read is not forgotten by then', () => {
    const h = new Harness({ catchUpPartBytesMax: 2_048 }, 10);
    h.fill('api', 100, 50);
    const { sink, stream } = stalled(h);
    change(h, 100, 100);
    h.read(sink, stream);
    const lines = transcript(sink);
    expect(lines.filter((line) => line.startsWith('snapshot 0-100 ')).length).toBeGreaterThan(3);
    expect(lines.at(-1)).toMatch(/^coalesced 100-200 \d+$/);
    expect(h.hub.counts().resets).toBe(0);
  });
});
