import { describe, expect, it } from 'vitest';
import { WireWriter } from '../../src/base/wire-writer.ts';
import { compileFilter } from '../../src/filter/compile-filter.ts';
import type { ViewMatcher } from '../../src/filter/types.ts';
import { ScopeMap } from '../../src/watch/scope.ts';
import { TestSink } from './follower.ts';
import { eventsOf, Harness, transcript } from './hub-harness.ts';
import { specOf } from './registry-driver.ts';

function tagged(...tags: string[]): ViewMatcher {
  return compileFilter({ tags, metadata: [], versionRange: '', zones: [], regions: [], statuses: [] });
}

function register(h: Harness, service: string, id: string, ...tags: string[]): void {
  const name = { namespace: 'default', service, id };
  const out = new WireWriter().raw(specOf(name, ''));
  for (const tag of tags) out.string(7, tag);
  const lifetime = { kind: 'persistent' } as const;
  h.driver.apply({ kind: 'register', name, spec: out.finish(), lifetime, ifAbsent: false, ifIncarnation: 0 });
}

describe('a watch with a filter', () => {
  it('sees instances come, leave the filter and go, and nothing of others', () => {
    const h = new Harness();
    register(h, 'api', 'one', 'blue');
    register(h, 'api', 'two');
    h.turn();
    const sink = new TestSink();
    h.watch(h.hub.open(sink), { matcher: tagged('blue') });
    register(h, 'api', 'two', 'green');
    register(h, 'api', 'three', 'blue', 'green');
    register(h, 'api', 'one', 'green');
    register(h, 'api', 'one');
    h.driver.deregister('api', 'one');
    h.driver.deregister('api', 'three');
    h.driver.deregister('api', 'two');
    h.turn();
    expect(transcript(sink)).toEqual(['snapshot 0-2 1', 'delta 2-9 3']);
    // A registration over another is an incarnation of its own: the one that is there now.
    expect(eventsOf(sink)).toEqual(['1 put api/one', '4 put api/three', '5 leaves api/one 5', '8 delete api/three 4']);
  });

  it('is sent nothing where nothing matters to it, and goes on without a gap', () => {
    const h = new Harness();
    const sink = new TestSink();
    h.watch(h.hub.open(sink), { matcher: tagged('blue'), progressIntervalMs: 200 });
    register(h, 'api', 'one');
    h.turn();
    register(h, 'api', 'two', 'blue');
    h.turn();
    expect(transcript(sink)).toEqual(['snapshot 0-0 0', 'delta 0-2 1']);
    register(h, 'api', 'three');
    h.turn();
    h.ageMs = 12;
    h.clock.advance(300);
    expect(transcript(sink).slice(2)).toEqual(['progress 2-3 0']);
    expect(sink.responses().at(-1)?.header?.ageMs).toBe(12);
  });

  it('resumes with what its filter saw, also where that is nothing for long', () => {
    const h = new Harness();
    register(h, 'api', 'one', 'blue');
    for (let i = 0; i < 3_000; i++) h.driver.register('api', `i${i % 7}`);
    register(h, 'api', 'one');
    h.turn();
    const sink = new TestSink();
    const stream = h.hub.open(sink);
    h.watch(stream, { matcher: tagged('blue'), resumeRevision: 1, once: true });
    h.settle();
    expect(transcript(sink)).toEqual(['delta 1-3002 1', 'ended']);
    expect(eventsOf(sink)).toEqual(['3002 leaves api/one 3002']);
  });

  it('has pages of a snapshot that hold what matches, and is told when it has all with `once`', () => {
    const h = new Harness({ catchUpPartBytesMax: 1_024 });
    for (let i = 0; i < 60; i++) register(h, 'api', `i${i}`, ...(i % 2 === 0 ? ['blue'] : []));
    h.turn();
    const sink = new TestSink();
    h.watch(h.hub.open(sink), { matcher: tagged('blue'), once: true });
    h.settle();
    expect(transcript(sink).length).toBeGreaterThan(3);
    expect(transcript(sink).at(-1)).toBe('ended');
    expect(eventsOf(sink).length).toBe(30);
  });

  it('is told of coalesced changes what matches, and what does not as left', () => {
    const h = new Harness({ backlogBytesMax: 600, plainCatchUpBytesMax: 100 });
    register(h, 'api', 'keeps', 'blue');
    register(h, 'api', 'leaves', 'blue');
    register(h, 'api', 'goes', 'blue');
    h.turn();
    const sink = new TestSink();
    sink.credit = 1;
    const stream = h.hub.open(sink);
    h.watch(stream, { matcher: tagged('blue') });
    for (let i = 0; i < 20; i++) {
      register(h, 'api', 'keeps', 'blue');
      h.turn();
    }
    register(h, 'api', 'leaves');
    h.driver.deregister('api', 'goes');
    h.turn();
    h.read(sink, stream);
    expect(transcript(sink).slice(1)).toEqual(['coalesced 3-25 3']);
    expect(eventsOf(sink, 1)).toEqual(['23 put api/keeps', '25 leaves api/leaves 0', '25 delete api/goes 0']);
  });

  it('shares its batches with equal ones, whose events are judged once', () => {
    const h = new Harness();
    let judged = 0;
    const blue = tagged('blue');
    const counting: ViewMatcher = {
      key: blue.key,
      matches: (view) => {
        judged++;
        return blue.matches(view);
      },
    };
    const sinks = Array.from({ length: 20 }, () => new TestSink());
    for (const sink of sinks) h.watch(h.hub.open(sink), { matcher: counting });
    register(h, 'api', 'one', 'blue');
    h.turn();
    // Once for all of them, and once for the snapshot that is kept for the next one.
    expect(judged).toBe(2);
    for (const sink of sinks) expect(sink.sent[1]).toBe(sinks[0]?.sent[1]);
  });

  it('keeps a snapshot for the next one although others change', () => {
    const h = new Harness();
    register(h, 'api', 'one', 'blue');
    h.turn();
    const sinks = [new TestSink(), new TestSink()];
    for (const sink of sinks) {
      h.watch(h.hub.open(sink), { matcher: tagged('blue') });
      register(h, 'api', 'two');
      h.turn();
    }
    expect(sinks.map((sink) => transcript(sink))).toEqual([['snapshot 0-1 1'], ['snapshot 0-2 1']]);
  });
});

