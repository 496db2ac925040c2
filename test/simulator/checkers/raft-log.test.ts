import { describe, expect, it } from 'vitest';
import { noMembership } from '../../../src/raft/membership.ts';
import type { AppendRequest, Entry, Message } from '../../../src/raft/types.ts';
import { Story, expectBreach } from './story-kit.ts';

/** An entry whose hash tells where it comes from. */
function entry(index: number, term: number, hash = `${index}-${term}`): Entry {
  return { index, term, hash, data: new Uint8Array([index, term]) };
}

function head(from: string, to: string, term: number) {
  return { from, to, fromBoot: 1, toBoot: 1, term } as const;
}

function append(term: number, entries: readonly Entry[], fields: Partial<AppendRequest> = {}): Message {
  const [first] = entries;
  const prevIndex = (first?.index ?? 1) - 1;
  const prev = { prevIndex, prevTerm: 1, prevHash: `${prevIndex}-1` };
  return { ...head('a', 'b', term), kind: 'append', ...prev, entries, commit: 0, ...fields };
}

function heartbeat(from: string, term: number): Message {
  return { ...head(from, 'b', term), kind: 'heartbeat', commit: 0, round: 0 };
}

describe('the checker of logs', () => {
  it('passes two leaders one after the other, with an entry that never was committed', () => {
    const story = new Story();
    story.lead('a', 1);
    story.sent(append(1, [entry(1, 1), entry(2, 1)]));
    story.sent(append(1, [], { prevIndex: 2, prevTerm: 1, prevHash: '2-1', commit: 1 }));
    story.committed('a', entry(1, 1));
    story.committed('b', entry(1, 1));
    story.lead('c', 2);
    story.sent({ ...append(2, [entry(2, 2), entry(3, 2)]), from: 'c' });
    story.sent({ ...append(2, [], { prevIndex: 3, prevTerm: 2, prevHash: '3-2', commit: 3 }), from: 'c' });
    story.committed('c', entry(1, 1), entry(2, 2), entry(3, 2));
    expect(story.breaches).toEqual([]);
  });

  it('sees two leaders of a term, by role, by what is followed, or on the wire', () => {
    const role = new Story();
    role.lead('a', 3);
    role.lead('b', 3);
    expectBreach(role, 'raft-logs', 'b leads in term 3, whose leader is a');
    const wire = new Story();
    wire.sent(heartbeat('a', 3));
    wire.sent(heartbeat('c', 3));
    expectBreach(wire, 'raft-logs', 'c sends a heartbeat in term 3, whose leader is a');
    const entries = new Story();
    entries.lead('b', 3);
    entries.sent(append(3, []));
    expectBreach(entries, 'raft-logs', 'a sends entries in term 3, whose leader is b');
    const snapshot = new Story();
    snapshot.lead('b', 3);
    snapshot.sent({
      ...head('a', 'b', 3),
      kind: 'snapshot',
      snapshot: { index: 1, term: 1, hash: '1-1' },
      membership: noMembership,
    });
    expectBreach(snapshot, 'raft-logs', 'a sends a snapshot in term 3');
    const followed = new Story();
    followed.lead('b', 3);
    const soft = { term: 3, role: 'follower', leader: 'a', ownTermCommitted: false } as const;
    followed.tell({ kind: 'role', member: 'c', life: 1, ...soft });
    expectBreach(followed, 'raft-logs', 'a is followed by c in term 3');
  });

  it('sees a leader that changes its log, or sends what does not follow', () => {
    const story = new Story();
    story.sent(append(2, [entry(1, 1), entry(2, 2)]));
    story.sent(append(2, [entry(2, 1)]));
    expectBreach(story, 'raft-logs', 'leader a of term 2 has entry 2 of term 1', 'it had entry 2 of term 2');
    const gap = new Story();
    gap.sent(append(1, [entry(1, 1), entry(3, 1)]));
    expectBreach(gap, 'raft-logs', 'sends entry 3 of term 1 behind 1 of term 1');
    const future = new Story();
    future.sent(append(1, [entry(1, 2)]));
    expectBreach(future, 'raft-logs', 'sends entry 1 of term 2 behind 0');
  });

  it('sees equal index and term with another prefix, wherever they are', () => {
    const twice = new Story();
    twice.sent(append(1, [entry(1, 1)]));
    twice.sent({ ...append(2, [entry(1, 1, 'ff')]), from: 'c' });
    expectBreach(twice, 'raft-logs', 'leader c of term 2 has entry 1 of term 1 with hash ff, elsewhere it is');
    const disk = new Story();
    disk.sent(append(1, [entry(1, 1)]));
    const found = { term: 1, vote: '', boot: 1, baseIndex: 0, entries: [entry(1, 1, 'ff')] };
    disk.tell({ kind: 'recovered', member: 'b', life: 2, ...found });
    expectBreach(disk, 'raft-logs', 'b (life 2, at its start) has entry 1 of term 1 with hash ff');
    const hole = new Story();
    hole.tell({ kind: 'recovered', member: 'b', life: 2, ...found, entries: [entry(1, 1), entry(3, 1)] });
    expectBreach(hole, 'raft-logs', 'b (life 2) finds entry 3 behind 1');
    const prev = new Story();
    prev.sent(append(1, [entry(1, 1)]));
    prev.sent(append(1, [entry(2, 1)], { prevHash: 'ff' }));
    expectBreach(prev, 'raft-logs', 'leader a of term 1 has entry 1 of term 1 with hash ff');
    const snapshot = new Story();
    snapshot.sent(append(1, [entry(1, 1)]));
    snapshot.sent({
      ...head('a', 'b', 1),
      kind: 'snapshot',
      snapshot: { index: 1, term: 1, hash: 'ff' },
      membership: noMembership,
    });
    expectBreach(snapshot, 'raft-logs', 'a sends a snapshot has entry 1 of term 1 with hash ff');
  });

  it('sees a leader without what was committed before it', () => {
    const story = new Story();
    story.sent(append(1, [entry(1, 1)]));
    story.committed('a', entry(1, 1));
    story.lead('c', 2);
    story.sent({ ...append(2, [entry(1, 2)]), from: 'c' });
    expectBreach(story, 'raft-logs', 'has entry 1 of term 2', 'committed before its election was entry 1 of term 1');
  });

  it('expects of a leader that comes late only what was committed before later ones', () => {
    const story = new Story();
    story.lead('c', 3);
    story.sent({ ...append(3, [entry(1, 3)]), from: 'c' });
    story.committed('c', entry(1, 3));
    story.lead('a', 2);
    story.sent(append(2, [entry(1, 2)]));
    expect(story.breaches).toEqual([]);
  });

  it('sees two entries committed at one index, over members and lives, also by their bytes alone', () => {
    const other = new Story();
    other.committed('a', entry(1, 1));
    other.committed('b', entry(1, 2));
    expectBreach(other, 'raft-logs', 'b commits entry 1 of term 2 hash 1-2', 'a committed term 1 hash 1-1');
    const life = new Story();
    life.committed('a', entry(1, 1));
    life.start('a');
    life.committed('a', entry(1, 2));
    expectBreach(life, 'raft-logs', 'a commits entry 1 of term 2');
    const bytes = new Story();
    bytes.committed('a', entry(1, 1));
    bytes.committed('b', { ...entry(1, 1), data: new Uint8Array(3) });
    expectBreach(bytes, 'raft-logs', '3 bytes, a committed');
  });

  it('sees a commit that goes back, in a life or in what a leader tells', () => {
    const story = new Story();
    story.committed('a', entry(1, 1), entry(2, 1), entry(1, 1));
    expectBreach(story, 'raft-logs', 'a (life 1) commits entry 1 behind 2');
    const told = new Story();
    told.sent(append(1, [entry(1, 1), entry(2, 1)], { commit: 2 }));
    told.sent(append(1, [], { commit: 1 }));
    expectBreach(told, 'raft-logs', 'leader a of term 1 told b commit 2, and then 1');
  });

  it('sees a leader that commits an entry of an earlier term by itself', () => {
    const story = new Story();
    story.lead('a', 2);
    story.sent(append(2, [entry(1, 1), entry(2, 2)]));
    story.sent(append(2, [entry(3, 2)], { prevTerm: 2, prevHash: '2-2', commit: 1 }));
    expectBreach(story, 'raft-logs', 'commits entry 1 of term 1', 'at its election 0 was known as committed');
    const before = new Story();
    before.committed('b', entry(1, 1));
    before.lead('a', 2);
    before.sent(append(2, [entry(1, 1), entry(2, 2)], { commit: 1 }));
    expect(before.breaches).toEqual([]);
  });
});
