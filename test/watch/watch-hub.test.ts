import { describe, expect, it } from 'vitest';
import { watchBounds } from '../../src/watch/bounds.ts';
import type { WatchStream } from '../../src/watch/types.ts';
import { TestSink } from './follower.ts';
import { Harness, reasonOf, transcript } from './hub-harness.ts';
import { registerBody } from './registry-driver.ts';

describe('what a watch is sent', () => {
  it('begins with a snapshot and goes on with deltas that skip what does not concern it', () => {
    const h = new Harness();
    h.fill('api', 2);
    const sink = new TestSink();
    h.watch(h.hub.open(sink));
    h.fill('db', 3);
    h.driver.register('api', 'new');
    h.driver.register('db', 'new');
    h.turn();
    h.driver.deregister('api', 'new');
    h.turn();
    // The turn that only touched db sent nothing; the next batch begins where the last one ended all the same.
    expect(transcript(sink)).toEqual(['snapshot 0-2 2', 'delta 2-7 1', 'delta 7-8 1']);
  });

  it('has an empty snapshot where nothing is there', () => {
    const h = new Harness();
    const sink = new TestSink();
    h.watch(h.hub.open(sink), { service: 'nobody' });
    expect(transcript(sink)).toEqual(['snapshot 0-0 0']);
  });

  it('ends after the snapshot with once', () => {
    const h = new Harness();
    h.fill('api', 2);
    const sink = new TestSink();
    const stream = h.hub.open(sink);
    let emptied = 0;
    stream.onEmpty(() => emptied++);
    h.watch(stream, { once: true });
    expect(transcript(sink)).toEqual(['snapshot 0-2 2', 'ended']);
    expect([stream.watches, stream.endings, emptied]).toEqual([0, 0, 1]);
  });

  it('says how fresh it is: only the first snapshot behind a barrier is linearizable', () => {
    const h = new Harness();
    h.fill('api', 1);
    const sink = new TestSink();
    const stream = h.hub.open(sink);
    h.watch(stream);
    h.watch(stream, { watchId: 2, linearizable: false });
    h.ageMs = 41.2;
    h.driver.register('api', 'more');
    h.turn();
    const headers = sink.responses().map(({ header }) => `${header?.revision} ${header?.consistency} ${header?.ageMs}`);
    expect(headers).toEqual(['1 0 0', '1 1 3', '2 1 42', '2 1 42']);
  });

  it('does not show twice what the snapshot has when the state is ahead of the turns', () => {
    const h = new Harness();
    h.fill('api', 1);
    h.driver.register('api', 'early');
    const sink = new TestSink();
    h.watch(h.hub.open(sink));
    h.driver.register('api', 'late');
    h.turn();
    expect(transcript(sink)).toEqual(['snapshot 0-2 2', 'delta 2-3 1']);
  });

  it('resumes exactly out of the history, and with a reset where that does not reach back', () => {
    const h = new Harness({}, 2);
    h.fill('api', 5);
    const sink = new TestSink();
    const stream = h.hub.open(sink);
    h.watch(stream, { resumeRevision: 3 });
    h.watch(stream, { watchId: 2, resumeRevision: 5 });
    expect(transcript(sink)).toEqual(['delta 3-5 2']);
    const other = new TestSink();
    h.watch(h.hub.open(other), { resumeRevision: 2 });
    expect(transcript(other)).toEqual(['reset 0-5 5']);
    expect(h.hub.counts().resets).toBe(1);
  });

  it('splits a snapshot into parts of one revision, and sends nothing else of the watch in between', () => {
    const h = new Harness({ partBytesMax: 4_096 });
    h.fill('api', 100, 50);
    const sink = new TestSink();
    sink.credit = 2;
    const stream = h.hub.open(sink);
    h.watch(stream);
    h.driver.deregister('api', 'i99');
    h.turn();
    sink.credit = Infinity;
    stream.drained();
    h.settle();
    const lines = transcript(sink);
    expect(lines.length).toBeGreaterThan(4);
    expect(lines.slice(0, -2).every((line) => /^snapshot 0-100 \d+\+$/.test(line))).toBe(true);
    expect(lines.at(-2)).toMatch(/^snapshot 0-100 \d+$/);
    expect(lines.at(-1)).toBe('delta 100-101 1');
    for (const { length } of sink.sent) expect(length).toBeLessThanOrEqual(4_096);
  });

  it('ends with once behind the last part of its snapshot, whatever has changed since', () => {
    const h = new Harness({ partBytesMax: 4_096 });
    h.fill('api', 100, 50);
    const sink = new TestSink();
    sink.credit = 2;
    const stream = h.hub.open(sink);
    h.watch(stream, { once: true });
    h.driver.register('api', 'new');
    h.turn();
    h.read(sink, stream);
    h.settle();
    const lines = transcript(sink);
    expect(lines.slice(0, -1).every((line) => line.startsWith('snapshot 0-100 '))).toBe(true);
    expect(lines.at(-1)).toBe('ended');
    expect(stream.watches).toBe(0);
  });

  it('splits one large revision into parts with the same revisions', () => {
    const h = new Harness({ partBytesMax: 2_048 });
    const granted = h.driver.apply({ kind: 'grant-lease', ttlMs: 10_000 });
    const leaseId = granted.kind === 'lease-granted' ? granted.leaseId : 0;
    for (let i = 0; i < 60; i++)
      h.driver.apply(registerBody({ namespace: 'default', service: 'api', id: `i${i}` }, '', leaseId));
    h.turn();
    const before = h.driver.revision;
    const sink = new TestSink();
    h.watch(h.hub.open(sink), { resumeRevision: before });
    h.driver.apply({ kind: 'revoke-lease', leaseId });
    h.turn();
    const lines = transcript(sink);
    expect(lines.length).toBeGreaterThan(1);
    expect(
      lines.every(
        (line, i) => line.startsWith(`delta ${before}-${before + 1} `) && line.endsWith('+') === i < lines.length - 1,
      ),
    ).toBe(true);
    expect(sink.responses().flatMap(({ events }) => events).length).toBe(60);
  });

  it('resets on another state that does not know what was missed, and only then', () => {
    const h = new Harness({}, 1);
    h.fill('api', 3);
    const sink = new TestSink();
    h.watch(h.hub.open(sink));
    h.hub.replaced(h.driver.replace());
    h.settle();
    expect(transcript(sink)).toEqual(['snapshot 0-3 3']);
    h.driver.register('api', 'missed');
    h.driver.register('api', 'also-missed');
    h.hub.replaced(h.driver.replace());
    h.settle();
    expect(transcript(sink).slice(1)).toEqual(['reset 0-5 5']);
  });

  it('ends watches by cancel, by an error, and when the member stops', () => {
    const h = new Harness();
    const sink = new TestSink();
    const stream = h.hub.open(sink);
    for (const watchId of [1, 2, 3]) h.watch(stream, { watchId });
    stream.cancel(1);
    stream.cancel(1);
    stream.fail(2, 'MEMBER_BEHIND', 'why');
    stream.fail(9, 'NO_LEADER', 'never opened');
    h.hub.stop('the member is stopping');
    expect(transcript(sink).slice(3)).toEqual(['ended', 'ended MEMBER_BEHIND', 'ended NO_LEADER', 'ended NOT_SERVING']);
    expect(reasonOf(() => h.watch(stream))).toBe('NOT_SERVING');
    h.fill('api', 1);
    expect(sink.sent.length).toBe(7);
  });
});

