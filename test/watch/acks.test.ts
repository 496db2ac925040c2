import { describe, expect, it } from 'vitest';
import { TestSink } from './follower.ts';
import { Harness, reasonOf, transcript } from './hub-harness.ts';

describe('acknowledgements of a watch', () => {
  it('are taken up to what was sent, and refused above', () => {
    const h = new Harness();
    h.fill('api', 3);
    const sink = new TestSink();
    const stream = h.hub.open(sink);
    h.watch(stream);
    stream.ack(1, 3);
    stream.ack(77, 1_000);
    expect(reasonOf(() => stream.ack(1, 4))).toBe('INVALID_FIELD');
    h.driver.register('api', 'new');
    h.turn();
    stream.ack(1, 4);
    expect(h.hub.acknowledged('default', 'api')).toEqual({ watches: 1, revision: 4 });
  });

  it('do not go back where one comes late', () => {
    const h = new Harness();
    h.fill('api', 3);
    const sink = new TestSink();
    const stream = h.hub.open(sink);
    h.watch(stream);
    h.driver.register('api', 'new');
    h.turn();
    stream.ack(1, 3);
    stream.ack(1, 2);
    expect(h.hub.acknowledged('default', 'api')).toEqual({ watches: 1, revision: 3 });
  });

  it('are refused for what waits and is not sent, also for the half of a batch', () => {
    const h = new Harness({ catchUpPartBytesMax: 1_024 });
    h.fill('api', 30);
    const sink = new TestSink();
    sink.credit = 1;
    const stream = h.hub.open(sink);
    h.watch(stream);
    expect(transcript(sink)).toEqual([expect.stringMatching(/^snapshot 0-30 \d+\+$/)]);
    expect(reasonOf(() => stream.ack(1, 30))).toBe('INVALID_FIELD');
    h.read(sink, stream);
    stream.ack(1, 30);
    sink.credit = 0;
    for (let i = 0; i < 2; i++) {
      h.driver.register('api', `more${i}`);
      h.turn();
    }
    // The first was taken by the sink, which then said stop.
    stream.ack(1, 31);
    expect(reasonOf(() => stream.ack(1, 32))).toBe('INVALID_FIELD');
  });

  it('of a service are as far as the slowest of its watches, by service, prefix and namespace', () => {
    const h = new Harness();
    h.fill('api', 3);
    const stream = h.hub.open(new TestSink());
    h.watch(stream);
    h.watch(stream, { watchId: 2, service: '' });
    h.watch(stream, { watchId: 3, service: '', servicePrefix: 'ap' });
    h.watch(stream, { watchId: 4, service: 'db' });
    expect(h.hub.acknowledged('default', 'api')).toEqual({ watches: 3, revision: 0 });
    for (const watchId of [1, 2, 3]) stream.ack(watchId, 3);
    expect(h.hub.acknowledged('default', 'api')).toEqual({ watches: 3, revision: 3 });
    h.fill('api', 2);
    stream.ack(1, 5);
    stream.ack(2, 4);
    expect(h.hub.acknowledged('default', 'api')).toEqual({ watches: 3, revision: 3 });
    stream.cancel(3);
    expect(h.hub.acknowledged('default', 'api')).toEqual({ watches: 2, revision: 4 });
    expect(h.hub.acknowledged('default', 'nobody')).toEqual({ watches: 1, revision: 4 });
    expect(h.hub.acknowledged('other', 'api')).toEqual({ watches: 0, revision: 5 });
  });

  it('of a watch that has applied all that it was sent hold for what does not concern it', () => {
    const h = new Harness();
    h.fill('api', 3);
    const sink = new TestSink();
    const stream = h.hub.open(sink);
    h.watch(stream);
    stream.ack(1, 3);
    h.fill('db', 5);
    expect(h.hub.acknowledged('default', 'api')).toEqual({ watches: 1, revision: 8 });
    sink.credit = 1;
    h.fill('api', 1);
    h.fill('db', 1);
    expect(h.hub.acknowledged('default', 'api')).toEqual({ watches: 1, revision: 3 });
  });
});
