import { describe, expect, it } from 'vitest';
import { add, committed, demote, inForce, promote, remove } from './changes.ts';
import { learnerOf, membershipOf, membershipText, recordOf } from './memberships.ts';
import { bytesOf, Network } from './network.ts';
import { appendFrom, coreWith, drain, emptyBase, entriesOf, fromB } from './single.ts';
import { encodeMembership } from '../../src/raft/system-entries.ts';
import { extendPrefixHash } from '../../src/base/hash.ts';
import type { LogBase } from '../../src/raft/types.ts';

/** Leader a of voters a, b and c, with `count` entries. */
function led(count: number): Network {
  const net = new Network();
  net.elect('a');
  for (let number = 0; number < count; number++) net.propose('a', `${number}`);
  net.settle();
  net.run(2);
  return net;
}

/** What the core of a member says about an index. */
function at(net: Network, id: string, index: number): string {
  const membership = net.member(id).raft.membershipAt(index);
  return membership === undefined ? 'none' : membershipText(membership);
}

describe('a snapshot', () => {
  it('feeds a learner whose entries are gone, and says the membership', () => {
    const net = led(5);
    net.member('a').compact(6);
    net.join('d');
    net.change('a', [add('d', true)]);
    net.run(2);
    expect(net.member('a').snapshotsWanted).toEqual(['d']);
    net.sendSnapshot('a', 'd', 7);
    net.run(8);
    expect([committed(net, 'd'), net.member('d').raft.status().base.index]).toEqual(['a b c d', 7]);
    net.restart('d');
    expect([at(net, 'd', 7), inForce(net, 'd')]).toEqual(['a b c + d*', 'a b c d']);
  });

  it('of an earlier index says the membership of then, and the log what came later', () => {
    const net = led(5);
    net.change('a', [add('d')]);
    net.settle();
    net.run(2);
    net.member('a').compact(6);
    net.join('d');
    net.run(4);
    expect(net.member('a').snapshotsWanted).toEqual(['d']);
    net.sendSnapshot('a', 'd', 6);
    expect(inForce(net, 'd')).toBe('a b c');
    net.run(4);
    expect([inForce(net, 'd'), net.member('d').raft.lastIndex]).toEqual(['a b c + d', 7]);
  });

  it('in a joint state carries both halves', () => {
    const net = new Network({
      members: ['a', 'b', 'c', 'd', 'e'],
      membership: membershipOf(['a', 'b', 'c'], { learners: [learnerOf('d'), learnerOf('e')] }),
    });
    net.elect('a');
    net.run(4);
    net.isolate('e');
    net.change('a', [promote('d'), demote('c')]);
    // The joint membership is committed; what follows it is not.
    net.settle(({ kind, to }) => kind !== 'append' || to !== 'e');
    const joint = net.member('a').raft.status().membershipIndex - 1;
    expect(at(net, 'a', joint)).toBe('a b c -> a b d + e next c');
    net.member('a').compact(joint);
    net.heal();
    net.sendSnapshot('a', 'e', joint);
    expect(inForce(net, 'e')).toBe('a b c -> a b d + e next c');
    net.run(4);
    expect(committed(net, 'e')).toBe('a b d + c e');
  });

  it('in a joint state lets its receiver elect by both halves', () => {
    const joint = membershipOf(['c', 'd'], { outgoing: ['a', 'b', 'c'].map(recordOf) });
    const core = coreWith([], { membership: membershipOf(['c']) });
    const snapshot = { index: 9, term: 2, hash: '0123456789abcdef' };
    core.step({ kind: 'snapshot', ...fromB, term: 3, snapshot, membership: joint });
    drain(core);
    while (core.role === 'follower') core.tick();
    drain(core);
    const vote = { kind: 'vote-reply', ...fromB, term: 4, preVote: true, granted: true } as const;
    core.step(vote);
    expect(core.role).toBe('pre-candidate');
    core.step({ ...vote, from: 'c' });
    expect(core.role).toBe('pre-candidate');
    core.step({ ...vote, from: 'd' });
    expect(core.role).toBe('candidate');
  });

  it('undoes what a log without its entries said', () => {
    const net = led(2);
    net.isolate('a');
    net.change('a', [remove('b')]);
    net.settle();
    expect(inForce(net, 'a')).toBe('a b c -> a c');
    net.elect('b');
    for (const text of ['x', 'y', 'z']) net.propose('b', text);
    net.settle();
    net.member('b').compact(net.member('b').raft.commit);
    net.heal();
    net.run(4);
    net.sendSnapshot('b', 'a', net.member('b').raft.commit);
    net.run(2);
    expect([inForce(net, 'a'), committed(net, 'a')]).toEqual(['a b c', 'a b c']);
  });

  it('hands its membership to the host once, with the step that persists it', () => {
    const core = coreWith([], { membership: membershipOf(['a', 'b', 'c']) });
    drain(core);
    const membership = membershipOf(['b', 'c'], { learners: [learnerOf('a')] });
    const snapshot = { index: 9, term: 2, hash: '0123456789abcdef' };
    core.step({ kind: 'snapshot', ...fromB, term: 3, snapshot, membership });
    const ready = core.ready();
    expect(ready.persist).toMatchObject({ snapshot, snapshotMembership: membership });
    expect([ready.membership, ready.committedMembership]).toEqual([membership, membership]);
    expect(core.hasReady()).toBe(false);
  });

  it('that the log holds already changes nothing of what it says', () => {
    const core = coreWith([1, 1, 1]);
    const prefix = core.prefixAt(2);
    if (prefix === undefined) throw new Error('entry 2 is missing');
    const snapshot = { index: 2, ...prefix };
    // A sender that says another membership is believed only where this log knows nothing.
    core.step({ kind: 'snapshot', ...fromB, term: 1, snapshot, membership: membershipOf(['x']) });
    expect([core.lastIndex, membershipText(core.membership)]).toEqual([3, 'a b c']);
  });

  it('ends for a peer that was removed while it was under way', () => {
    const net = led(3);
    net.join('d');
    net.change('a', [add('d')]);
    net.collect();
    net.lose(({ to }) => to === 'd');
    net.settle();
    net.member('a').compact(5);
    net.restart('d');
    net.run(4);
    expect(net.member('a').raft.status().peers.at(-1)).toMatchObject({ id: 'd', state: 'snapshot' });
    net.change('a', [remove('d')]);
    net.settle();
    net.member('a').raft.reportSnapshot('d', { ok: true, index: 5 });
    expect(
      net
        .member('a')
        .raft.status()
        .peers.map(({ id }) => id),
    ).toEqual(['b', 'c']);
  });
});