describe('work that is shared', () => {
  it('sends the same buffer to all watchers with the same numbers, and encodes events once', () => {
    const h = new Harness();
    h.fill('api', 10);
    const sinks = Array.from({ length: 50 }, () => new TestSink());
    for (const sink of sinks) h.watch(h.hub.open(sink));
    h.driver.register('api', 'new');
    h.turn();
    const [first] = sinks;
    for (const sink of sinks) {
      expect(sink.sent.length).toBe(2);
      expect(sink.sent[0]).toBe(first?.sent[0]);
      expect(sink.sent[1]).toBe(first?.sent[1]);
    }
  });

  it('makes one snapshot for all that wait for it, over several turns, and shows one revision', () => {
    const h = new Harness({ turnWorkBytesMax: 8 * 1024, partBytesMax: 8 * 1024 });
    h.fill('api', 300, 50);
    const sinks = Array.from({ length: 5 }, () => new TestSink());
    for (const sink of sinks) h.watch(h.hub.open(sink));
    // The first turn's work is done: the rest is read after these changes.
    h.driver.deregister('api', 'i0');
    h.driver.register('api', 'zzz');
    h.turn();
    h.settle();
    for (const sink of sinks) {
      const lines = transcript(sink);
      expect(lines.every((line) => line.startsWith('snapshot 0-302 '))).toBe(true);
      const ids = sink.responses().flatMap(({ events }) => events.map((event) => event.instance?.spec?.id ?? ''));
      expect(ids.toSorted()).toEqual(
        [...h.driver.setAt(302, 'default', 'api').keys()].map((key) => key.slice(4)).toSorted(),
      );
    }
  });
});

