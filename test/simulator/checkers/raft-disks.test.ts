import { describe, expect, it } from 'vitest';
import type { Message } from '../../../src/raft/types.ts';
import type { SimEvent } from '../types.ts';
import { KnownMemberships } from './known-memberships.ts';
import { RaftDisks } from './raft-disks.ts';

interface Disk {
  term: number;
  vote: string;
  lastIndex: number;
  isWriting?: boolean;
}

/** Three members whose disks hold what the test says. */
class Told {
  readonly breaches: string[] = [];
  readonly disks = new Map<string, Disk>();
  readonly foreign = new Set<string>();
  readonly #checker: RaftDisks;

  constructor() {
    const breach = (checker: string, text: string): void => void this.breaches.push(`${checker}: ${text}`);
    const view = { nowMs: 0, clockRateMax: 1, clockRateMin: 1, breach };
    this.#checker = new RaftDisks({
      view,
      memberships: new KnownMemberships(['a', 'b', 'c']),
      diskOf: (member) => {
        if (this.foreign.has(member)) return undefined;
        const disk = this.disk(member);
        return {
          hasEntry: (index) => index <= disk.lastIndex,
          get lastIndex() {
            return disk.lastIndex;
          },
          settledEnd: () => (disk.isWriting === true ? undefined : disk.lastIndex),
          hardState: () => (disk.term === 0 ? undefined : { ...disk }),
        };
      },
    });
    for (const member of ['a', 'b', 'c']) this.start(member);
  }

  disk(member: string): Disk {
    let disk = this.disks.get(member);
    if (disk === undefined) this.disks.set(member, (disk = { term: 0, vote: '', lastIndex: 0 }));
    return disk;
  }

  set(member: string, fields: Partial<Disk>): void {
    Object.assign(this.disk(member), fields);
  }

  start(member: string): void {
    this.#checker.see({ kind: 'started', member, life: 1 });
  }

  down(member: string, how: 'crash' | 'ended' = 'crash'): void {
    this.#checker.see({ kind: 'down', member, life: 1, how, reason: '' });
  }

  recovered(member: string, baseIndex: number, count: number): void {
    const entries = Array.from({ length: count }, (_, i) => ({
      index: baseIndex + 1 + i,
      term: 1,
      hash: '',
      data: Buffer.alloc(0),
    }));
    this.#checker.see({ kind: 'recovered', member, life: 2, term: 1, vote: 'a', boot: 2, baseIndex, entries });
  }

  replica(member: string, event: Extract<SimEvent, { kind: 'replica' }>['event']): void {
    this.#checker.see({ kind: 'replica', member, life: 1, event });
  }

  sent(...messages: readonly Message[]): void {
    for (const message of messages) this.#checker.see({ kind: 'sent', from: message.from, message });
  }
}

function head(from: string, to: string, term: number) {
  return { from, to, fromBoot: 1, toBoot: 1, term } as const;
}

function ask(from: string, term: number, preVote = false): Message {
  return { ...head(from, 'b', term), kind: 'vote-request', preVote, lastIndex: 0, lastTerm: 0 };
}

function vote(to: string, term: number, granted = true): Message {
  return { ...head('b', to, term), kind: 'vote-reply', granted, preVote: false };
}

function accept(from: string, matchIndex: number, term = 1): Message {
  const rest = { accepted: true, rejectedIndex: 0, hintIndex: 0, hintTerm: 0 };
  return { ...head(from, 'a', term), kind: 'append-reply', matchIndex, ...rest };
}

function heartbeat(commit: number, from = 'a', term = 1): Message {
  return { ...head(from, 'b', term), kind: 'heartbeat', commit, round: 1 };
}

/** Everybody is in term 1 and has voted for a. */
function elected(): Told {
  const told = new Told();
  for (const member of ['a', 'b', 'c']) told.set(member, { term: 1, vote: 'a' });
  told.sent(ask('a', 1), vote('a', 1));
  return told;
}

