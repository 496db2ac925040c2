import { describe, expect, it } from 'vitest';
import { must } from '../../../src/base/assert.ts';
import { decodeBatch } from '../../../src/state-machine/command-codec.ts';
import { entryOf } from '../../watch/change-model.ts';
import { readCommands } from './commands.ts';
import { key, nameOf, registerAction, registerBody, specOf, Story, updateBody, expectBreach } from './story-kit.ts';

describe('the checker of states', () => {
  it('passes a log that all members apply, load and go on with', () => {
    const story = new Story();
    story.register(1);
    const { revision, hash } = story.apply(registerBody(registerAction(2)), updateBody(3, 2));
    story.tell({ kind: 'down', member: 'b', life: 1, how: 'crash', reason: '' });
    expect(story.breaches.filter(({ checker }) => checker === 'state-safety')).toEqual([]);
    story.start('b', 2, revision, hash);
    story.apply({ kind: 'deregister', name: nameOf(key), incarnation: 0 });
    expect(story.breaches.filter(({ checker }) => checker === 'state-safety')).toEqual([]);
  });

  it.each([
    ['hash', { hash: 'ff' }, ['hash ff', 'a with']],
    ['term', { term: 2 }, ['term 2', 'a with 1']],
    ['revision', { revision: 2 }, ['revision 2', 'a with 1']],
    ['bytes', { data: new Uint8Array([1]) }, ['other bytes at 1']],
    ['results', { results: [] }, ['results in number 0', 'a with 1']],
    ['events', { events: [] }, ['events in number 0', 'a with 1']],
    [
      'a result',
      { results: [{ kind: 'updated', revision: 1, changed: true }] as const },
      ['updated at 1', 'registered'],
    ],
  ])('sees that a member applied another %s', (_what, change, texts) => {
    const story = new Story();
    story.invoke(registerAction(1));
    const applied = story.entry(registerBody(registerAction(1)));
    story.applyOn(applied, 'a');
    story.applyOn({ ...applied, ...change }, 'b');
    expectBreach(story, 'state-safety', 'b (life 1) applied', ...texts);
  });

  it('sees an entry that is left out, repeated or from nowhere', () => {
    const entries = (): { story: Story; first: ReturnType<Story['entry']>; second: ReturnType<Story['entry']> } => {
      const story = new Story();
      for (const value of [1, 2]) story.invoke(registerAction(value));
      const first = story.entry(registerBody(registerAction(1)));
      return { story, first, second: story.entry(registerBody(registerAction(2))) };
    };
    const left = entries();
    left.story.applyOn(left.first, 'a');
    left.story.applyOn(left.second, 'a', 'b');
    expectBreach(left.story, 'state-safety', 'b (life 1) applied 2 behind 0');
    const repeated = entries();
    repeated.story.applyOn(repeated.first, 'a', 'b', 'a');
    expectBreach(repeated.story, 'state-safety', 'a (life 1) applied 1 behind 1');
  });

  it('sees a revision that falls, is used twice, skipped, or not what the events say', () => {
    const fallen = new Story();
    fallen.register(1);
    const empty = fallen.entry();
    fallen.applyOn({ ...empty, revision: 0 }, 'a');
    expectBreach(fallen, 'state-safety', 'fell from revision 1 to 0');
    const wrong = new Story();
    wrong.invoke(registerAction(1));
    wrong.applyOn({ ...wrong.entry(registerBody(registerAction(1))), revision: 2 }, 'a');
    expectBreach(wrong, 'state-safety', 'revision 0 became 2, its events reach 1');
    const skipped = new Story();
    skipped.invoke(registerAction(1));
    const applied = skipped.entry(registerBody(registerAction(1)));
    const events = applied.events.map((event) => ({ ...event, revision: 2 }));
    const results = applied.results.map((result) => ({ ...result, revision: 2 }));
    skipped.applyOn({ ...applied, revision: 2, events, results }, 'a');
    expectBreach(skipped, 'state-safety', 'an event of revision 2 stands behind revision 0');
    const reused = new Story();
    reused.register(1);
    const next = reused.entry(registerBody(registerAction(2)));
    const before = next.events.map((event) => ({ ...event, revision: 1 }));
    reused.applyOn({ ...next, revision: 1, events: before }, 'a');
    expectBreach(reused, 'state-safety', 'an event of revision 1 stands behind revision 1');
  });

  it('sees events that a replay does not confirm', () => {
    const story = new Story();
    story.register(1);
    story.invoke(registerAction(2));
    const applied = story.entry(registerBody(registerAction(2)));
    const [event] = applied.events;
    story.applyOn({ ...applied, events: [{ ...must(event, 'event'), before: undefined } as never] }, 'a');
    expectBreach(story, 'state-safety', 'was nothing before, it was value 1');
    const changed = new Story();
    const first = changed.register(1);
    changed.invoke({ kind: 'update', key, value: 2, incarnation: 1 });
    const update = changed.entry(updateBody(2, 1));
    const other = changed.entry(registerBody(registerAction(3))).events[0];
    const [put] = update.events;
    expect([first.outcome?.kind, put?.kind, other?.kind]).toEqual(['ok', 'put', 'put']);
    const view = other?.kind === 'put' ? other.view : new Uint8Array(0);
    changed.applyOn({ ...update, events: [{ ...must(put, 'put'), view } as never] }, 'a');
    expectBreach(changed, 'state-safety', 'revision 2 puts default/api/one as of 3');
  });

  it('sees results that do not fit the commands, and bytes that are none', () => {
    const story = new Story();
    story.applyOn({ ...story.entry({ kind: 'grant-lease', ttlMs: 1_000 }), results: [] }, 'a');
    expectBreach(story, 'state-safety', '1 commands and 0 results');
    const broken = new Story();
    broken.applyOn({ ...broken.entry(), data: new Uint8Array([1, 2]) }, 'a');
    expectBreach(broken, 'state-safety', 'holds no commands');
  });

  it('sees a load of another hash, revision, or of what nobody applied, and one that goes back', () => {
    const load = (index: number, revision: number, hash: string): Story => {
      const story = new Story();
      story.register(1);
      story.start('b', index, revision, hash === '' ? story.apply().hash : hash);
      return story;
    };
    expectBreach(load(1, 1, 'ff'), 'state-safety', 'loaded hash ff at 1, applied was');
    expectBreach(load(7, 1, 'ff'), 'state-safety', 'loaded index 7, nobody has applied more than 1');
    const revision = new Story();
    revision.register(1);
    const { hash } = revision.register(2) && revision.apply();
    revision.start('b', 3, 1, hash);
    expectBreach(revision, 'state-safety', 'loaded revision 1 at 3, applied was 2');
    const back = new Story();
    back.register(1);
    back.tell({ kind: 'loaded', member: 'a', life: 1, index: 0, revision: 0, hash: 'ff' });
    expectBreach(back, 'state-safety', 'a (life 1) loaded index 0, it had applied 1');
  });
});