describe('progress marks', () => {
  it('come when nothing was sent for the interval, with the age', () => {
    const h = new Harness();
    const sink = new TestSink();
    h.watch(h.hub.open(sink), { progressIntervalMs: 200 });
    h.ageMs = 9;
    h.fill('db', 2);
    h.clock.advance(199);
    expect(transcript(sink)).toEqual(['snapshot 0-0 0']);
    h.clock.advance(101);
    expect(transcript(sink).slice(1)).toEqual(['progress 0-2 0']);
    expect(sink.responses()[1]?.header?.ageMs).toBe(9);
    h.driver.register('api', 'one');
    h.turn();
    h.clock.advance(150);
    expect(transcript(sink).slice(2)).toEqual(['delta 2-3 1']);
    h.clock.advance(150);
    expect(transcript(sink).slice(3)).toEqual(['progress 3-3 0']);
  });

  it('need one timer for all watches, and none when the last is gone', () => {
    const h = new Harness();
    const streams = Array.from({ length: 100 }, () => h.hub.open(new TestSink()));
    h.settle();
    const before = h.clock.pendingCount;
    for (const stream of streams) h.watch(stream, { progressIntervalMs: 1_000 });
    h.settle();
    expect(h.clock.pendingCount).toBe(before + 1);
    for (const stream of streams) stream.close();
    expect(h.clock.pendingCount).toBe(before);
  });

  it('are spread over ticks where they are many', () => {
    const h = new Harness();
    const sinks = Array.from({ length: 5 }, () => new TestSink());
    for (const sink of sinks) {
      const stream = h.hub.open(sink);
      for (let watchId = 1; watchId <= 500; watchId++) h.watch(stream, { watchId, progressIntervalMs: 100 });
    }
    h.settle();
    const marks = (): number => sinks.reduce((sum, sink) => sum + sink.sent.length, 0) - 2_500;
    expect(marks()).toBe(0);
    h.clock.advance(100);
    const first = marks();
    h.clock.advance(50);
    h.clock.advance(50);
    expect(first).toBeLessThanOrEqual(2_000);
    expect(marks()).toBeGreaterThanOrEqual(2_500);
  });
});