describe('the checker of messages against disks', () => {
  it('passes what was synced before it was said', () => {
    const told = elected();
    told.sent(ask('c', 7, true), vote('c', 1, false), heartbeat(0));
    told.set('a', { lastIndex: 5 });
    told.set('b', { lastIndex: 4 });
    told.sent(accept('b', 4), heartbeat(4));
    told.set('b', { term: 2, vote: 'c' });
    told.sent(vote('a', 1), vote('c', 2));
    expect(told.breaches).toEqual([]);
  });

  it('passes a commit that was counted in an earlier lead, and told to nobody then', () => {
    const told = elected();
    told.set('a', { lastIndex: 5 });
    told.set('b', { lastIndex: 5 });
    told.sent(accept('b', 5));
    told.set('a', { term: 3 });
    told.set('c', { term: 3 });
    told.sent(accept('c', 0, 3), heartbeat(5, 'a', 3));
    expect(told.breaches).toEqual([]);
  });

  it('sees a vote that is not on disk, for another or for itself', () => {
    const other = new Told();
    other.set('b', { term: 1, vote: '' });
    other.sent(vote('a', 1));
    expect(other.breaches).toEqual(['raft-disks: b votes for a in term 1, term 1 with a vote for "" is synced']);
    const own = new Told();
    own.set('a', { term: 3, vote: 'b' });
    own.sent(ask('a', 3));
    expect(own.breaches[0]).toContain('a votes for a in term 3');
  });

  it('sees a term that is told before it is on disk, once more in the next life', () => {
    const told = elected();
    told.sent(accept('b', 0, 2));
    expect(told.breaches[0]).toContain('b tells of term 2 in a append-reply');
    const again = elected();
    again.set('b', { term: 0 });
    again.sent(accept('b', 0));
    expect(again.breaches).toEqual([]);
    again.start('b');
    again.sent(accept('b', 0));
    expect(again.breaches[0]).toContain('b tells of term 1 in a append-reply, nothing is synced');
  });

  it('sees an acknowledgement of more than is on disk', () => {
    const told = elected();
    told.set('b', { lastIndex: 3 });
    told.sent(accept('b', 4));
    const text = 'b acknowledges entries up to 4 to a in term 1, the log that is synced ends at 3';
    expect(told.breaches).toEqual([`raft-disks: ${text}`]);
  });

  it('sees a commit that no majority of disks holds: the own count, a count of another term, nobody', () => {
    const own = elected();
    own.set('a', { lastIndex: 3 });
    own.set('b', { lastIndex: 4 });
    own.sent(accept('b', 4), heartbeat(4));
    expect(own.breaches).toEqual([
      'raft-disks: leader a of term 1 tells that entry 4 is committed, b has it on disk; voters a b c',
    ]);
    const term = elected();
    term.set('b', { lastIndex: 4 });
    term.sent(accept('b', 4));
    term.set('c', { term: 2, vote: 'c', lastIndex: 4 });
    term.sent(heartbeat(4, 'c', 2));
    expect(term.breaches[0]).toContain('leader c of term 2 tells that entry 4 is committed, c has it on disk');
    const nobody = elected();
    nobody.sent(heartbeat(1));
    expect(nobody.breaches[0]).toContain('nobody has it on disk');
  });

  it('sees a start that finds less than was synced', () => {
    const told = elected();
    told.set('b', { lastIndex: 4 });
    for (const [base, count] of [
      [0, 4],
      [3, 1],
      [6, 0],
    ] as const) {
      told.down('b');
      told.start('b');
      told.recovered('b', base, count);
    }
    expect(told.breaches).toEqual([]);
    told.down('b');
    told.start('b');
    told.recovered('b', 1, 2);
    expect(told.breaches).toEqual(['raft-disks: b (life 2) finds a log that ends at 3, it was synced up to 4']);
  });

  it('passes a log that begins anew behind the snapshot that had come, and only there', () => {
    const told = elected();
    const base = { index: 3, term: 2, hash: '3-2' };
    told.set('b', { lastIndex: 4 });
    told.replica('b', { kind: 'snapshot-receiving', from: 'a', base });
    told.down('b');
    told.start('b');
    told.recovered('b', 3, 0);
    expect(told.breaches).toEqual([]);
    told.down('b');
    told.start('b');
    told.recovered('b', 3, 0);
    expect(told.breaches).toHaveLength(1);
  });

  it('asks for nothing where a write was under way, had failed, or the directory is not its own', () => {
    const told = elected();
    told.set('b', { lastIndex: 4, isWriting: true });
    told.down('b');
    told.start('b');
    told.recovered('b', 0, 3);
    told.set('b', { lastIndex: 4, isWriting: false });
    told.down('b', 'ended');
    told.start('b');
    told.recovered('b', 0, 3);
    told.down('b');
    told.foreign.add('b');
    told.start('b');
    told.recovered('b', 0, 0);
    expect(told.breaches).toEqual([]);
    told.down('b');
    told.foreign.delete('b');
    told.start('b');
    told.recovered('b', 0, 3);
    expect(told.breaches).toHaveLength(1);
  });

  it('asks nothing of a member on a directory that is not its own, and counts it for nobody', () => {
    const told = elected();
    told.foreign.add('b');
    told.start('b');
    told.sent(accept('b', 9, 4), vote('c', 4));
    expect(told.breaches).toEqual([]);
    told.set('a', { lastIndex: 9 });
    told.sent(heartbeat(9));
    expect(told.breaches[0]).toContain('entry 9 is committed, a has it on disk');
  });
});
