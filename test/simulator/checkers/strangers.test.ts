import { describe, expect, it } from 'vitest';
import type { Message } from '../../../src/raft/types.ts';
import { expectBreach, expectClean, registerAction, registerBody, Story } from './story-kit.ts';

function accept(fromBoot: number): Message {
  const rest = { accepted: true, rejectedIndex: 0, hintIndex: 0, hintTerm: 0 };
  const head = { from: 'b', to: 'a', fromBoot, toBoot: 1, term: 1 } as const;
  return { ...head, kind: 'append-reply', matchIndex: 0, ...rest };
}

describe('members on a directory that is not their own', () => {
  it.each(['old-directory', 'swapped-directory', 'emptied-directory'])('break no promise during %s', (name) => {
    const story = new Story();
    story.sent(accept(7));
    story.tell({ kind: 'fault', number: 3, name, text: 'b runs on another directory' });
    story.tell({ kind: 'started', member: 'b', life: 2 });
    story.sent(accept(4));
    story.invoke(registerAction(1));
    story.apply();
    const second = story.entry(registerBody(registerAction(1)));
    story.applyOn(second, 'a', 'c');
    story.tell({ ...second, member: 'b', life: 2 });
    expectClean(story);
    story.tell({ kind: 'mended', number: 3, name, text: '' });
    story.sent(accept(5));
    expectBreach(story, 'raft-promises', 'b speaks with boot 5');
  });

  it('are those that the fault names, and no others', () => {
    const story = new Story();
    story.tell({ kind: 'fault', number: 3, name: 'old-directory', text: 'c runs on another directory' });
    story.sent(accept(7));
    story.tell({ kind: 'started', member: 'b', life: 2 });
    story.sent(accept(4));
    expectBreach(story, 'raft-promises', 'b speaks with boot 4 in life 2');
    const other = new Story();
    other.tell({ kind: 'fault', number: 3, name: 'clog', text: 'b runs slowly' });
    other.apply();
    const second = other.entry();
    other.applyOn(second, 'a');
    other.tell({ ...second, member: 'b', life: 2 });
    expect(other.breaches[0]?.text).toContain('b (life 2) applied 2 behind 0');
  });
});