describe('bounds of a stream', () => {
  it('takes 1,000 watches and refuses one more', () => {
    const h = new Harness();
    const stream = h.hub.open(new TestSink());
    const max = watchBounds.watchesPerStreamMax;
    expect(max).toBe(1_000);
    for (let watchId = 1; watchId <= max; watchId++) h.watch(stream, { watchId });
    expect(reasonOf(() => h.watch(stream, { watchId: max + 1 }))).toBe('OVERLOADED');
    h.settle();
    stream.cancel(7);
    h.watch(stream, { watchId: max + 1 });
    expect(stream.watches).toBe(max);
  });

  it('refuses an id in use and a resume point that is not applied', () => {
    const h = new Harness();
    const stream = h.hub.open(new TestSink());
    h.watch(stream);
    expect(reasonOf(() => h.watch(stream))).toBe('INVALID_FIELD');
    expect(reasonOf(() => h.watch(stream, { watchId: 2, resumeRevision: 1 }))).toBe('MEMBER_BEHIND');
    expect(stream.watches).toBe(1);
  });

  it('keeps a bounded number of ends that nobody reads', () => {
    const h = new Harness({ watchesPerStreamMax: 3, endingsPerStreamMax: 5 });
    const sink = new TestSink();
    sink.credit = 1;
    const stream = h.hub.open(sink);
    h.watch(stream);
    for (let i = 0; i < 3; i++) stream.fail(100 + i, 'NO_LEADER', 'x'.repeat(5_000));
    expect(reasonOf(() => h.watch(stream, { watchId: 2 }))).toBe('OVERLOADED');
    stream.fail(200, 'NO_LEADER', '');
    stream.fail(201, 'NO_LEADER', '');
    expect(reasonOf(() => stream.fail(202, 'NO_LEADER', ''))).toBe('OVERLOADED');
    expect(stream.endings).toBe(5);
    expect(stream.backlogBytes).toBeLessThan(5 * 2_048);
    sink.credit = Infinity;
    stream.drained();
    expect([stream.endings, stream.backlogBytes]).toEqual([0, 0]);
  });
});

describe('bounds of snapshots', () => {
  const bounds = {
    catchUpPartBytesMax: 4_096,
    snapshotBytesMax: 40_000,
    snapshotCacheBytesMax: 1_000,
    snapshotStallMs: 1_000,
  };

  /** A reader that took the first part of a snapshot of `service` and no more. */
  function stuck(h: Harness, service: string): { readonly sink: TestSink; readonly stream: WatchStream } {
    const sink = new TestSink();
    sink.credit = 1;
    const stream = h.hub.open(sink);
    h.watch(stream, { service });
    h.settle();
    return { sink, stream };
  }

  it('holds no more than its bytes: who has no room is told so, and what is not read is given up', () => {
    const h = new Harness(bounds);
    for (const service of ['a', 'b', 'c']) h.fill(service, 100, 60);
    const first = stuck(h, 'a');
    expect(transcript(first.sink)).toEqual([expect.stringMatching(/^snapshot 0-300 \d+\+$/)]);
    const second = stuck(h, 'b');
    const third = stuck(h, 'c');
    expect(h.hub.counts().snapshotBytes).toBeLessThanOrEqual(bounds.snapshotBytesMax);
    expect(transcript(third.sink)).toEqual(['ended OVERLOADED']);
    h.clock.advance(1_000);
    const fourth = stuck(h, 'c');
    expect(transcript(fourth.sink)).toEqual([expect.stringMatching(/^snapshot 0-300 \d+\+$/)]);
    // The first two had not read for a second; one of them gave room, and learns it when it reads.
    for (const { sink, stream } of [first, second]) {
      sink.credit = Infinity;
      stream.drained();
      h.settle();
    }
    const ends = [first, second].map(({ sink }) => transcript(sink).at(-1));
    expect(ends.filter((line) => line === 'ended OVERLOADED').length).toBeGreaterThanOrEqual(1);
    expect(h.hub.counts().snapshotBytes).toBeLessThanOrEqual(bounds.snapshotBytesMax);
  });

  it('gives everything back when the readers are gone', () => {
    const h = new Harness(bounds);
    h.fill('a', 100, 60);
    const readers = [stuck(h, 'a'), stuck(h, 'a')];
    expect(h.hub.counts().snapshotBytes).toBeGreaterThan(10_000);
    for (const { stream } of readers) stream.close();
    expect(h.hub.counts()).toMatchObject({ snapshotBytes: 0, streams: 0, watches: 0 });
  });
});