describe('the second reading of commands', () => {
  it('reads every kind as the state machine does', () => {
    const name = nameOf(key);
    const spec = specOf(key, 1);
    const lifetime = { kind: 'persistent' } as const;
    const item = { name, spec, ifAbsent: false, ifIncarnation: 0, keepEqual: false };
    const operations = [
      { kind: 'register', name, spec, restore: true, ownIncarnation: 4 },
      { kind: 'update', name: nameOf('default/api/two'), spec, incarnation: 5 },
      { kind: 'deregister', name: nameOf('default/api/three'), incarnation: 6, reason: 'why' },
    ] as const;
    const data = entryOf(
      { kind: 'register', name, spec, lifetime, ifAbsent: false, ifIncarnation: 0 },
      { kind: 'update', name, spec, incarnation: 2 },
      { kind: 'deregister', name, incarnation: 3 },
      { kind: 'grant-lease', ttlMs: 1_000 },
      { kind: 'revoke-lease', leaseId: 1 },
      { kind: 'expire-lease', leaseId: 2, epoch: 1, term: 1 },
      { kind: 'reap-lease', leaseId: 3 },
      { kind: 'batch-register', lifetime, items: [item] },
      { kind: 'open-session', ttlMs: 1_000 },
      { kind: 'attach-session', sessionId: 4, attachment: 2 },
      { kind: 'write-session', sessionId: 5, attachment: 1, sequence: 1, operations },
      { kind: 'close-session', sessionId: 6, attachment: 1 },
    );
    const kinds = decodeBatch(data).commands.map(({ command }) => command.body.kind);
    const commands = readCommands(data);
    expect(commands.map(({ kind }) => kind)).toEqual(kinds);
    expect(commands.map(({ leaseId }) => leaseId)).toEqual([0, 0, 0, 0, 1, 2, 3, 0, 0, 4, 5, 6]);
    expect(commands.map(({ incarnation }) => incarnation).slice(0, 3)).toEqual([0, 2, 3]);
    expect(commands[10]?.operations).toEqual([
      { kind: 'register', key, restore: true, incarnation: 4 },
      { kind: 'update', key: 'default/api/two', restore: false, incarnation: 5 },
      { kind: 'deregister', key: 'default/api/three', restore: false, incarnation: 6 },
    ]);
  });
});