describe('compaction', () => {
  it('keeps the membership as of the base', () => {
    const net = led(2);
    net.join('d');
    net.change('a', [add('d')]);
    net.settle();
    net.run(4);
    net.change('a', [promote('d')]);
    net.settle();
    net.run(2);
    expect([1, 3, 4, 5, 6].map((index) => at(net, 'a', index))).toEqual([
      'a b c',
      'a b c',
      'a b c + d',
      'a b c -> a b c d',
      'a b c d',
    ]);
    net.member('a').compact(5);
    expect([at(net, 'a', 4), at(net, 'a', 5), at(net, 'a', 6)]).toEqual(['none', 'a b c -> a b c d', 'a b c d']);
    net.restart('a');
    net.collect();
    expect([at(net, 'a', 5), inForce(net, 'a')]).toEqual(['a b c -> a b c d', 'a b c d']);
  });

  it('is not possible where a member that joined does not know the membership', () => {
    const net = led(2);
    net.join('d');
    net.change('a', [add('d')]);
    net.run(4);
    // What the cluster began with is in no entry.
    expect([at(net, 'd', 0), at(net, 'd', 3), at(net, 'd', 4)]).toEqual(['none', 'none', 'a b c + d']);
    expect(() => net.member('d').raft.compact(3)).toThrow(/of a membership that is not known/);
    net.member('d').compact(4);
    expect(at(net, 'd', 4)).toBe('a b c + d');
    expect([at(net, 'a', 0), at(net, 'a', 3)]).toEqual(['a b c', 'a b c']);
  });

  it('says nothing of what is not committed', () => {
    const net = led(1);
    net.isolate('a');
    net.change('a', [add('d')]);
    net.settle();
    expect([at(net, 'a', 2), at(net, 'a', 3)]).toEqual(['a b c', 'none']);
  });
});