describe('a watch with a prefix', () => {
  it('covers the services whose names begin so, in the order of the changes', () => {
    const h = new Harness();
    h.fill('web', 1);
    h.fill('web-admin', 2);
    h.fill('we', 1);
    const sink = new TestSink();
    h.watch(h.hub.open(sink), { service: '', servicePrefix: 'web' });
    for (const service of ['web-admin', 'db', 'web', 'we', 'webby']) h.driver.register(service, 'new');
    h.turn();
    expect(transcript(sink)).toEqual(['snapshot 0-4 3', 'delta 4-9 3']);
    expect(eventsOf(sink).slice(3)).toEqual(['5 put web-admin/new', '7 put web/new', '9 put webby/new']);
  });

  it('resumes, and is forgotten with the last of its kind', () => {
    const h = new Harness();
    for (const service of ['web', 'db', 'webby']) h.driver.register(service, 'new');
    h.turn();
    const sink = new TestSink();
    const stream = h.hub.open(sink);
    h.watch(stream, { service: '', servicePrefix: 'web', resumeRevision: 1 });
    expect(eventsOf(sink)).toEqual(['3 put webby/new']);
    stream.cancel(1);
    h.driver.register('web', 'more');
    h.turn();
    expect(transcript(sink)).toEqual(['delta 1-3 1', 'ended']);
  });
});

describe('the map of scopes', () => {
  it('finds service, namespace and prefixes by one look-up a length, however many prefixes there are', () => {
    const map = new ScopeMap<string>();
    const scope = (service: string, servicePrefix = ''): Parameters<typeof map.add>[0] => ({
      namespace: 'default',
      service,
      servicePrefix,
    });
    map.add(scope('api-1'), 'service');
    map.add(scope(''), 'namespace');
    for (let i = 0; i < 5_000; i++) map.add(scope('', `p${i}`), `p${i}`);
    map.add(scope('', 'api'), 'prefix');
    map.add(scope('', 'api-1'), 'whole name');
    map.add(scope('', 'api-10'), 'longer');
    map.add({ namespace: 'other', service: '', servicePrefix: '' }, 'another');
    expect(map.of('default', 'api-1').toSorted()).toEqual(['namespace', 'prefix', 'service', 'whole name']);
    expect(map.of('default', 'p77x').toSorted()).toEqual(['namespace', 'p7', 'p77']);
    expect(map.of('nowhere', 'api-1')).toEqual([]);
    map.delete(scope('', 'api'), 'prefix');
    map.delete(scope('', 'api'), 'prefix');
    expect(map.of('default', 'api-2')).toEqual(['namespace']);
    map.delete(scope(''), 'namespace');
    expect(map.of('default', 'api-2')).toEqual([]);
  });
});
