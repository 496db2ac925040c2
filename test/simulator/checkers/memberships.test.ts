import { describe, expect, it } from 'vitest';
import { type Membership, votersOnly } from '../../../src/raft/membership.ts';
import { encodeMembership } from '../../../src/raft/system-entries.ts';
import type { AppendRequest, Entry, Message } from '../../../src/raft/types.ts';
import type { SimEvent } from '../types.ts';
import { KnownMemberships } from './known-memberships.ts';
import { isMembershipEntry, readMembershipEntry } from './membership-entry.ts';
import { apart, Memberships } from './memberships.ts';

const record = (id: string) => ({ id, directoryId: id.charCodeAt(0).toString(16).repeat(16), peerAddress: `${id}:1` });
const learner = (id: string) => ({ ...record(id), autoPromote: true });
const records = (ids: string) => ids.split('').map(record);

function membership(voters: string, outgoing = '', learners = '', removedIds: readonly string[] = []): Membership {
  return {
    ...votersOnly(records(voters)),
    outgoing: records(outgoing),
    learners: learners.split('').map(learner),
    removedIds,
  };
}

function change(index: number, term: number, said: Membership): Entry {
  return { index, term, hash: `${index}-${term}`, data: encodeMembership(said) };
}

function plain(index: number, term: number): Entry {
  return { index, term, hash: `${index}-${term}`, data: new Uint8Array(0) };
}

/** A cluster of a, b and c, as observers tell of it. */
class Told {
  readonly breaches: string[] = [];
  readonly known = new KnownMemberships(['a', 'b', 'c']);
  readonly #checker: Memberships;

  constructor() {
    const breach = (_checker: string, text: string): void => void this.breaches.push(text);
    this.#checker = new Memberships({ nowMs: 0, clockRateMax: 1, clockRateMin: 1, breach }, this.known);
  }

  see(event: SimEvent): void {
    this.#checker.see(event);
  }

  sent(message: Message): void {
    this.see({ kind: 'sent', from: message.from, message });
  }

  append(term: number, commit: number, ...entries: readonly Entry[]): void {
    const prevIndex = (entries[0]?.index ?? 1) - 1;
    const head = { from: 'a', to: 'b', fromBoot: 1, toBoot: 1, term } as const;
    this.sent({
      ...head,
      kind: 'append',
      prevIndex,
      prevTerm: 1,
      prevHash: '',
      entries,
      commit,
    } satisfies AppendRequest);
  }

  committed(...entries: readonly Entry[]): void {
    for (const entry of entries) this.see({ kind: 'committed', member: 'a', life: 1, entry });
  }

  elected(member: string, term: number, voters: string, lastIndex: number, lastTerm = 1): void {
    const head = { fromBoot: 1, toBoot: 1, term } as const;
    this.sent({ ...head, from: member, to: 'x', kind: 'vote-request', preVote: false, lastIndex, lastTerm });
    for (const from of voters) {
      this.sent({ ...head, from, to: member, kind: 'vote-reply', preVote: false, granted: true });
    }
    const role = { term, role: 'leader', leader: member, ownTermCommitted: false } as const;
    this.see({ kind: 'role', member, life: 1, ...role });
  }
}

describe('the reading of a membership entry', () => {
  it('finds what was written, by other means', () => {
    const said = { ...membership('abd', 'abc', 'e', ['x', 'yy']), learnersNext: [learner('c')] };
    const data = encodeMembership(said);
    expect(isMembershipEntry(data)).toBe(true);
    expect(readMembershipEntry(data)).toEqual({
      voters: ['a', 'b', 'd'],
      outgoing: ['a', 'b', 'c'],
      learners: ['e'],
      learnersNext: ['c'],
      removed: ['x', 'yy'],
    });
    expect(() => readMembershipEntry(data.subarray(0, data.length - 2))).toThrow('a membership entry');
    expect(isMembershipEntry(new Uint8Array(0))).toBe(false);
  });
});

