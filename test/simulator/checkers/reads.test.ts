import { describe, expect, it } from 'vitest';
import { must } from '../../../src/base/assert.ts';
import type { Action, Operation, Outcome } from '../types.ts';
import { key, Story, expectBreach, expectClean } from './story-kit.ts';

const other = 'default/api/two';
type Discover = Extract<Action, { kind: 'discover' }>;
type Ok = Extract<Outcome, { kind: 'ok' }>;

function ask(story: Story, fields: Partial<Discover> = {}): Operation {
  const consistency = 'linearizable';
  return story.invoke({ kind: 'discover', service: 'api', consistency, minRevision: 0, filtered: false, ...fields });
}

/** Both instances as they are now, unless the fields say otherwise. */
function answer(story: Story, operation: Operation, fields: Partial<Ok> = {}): void {
  const instances = [key, other].flatMap((name) => story.seen(name) ?? []);
  story.ok(operation, { instances, ageMs: 0, inexact: false, ...fields });
}

function told(): Story {
  const story = new Story();
  story.register(1);
  story.register(2, { key: other });
  return story;
}

describe('the checker of reads', () => {
  it('passes linearizable, stale, filtered and paged answers', () => {
    const story = told();
    const before = must(story.seen(), 'instance');
    answer(story, ask(story));
    const stale = ask(story, { consistency: 'stale' });
    story.register(3);
    answer(story, stale, {
      revision: 2,
      instances: [before, must(story.seen(other), 'other')],
      member: 'b',
      ageMs: 100,
    });
    answer(story, ask(story, { filtered: true }), { instances: [must(story.seen(), 'one')] });
    answer(story, ask(story), { instances: [before, must(story.seen(other), 'other')], inexact: true });
    answer(story, ask(story, { minRevision: 3, consistency: 'stale' }));
    expect(story.breaches.filter(({ checker }) => checker === 'reads')).toEqual([]);
  });

  it('sees a linearizable answer that is older than what was known, by an answer or a watch', () => {
    const story = told();
    answer(story, ask(story), { revision: 1, instances: [must(story.seen(), 'one')] });
    expectBreach(story, 'reads', 'answered revision 1, when it was asked 2 was known already');
    const watched = new Story();
    watched.register(1);
    watched.tell({ kind: 'watch-opened', watch: 1, client: 'x', since: 0 });
    watched.step({ kind: 'snapshot', events: [watched.put()] });
    answer(watched, ask(watched), { revision: 0, instances: [] });
    expectBreach(watched, 'reads', 'answered revision 0, when it was asked 1 was known already');
  });

  it('does not ask that an answer knows what was told while it was on its way', () => {
    const story = told();
    const operation = ask(story);
    const instances = [key, other].map((name) => must(story.seen(name), 'instance'));
    story.register(3);
    answer(story, operation, { revision: 2, instances });
    expect(story.breaches.filter(({ checker }) => checker === 'reads')).toEqual([]);
  });

  it('sees an answer below the revision asked for', () => {
    const story = told();
    answer(story, ask(story, { consistency: 'stale', minRevision: 3 }));
    expectBreach(story, 'reads', 'answered revision 2, asked for at least 3');
  });

  it('sees an answer that is older than it says, by the slowest clock', () => {
    const old = (ageMs: number): Story => {
      const story = new Story();
      story.register(1);
      story.wait(1_000);
      const instances = [must(story.seen(), 'one')];
      story.register(2, { key: other });
      story.wait(900);
      answer(story, ask(story, { consistency: 'stale' }), { revision: 1, instances, ageMs });
      return story;
    };
    expectBreach(old(809), 'reads', 'answered revision 1 of age 809 ms, 2 was known before');
    expectClean(old(810));
    expectBreach(old(-1), 'reads', 'an age of -1 ms');
  });

  it('sees one life of a member go back for a client', () => {
    const story = told();
    const stale = { consistency: 'stale' } as const;
    answer(story, ask(story, stale), { ageMs: 9e15, member: 'b' });
    const one = [must(story.seen(), 'one')];
    answer(story, ask(story, stale), { ageMs: 9e15, member: 'c', revision: 1, instances: one });
    expectClean(story);
    answer(story, ask(story, stale), { ageMs: 9e15, member: 'b', revision: 1, instances: one });
    expectBreach(story, 'reads', 'b answered revision 1, this client had 2 from it before');
    const restarted = told();
    answer(restarted, ask(restarted, stale), { ageMs: 9e15, member: 'b' });
    restarted.tell({ kind: 'started', member: 'b', life: 2 });
    answer(restarted, ask(restarted, stale), { ageMs: 9e15, member: 'b', revision: 1, instances: one });
    expectClean(restarted);
  });

  const contents: readonly (readonly [string, (story: Story) => Partial<Ok>, string])[] = [
    ['lacks an instance', (story) => ({ instances: [must(story.seen(), 'one')] }), 'default/api/two was value 2'],
    ['shows one twice', (story) => ({ instances: [story.seen(), story.seen()].flatMap((one) => one ?? []) }), 'twice'],
    [
      'shows another value',
      (story) => ({ instances: [{ ...must(story.seen(), 'one'), value: 9 }, must(story.seen(other), 'two')] }),
      'default/api/one was value 1 incarnation 1 at 1 lease 0, answered was value 9',
    ],
    [
      'shows what is not there',
      (story) => ({
        instances: [key, other, 'default/api/x'].map((name) => ({ ...must(story.seen(), 'one'), key: name })),
        inexact: true,
      }),
      'default/api/two was nothing',
    ],
  ];
  it.each(contents)('sees an answer that %s', (_what, fields, text) => {
    const story = told();
    answer(story, ask(story), fields(story));
    expectBreach(story, 'reads', text);
  });

  it('sees a filtered answer with an instance of another time, and an answer of the future', () => {
    const story = told();
    const before = must(story.seen(), 'one');
    story.register(3);
    answer(story, ask(story, { filtered: true }), { instances: [before] });
    expectBreach(story, 'reads', 'was value 3 incarnation 3 at 3 lease 0, answered was value 1');
    const future = told();
    answer(future, ask(future), { revision: 7 });
    expectClean(future);
    future.end();
    expectBreach(future, 'reads', 'answered revision 7, the log ends at 2');
  });

  it('looks at an answer once the log reaches it', () => {
    const story = told();
    story.invoke({ kind: 'deregister', key: other, incarnation: 0 });
    const operation = ask(story);
    const applied = story.entry({
      kind: 'deregister',
      name: { namespace: 'default', service: 'api', id: 'two' },
      incarnation: 0,
    });
    answer(story, operation, { instances: [must(story.seen(), 'one'), { ...must(story.seen(), 'one'), key: other }] });
    expectClean(story);
    story.applyOn(applied, 'a');
    expectBreach(story, 'reads', 'default/api/two was nothing');
  });
});