describe('a restart', () => {
  it('finds the membership in force in the log, behind the base', () => {
    const net = led(1);
    net.change('a', [add('d')]);
    net.settle();
    net.restart('b');
    expect([inForce(net, 'b'), at(net, 'b', 0)]).toEqual(['a b c + d', 'a b c']);
  });

  it('hands out what is committed page by page, memberships among them', () => {
    const net = new Network({ settings: { applyBytesMax: 2 } });
    net.elect('a');
    net.join('d');
    for (let number = 0; number < 10; number++) {
      net.propose('a', `${number}`);
      if (number === 4) net.change('a', [add('d', true)]);
      net.settle();
    }
    net.run(8);
    expect(committed(net, 'a')).toBe('a b c d');
    net.restart('b');
    const pages: number[] = [];
    while (net.member('b').raft.hasReady()) {
      const before = net.member('b').appliedIndex;
      net.member('b').once();
      pages.push(net.member('b').appliedIndex - before);
    }
    expect(net.member('b').state).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    expect(pages.filter((count) => count > 0).length).toBeGreaterThan(5);
    net.run(2);
    expect(committed(net, 'b')).toBe('a b c d');
  });

  it('finds no membership that was cut off before it', () => {
    const net = led(1);
    net.isolate('a');
    net.change('a', [remove('c')]);
    net.settle();
    net.elect('b');
    net.heal();
    net.run(4);
    net.restart('a');
    expect(inForce(net, 'a')).toBe('a b c');
  });
});

describe('entries that are replaced while they are written', () => {
  it('leave the membership of the last replacement, and no report counts for another', () => {
    const core = coreWith();
    const say = (voters: string[], index: number, term: number, before: LogBase) => {
      const data = encodeMembership(membershipOf(voters));
      return { index, term, hash: extendPrefixHash(before.hash, index, term, data), data };
    };
    const [first] = entriesOf([1]);
    if (first === undefined) throw new Error('no entry');
    const one = say(['a', 'b'], 2, 1, first);
    const other = say(['a', 'c'], 2, 2, first);
    const again = say(['a', 'b'], 2, 3, first);
    core.step(appendFrom(1, emptyBase, [first, one]));
    const written = core.ready();
    expect(membershipText(core.membership)).toBe('a b');
    core.step({ ...appendFrom(2, first, [other]), from: 'c' });
    const second = core.ready();
    expect(membershipText(core.membership)).toBe('a c');
    core.step(appendFrom(3, first, [again]));
    const third = core.ready();
    expect([membershipText(core.membership), third.membership && membershipText(third.membership)]).toEqual([
      'a b',
      'a b',
    ]);
    // The first two writes are done. What they wrote at 2 is not what stands there now.
    core.reportDurable(second.persist?.sequence ?? 0);
    expect([written.persist?.entries.length, core.durableIndex]).toEqual([2, 1]);
    core.reportDurable(third.persist?.sequence ?? 0);
    expect(core.durableIndex).toBe(2);
  });

  it('give a membership back that was in force before, without an entry of it', () => {
    const core = coreWith();
    const [first] = entriesOf([1]);
    if (first === undefined) throw new Error('no entry');
    const data = encodeMembership(membershipOf(['a', 'b']));
    const change = { index: 2, term: 1, hash: extendPrefixHash(first.hash, 2, 1, data), data };
    core.step(appendFrom(1, emptyBase, [first, change]));
    drain(core);
    const plain = { index: 2, term: 2, hash: extendPrefixHash(first.hash, 2, 2, bytesOf('x')), data: bytesOf('x') };
    core.step(appendFrom(2, first, [plain]));
    expect(membershipText(core.membership)).toBe('a b c');
    const { membership } = core.ready();
    expect(membership && membershipText(membership)).toBe('a b c');
  });

  it('halt the member where they say a membership that cannot be read', () => {
    const core = coreWith();
    const data = Uint8Array.of(0xf0, 1, 1);
    const entry = { index: 1, term: 1, hash: extendPrefixHash(emptyBase.hash, 1, 1, data), data };
    expect(() => core.step(appendFrom(1, emptyBase, [entry]))).toThrow(/membership entry/);
  });
});

describe('proposals', () => {
  it('never begin with the byte of a system entry, but for a feature level', () => {
    const net = led(0);
    expect(() => net.member('a').raft.propose(Uint8Array.of(0xf0, 1))).toThrow(/commands begin with byte 240/);
    expect(() => net.member('a').raft.propose(Uint8Array.of(0xff))).toThrow(/commands begin with byte 255/);
    expect(net.member('a').raft.propose(Uint8Array.of(0xf1, 1))).toMatchObject({ accepted: true });
    expect(net.member('a').raft.propose(Uint8Array.of(0xef))).toMatchObject({ accepted: true });
  });
});