describe('the checker of memberships', () => {
  it('passes a learner that becomes a voter, and one that takes the place of another', () => {
    const told = new Told();
    const entries = [
      plain(1, 1),
      change(2, 1, membership('abc', '', 'd')),
      change(3, 1, membership('abcd', 'abc')),
      change(4, 1, membership('abcd')),
      change(5, 1, membership('abd', 'abcd')),
      change(6, 1, membership('abd', '', '', ['c'])),
    ];
    for (const entry of entries) {
      told.append(1, entry.index - 1, entry);
      told.committed(entry);
    }
    told.elected('b', 2, 'd', 6);
    told.see({ kind: 'replica', member: 'c', life: 1, event: { kind: 'removed', by: 'a' } });
    expect(told.breaches).toEqual([]);
    expect(told.known.newest.membership.removed).toEqual(['c']);
  });

  it('passes a leader that goes on from a joint state which it found in its log', () => {
    const told = new Told();
    told.append(1, 1, plain(1, 1), change(2, 1, membership('abd', 'abc')));
    told.append(2, 1, plain(3, 2));
    told.append(2, 3, change(4, 2, membership('abd', '', '', ['c'])));
    expect(told.breaches).toEqual([]);
  });

  it('sees a second change while the first is not committed', () => {
    const told = new Told();
    told.append(1, 1, plain(1, 1), change(2, 1, membership('abc', '', 'd')), change(3, 1, membership('abc', '', 'de')));
    expect(told.breaches[0]).toContain('that of entry 2 is not committed');
  });

  it('sees a change before anything of the own term is committed', () => {
    const told = new Told();
    told.append(2, 1, plain(2, 2), change(3, 2, membership('abc', '', 'd')));
    expect(told.breaches[0]).toContain('has committed nothing of its term');
  });

  it('sees voters that change so that two majorities need not meet', () => {
    const told = new Told();
    told.append(1, 1, plain(1, 1), change(2, 1, membership('cde', '', '', ['a', 'b'])));
    expect(told.breaches[0]).toContain('could decide without the others');
    const one = new Told();
    one.append(1, 1, plain(1, 1), change(2, 1, membership('abcd')));
    expect(one.breaches[0]).toContain('the voters are others, without a joint state');
    const left = new Told();
    const joint = change(2, 1, membership('abd', 'abc'));
    left.append(1, 1, plain(1, 1), joint);
    left.committed(joint);
    left.append(1, 2, change(3, 1, membership('abc')));
    expect(left.breaches[0]).toContain('a joint state is left for another membership');
    const other = new Told();
    other.append(1, 1, plain(1, 1), change(2, 1, membership('abcd', 'abd')));
    expect(other.breaches[0]).toContain('others voted before');
    const meets = apart(
      { voters: ['a', 'b', 'c'], outgoing: [], learners: [], learnersNext: [], removed: [] },
      { voters: ['c', 'd', 'e'], outgoing: ['a', 'b', 'c'], learners: [], learnersNext: [], removed: [] },
    );
    expect(meets).toBeUndefined();
  });

  it('sees who comes back after its removal, and a removal that is forgotten', () => {
    const told = new Told();
    const first = [plain(1, 1), change(2, 1, membership('ab', '', '', ['c']))];
    told.append(1, 1, ...first);
    told.committed(...first);
    told.append(1, 2, change(3, 1, membership('ab', '', 'c')));
    expect(told.breaches.some((text) => text.includes('c was removed'))).toBe(true);
    const forgets = new Told();
    forgets.committed(...first);
    forgets.append(1, 2, first[0] ?? plain(1, 1), change(3, 1, membership('ab')));
    expect(forgets.breaches[0]).toContain('that c was removed is forgotten');
  });

  it('sees votes that do not count: of learners, of strangers, of one half of a joint state', () => {
    const learners = new Told();
    const first = [plain(1, 1), change(2, 1, membership('abc', '', 'd'))];
    learners.append(1, 1, ...first);
    learners.committed(...first);
    learners.elected('a', 2, 'd', 2);
    expect(learners.breaches[0]).toContain('a leads term 2, a, d have voted');
    const stranger = new Told();
    stranger.elected('a', 2, 'x', 0);
    expect(stranger.breaches).toHaveLength(1);
    const half = new Told();
    const joint = [plain(1, 1), change(2, 1, membership('ade', 'abc'))];
    half.append(1, 1, ...joint);
    half.committed(...joint);
    half.elected('a', 2, 'de', 2);
    expect(half.breaches).toHaveLength(1);
    const right = new Told();
    right.elected('a', 2, 'b', 0);
    expect(right.breaches).toEqual([]);
  });

  it('sees a snapshot with another membership, and who is told of a removal that never was', () => {
    const told = new Told();
    const first = [plain(1, 1), change(2, 1, membership('abc', '', 'd'))];
    told.committed(...first);
    const head = { from: 'a', to: 'd', fromBoot: 1, toBoot: 1, term: 1, kind: 'snapshot' } as const;
    const snapshot = { index: 2, term: 1, hash: '2-1' };
    told.sent({ ...head, snapshot, membership: membership('abc', '', 'd') });
    expect(told.breaches).toEqual([]);
    told.sent({ ...head, snapshot, membership: membership('abc') });
    expect(told.breaches[0]).toContain('a sends a snapshot of 2 with voters a b c, before , learners ');
    told.see({ kind: 'replica', member: 'b', life: 1, event: { kind: 'removed', by: 'a' } });
    expect(told.breaches[1]).toContain('b is told that it was removed');
    const event = { kind: 'membership', index: 2, voters: 'a b c d', learners: '' } as const;
    told.see({ kind: 'replica', member: 'b', life: 1, event });
    expect(told.breaches[2]).toContain('b says of entry 2 voters a b c d');
  });
});

describe('by which memberships an entry may have been counted', () => {
  it('names the one in force, those that follow, and what a committed joint state goes on to', () => {
    const told = new Told();
    const texts = (term: number, index: number, counted: number): string[] =>
      told.known
        .countedBy(term, index, counted)
        .map(({ voters, outgoing }) => `${voters.join('')}/${outgoing.join('')}`);
    expect(texts(1, 1, 0)).toEqual(['abc/']);
    told.append(1, 1, plain(1, 1), change(2, 1, membership('abd', 'abc')));
    expect(texts(1, 1, 0)).toEqual(['abc/', 'abd/abc']);
    // Its own entry is in its log: the one before counts no more.
    expect(texts(1, 2, 1)).toEqual(['abd/abc']);
    told.committed(change(2, 1, membership('abd', 'abc')));
    expect(texts(1, 3, 2)).toEqual(['abd/abc', 'abd/']);
  });
});
