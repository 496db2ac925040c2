import { describe, expect, it } from 'vitest';
import type { WatchStep } from '../types.ts';
import { key, Story, expectBreach, expectClean } from './story-kit.ts';

const other = 'default/api/two';

function opened(story: Story, since = 0, watch = 1): void {
  story.tell({ kind: 'watch-opened', watch, client: 'x', since });
}

/** A watch that has its snapshot with one instance at revision 1. */
function started(fields: Partial<WatchStep> = {}): Story {
  const story = new Story();
  story.register(1, {}, ['t1']);
  opened(story);
  story.step({ kind: 'snapshot', events: [story.put(key, {}, true)], ...fields });
  return story;
}

/** What stood between the first and the third registration. */
function middle(story: Story): WatchStep['events'][number] {
  return story.put(key, { value: 2, incarnation: 2, modifyRevision: 2 });
}

describe('the checker of watches', () => {
  it('passes a snapshot, plain and coalesced batches, progress, a resume and a second watch', () => {
    const story = started();
    story.register(2);
    story.step({ from: 1, events: [story.put()] });
    story.deregister();
    story.register(3, { key: other });
    const events = [{ kind: 'delete', revision: 3, key } as const, story.put(other)];
    story.step({ from: 2, events });
    story.register(4, { key: 'default/web/one' });
    story.step({ from: 4, kind: 'progress' });
    story.register(5);
    story.register(6);
    story.deregister(other);
    const gone = { kind: 'delete', revision: 8, key: other } as const;
    story.step({ from: 5, coalesced: true, events: [story.put(), gone] });
    opened(story, 8);
    story.register(7);
    story.step({ from: 8, member: 'b', events: [story.put()] });
    opened(story, 8, 2);
    story.step({ watch: 2, from: 8, member: 'c', events: [story.put()] });
    story.end();
    expectClean(story);
  });

  it('passes what a filter and a prefix leave', () => {
    const tagged = { service: '', prefix: 'a', tag: 't1' };
    const story = started(tagged);
    story.register(2, { key: 'default/web/one' }, ['t1']);
    story.register(3, { key: other });
    story.register(4, {}, ['t2']);
    story.step({ ...tagged, from: 1, events: [{ kind: 'leaves', revision: 4, key }] });
    story.register(5, {}, ['t1', 't2']);
    story.step({ ...tagged, from: 4, events: [story.put(key, {}, true)] });
    story.deregister();
    story.deregister(other);
    story.step({ ...tagged, from: 5, events: [{ kind: 'delete', revision: 6, key }] });
    story.end();
    expectClean(story);
  });

  const firsts: readonly (readonly [string, Partial<WatchStep>, string])[] = [
    ['lacks an instance', { events: [] }, 'does not name default/api/one'],
    ['comes as a reset', { kind: 'reset' }, 'where a snapshot was to come'],
    ['is a batch', { kind: 'delta' }, 'comes before the snapshot'],
    ['is of the future', { to: 5 }, 'nobody has applied, the last is 1'],
    ['has a removal', { events: [{ kind: 'delete', revision: 1, key }] }, 'has delete of default/api/one'],
    ['has no age', { ageMs: -1 }, 'states an age of -1 ms'],
    ['is without the tag', { tag: 't9' }, 'says that default/api/one is value 1'],
    ['was never opened', { watch: 7 }, 'was never opened'],
  ];
  it.each(firsts)('sees a first batch that %s', (_what, fields, text) => {
    expectBreach(started(fields), 'watches', text);
  });

  it('sees a snapshot of other content, with one twice, or at another revision', () => {
    const check = (change: (story: Story) => WatchStep['events'], text: string): void => {
      const story = new Story();
      story.register(1);
      opened(story);
      story.step({ kind: 'snapshot', events: change(story) });
      expectBreach(story, 'watches', text);
    };
    check((story) => [story.put(key, { value: 9 })], 'says that default/api/one is value 9');
    check((story) => [story.put(), story.put()], 'names default/api/one twice');
    check((story) => [{ ...story.put(), revision: 9 } as WatchStep['events'][number]], 'at revision 9');
  });

  type Bad = readonly [string, (story: Story) => Partial<WatchStep>, string];
  const batches: readonly Bad[] = [
    ['has a gap', (story) => ({ from: 2, events: [story.put()] }), 'does not go on from 1'],
    ['repeats', () => ({ from: 0 }), 'does not go on from 1'],
    ['falls back', () => ({ from: 1, to: 0 }), 'falls behind 1'],
    ['is empty', () => ({ from: 1, to: 1 }), 'has no revision in it'],
    ['lacks a change', () => ({ from: 1 }), 'event 0 is missing, the log has put default/api/one value 2'],
    ['has more', (story) => ({ from: 1, events: [middle(story), story.put(), story.put()] }), 'event 2 is put'],
    [
      'cuts the range',
      (story) => ({ from: 1, to: 2, events: [story.put()] }),
      'event 0 is put default/api/one value 3',
    ],
    ['is a second snapshot', (story) => ({ kind: 'snapshot', events: [story.put()] }), 'watch that stood at 1'],
    ['resets for nothing', (story) => ({ kind: 'reset', events: [story.put()] }), 'is a reset from 1'],
    ['hides a change', () => ({ from: 1, kind: 'progress' }), 'hides put default/api/one value 2'],
    [
      'is progress with events',
      (story) => ({ from: 3, to: 3, kind: 'progress', events: [story.put()] }),
      'does not go',
    ],
    ['names one twice', (story) => ({ from: 1, coalesced: true, events: [story.put(), story.put()] }), 'twice'],
    ['coalesces away', () => ({ from: 1, coalesced: true, events: [] }), 'does not name default/api/one, which went'],
    [
      'says that it is gone',
      () => ({ from: 1, coalesced: true, events: [{ kind: 'delete', revision: 3, key }] }),
      'says that default/api/one delete, it is value 3',
    ],
    [
      'names what has not changed',
      (story) => ({ from: 1, coalesced: true, events: [story.put(), { kind: 'delete', revision: 3, key: other }] }),
      'names default/api/two, which has not changed',
    ],
    [
      'is of the middle',
      (story) => ({
        from: 1,
        coalesced: true,
        events: [middle(story)],
      }),
      'says that default/api/one is value 2 incarnation 2',
    ],
  ];
  it.each(batches)('sees a batch that %s', (_what, fields, text) => {
    const story = started();
    story.register(2);
    story.register(3);
    story.step(fields(story));
    expectBreach(story, 'watches', text);
  });

  it('sees a progress mark with events', () => {
    const story = started();
    story.step({ from: 1, to: 1, kind: 'progress', events: [story.put()] });
    expectBreach(story, 'watches', 'is a mark of progress with 1 events');
  });

  it('sees that what leaves the filter is not told, or told as a removal', () => {
    for (const events of [[], [{ kind: 'delete', revision: 2, key }]] as const) {
      const story = started({ tag: 't1' });
      story.register(2);
      story.step({ tag: 't1', from: 1, events });
      expectBreach(story, 'watches', 'the log has leaves default/api/one');
    }
    const untagged = started({ tag: 't1' });
    untagged.register(2, {}, ['t1']);
    untagged.step({ tag: 't1', from: 1, events: [untagged.put(key, {}, false)] });
    expectBreach(untagged, 'watches', 'which is without the tag t1');
  });

  it('sees a resume elsewhere, and what is told behind the end', () => {
    const resumed = started();
    resumed.register(2);
    opened(resumed, 2);
    expectBreach(resumed, 'watches', 'goes on from 2, it stood at 1');
    const fresh = new Story();
    fresh.register(1);
    fresh.register(2);
    opened(fresh, 1);
    fresh.step({ from: 2, to: 2, kind: 'progress' });
    expectBreach(fresh, 'watches', 'does not go on from 1');
    const ended = started();
    ended.tell({ kind: 'watch-ended', watch: 1, reason: '' });
    ended.step({ from: 1, kind: 'progress' });
    expectBreach(ended, 'watches', 'was told more after its end');
  });

  it('takes a reset that begins anew, or where one revision is too large; never below the resume point', () => {
    const anew = started();
    anew.register(2);
    opened(anew, 0);
    anew.step({ kind: 'reset', events: [anew.put()] });
    expectClean(anew);
    const below = started();
    below.register(2);
    below.step({ from: 1, events: [below.put()] });
    opened(below, 0);
    below.step({ kind: 'snapshot', to: 1, events: [] });
    expectBreach(below, 'watches', 'falls behind 2');
  });

  it('sees a linearizable snapshot that is older than what was known, but not one that states its age', () => {
    const told = (ageMs: number): Story => {
      const story = new Story();
      story.register(1);
      const before = story.put();
      story.register(2);
      opened(story);
      story.step({ kind: 'snapshot', to: 1, ageMs, events: [before] });
      return story;
    };
    expectBreach(told(0), 'watches', 'is linearizable, 2 was known when it was opened');
    expectClean(told(1));
  });

  it('sees a first snapshot that is older than it says', () => {
    const told = (ageMs: number): Story => {
      const story = new Story();
      story.register(1);
      const before = story.put();
      story.register(2);
      story.wait(100);
      opened(story);
      story.step({ kind: 'snapshot', to: 1, ageMs, events: [before] });
      return story;
    };
    // By the slowest clock.
    expectBreach(told(89), 'watches', 'says an age of 89 ms, 2 was known longer before');
    expectClean(told(90));
  });

  it('sees at the end who was never told, but not who has left', () => {
    const story = started();
    story.register(2);
    story.end();
    expectBreach(story, 'watches', 'ends at 1, it was never told of put default/api/one value 2', 'the log ends at 2');
    for (const event of [
      { kind: 'watch-ended', watch: 1, reason: '' },
      { kind: 'client-gone', client: 'x' },
    ] as const) {
      const left = started();
      left.register(2);
      left.tell(event);
      left.end();
      expectClean(left);
    }
    const silent = new Story();
    opened(silent);
    silent.wait(30_001);
    silent.end();
    expectBreach(silent, 'watches', 'watch 1 of x, opened at 1000, was never told anything');
    expect(silent.breaches).toHaveLength(1);
  });
});
