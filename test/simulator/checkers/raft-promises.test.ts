import { describe, expect, it } from 'vitest';
import type { Entry, Message } from '../../../src/raft/types.ts';
import type { SimEvent } from '../types.ts';
import { Story, expectBreach } from './story-kit.ts';

type Recovered = Extract<SimEvent, { kind: 'recovered' }>;

function entry(index: number, term: number): Entry {
  return { index, term, hash: `${index}-${term}`, data: new Uint8Array([index, term]) };
}

function head(from: string, to: string, term: number, fromBoot = 1) {
  return { from, to, fromBoot, toBoot: 1, term } as const;
}

function ask(from: string, term: number, preVote = false): Message {
  return { ...head(from, 'c', term), kind: 'vote-request', preVote, lastIndex: 0, lastTerm: 0 };
}

function vote(to: string, term: number, fields: { granted?: boolean; preVote?: boolean } = {}): Message {
  return { ...head('b', to, term), kind: 'vote-reply', granted: true, preVote: false, ...fields };
}

function accept(term: number, matchIndex: number): Message {
  const rest = { accepted: true, rejectedIndex: 0, hintIndex: 0, hintTerm: 0 };
  return { ...head('b', 'a', term), kind: 'append-reply', matchIndex, ...rest };
}

function append(from: string, term: number, entries: readonly Entry[]): Message {
  const prev = { prevIndex: 0, prevTerm: 0, prevHash: '', commit: 0 };
  return { ...head(from, 'b', term), kind: 'append', ...prev, entries };
}

/** The member starts again and finds this. */
function restart(story: Story, fields: Partial<Recovered> = {}): void {
  const life = story.life('b') + 1;
  story.start('b');
  const found = { term: 1, vote: '', boot: 1, baseIndex: 0, entries: [] };
  story.tell({ kind: 'recovered', member: 'b', life, ...found, ...fields });
}

describe('the checker of promises', () => {
  it('passes votes, acknowledgements and restarts that remember them', () => {
    const story = new Story();
    story.sent(ask('a', 1));
    story.sent(vote('a', 1));
    story.sent(vote('c', 1, { granted: false }));
    story.sent(vote('c', 5, { preVote: true }));
    story.sent(ask('b', 5, true));
    story.sent(append('a', 1, [entry(1, 1), entry(2, 1)]));
    story.sent(accept(1, 2));
    restart(story, { vote: 'a', entries: [entry(1, 1), entry(2, 1)] });
    story.sent({ ...vote('a', 1), fromBoot: 2 });
    restart(story, { vote: 'a', boot: 2, baseIndex: 2 });
    expect(story.breaches).toEqual([]);
  });

  it('sees two votes in one term, one of them for itself, over lives, or forgotten', () => {
    const two = new Story();
    two.sent(vote('a', 1));
    two.sent(vote('c', 1));
    expectBreach(two, 'raft-promises', 'b votes for c in term 1, it gave a its vote');
    const own = new Story();
    own.sent(vote('a', 1));
    own.sent(ask('b', 1));
    expectBreach(own, 'raft-promises', 'b votes for b in term 1, it gave a');
    const lives = new Story();
    restart(lives, { vote: 'a' });
    lives.sent(vote('c', 1));
    expectBreach(lives, 'raft-promises', 'b votes for c in term 1, it gave a');
    const forgotten = new Story();
    forgotten.sent(vote('a', 1));
    restart(forgotten, { vote: '' });
    expectBreach(forgotten, 'raft-promises', 'b (life 2) finds its vote of term 1 for "", it gave it a');
  });

  it('sees a term or a boot that goes back', () => {
    const disk = new Story();
    disk.sent(accept(3, 0));
    restart(disk, { term: 2 });
    expectBreach(disk, 'raft-promises', 'b (life 2) finds term 2, it has spoken in term 3');
    const life = new Story();
    life.sent(accept(3, 0));
    life.sent(accept(2, 0));
    expectBreach(life, 'raft-promises', 'b tells a term 2 in a append-reply behind term 3');
    const boot = new Story();
    boot.sent(accept(1, 0));
    restart(boot);
    boot.sent(accept(1, 0));
    expectBreach(boot, 'raft-promises', 'b speaks with boot 1 in life 2, in life 1 it had 1');
    const found = new Story();
    found.sent({ ...accept(1, 0), fromBoot: 4 });
    restart(found, { boot: 3 });
    expectBreach(found, 'raft-promises', 'finds boot 3, it has spoken with boot 4');
  });

  it('sees a log without what was accepted in this term, or with something else', () => {
    const short = new Story();
    short.sent(append('a', 1, [entry(1, 1), entry(2, 1)]));
    short.sent(accept(1, 2));
    restart(short, { entries: [entry(1, 1)] });
    expectBreach(short, 'raft-promises', 'finds a log that ends at 1, it accepted up to 2 in term 1');
    const other = new Story();
    other.sent(append('a', 2, [entry(1, 2)]));
    other.sent(accept(2, 1));
    restart(other, { term: 2, entries: [entry(1, 1)] });
    expectBreach(other, 'raft-promises', 'finds entry 1 of term 1 with hash 1-1, it accepted up to 1 in term 2');
  });

  it('lets a later term take the place of what is not committed, and of nothing else', () => {
    const story = (committed: readonly Entry[], entries: readonly Entry[]): Story => {
      const told = new Story();
      told.sent(append('a', 1, [entry(1, 1), entry(2, 1)]));
      told.sent(accept(1, 2));
      told.committed('a', ...committed);
      restart(told, { term: 2, entries });
      return told;
    };
    expect(story([], []).breaches).toEqual([]);
    expect(story([entry(1, 1)], [entry(1, 1)]).breaches).toEqual([]);
    expect(story([entry(1, 1), entry(2, 2)], [entry(1, 1), entry(2, 1)]).breaches).toEqual([]);
    expectBreach(
      story([entry(1, 1)], []),
      'raft-promises',
      'ends at 0, it accepted up to 2 in term 1, 1 must be there',
    );
    expectBreach(story([entry(1, 1)], [entry(1, 2)]), 'raft-promises', 'finds entry 1 of term 2 with hash 1-2');
  });

  it('sees a read that is confirmed below what was committed before it was asked', () => {
    const story = new Story();
    story.committed('a', entry(1, 1));
    story.wait(1);
    story.committed('a', entry(2, 1));
    story.tell({ kind: 'read-confirmed', member: 'b', askedMs: 1_001, index: 1 });
    expect(story.breaches).toEqual([]);
    story.tell({ kind: 'read-confirmed', member: 'b', askedMs: 1_002, index: 1 });
    expectBreach(story, 'raft-promises', 'a read of b asked at 1002 is confirmed at 1, 2 was committed before');
  });
});
