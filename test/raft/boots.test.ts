import { describe, expect, it } from 'vitest';
import { bytesOf, Network } from './network.ts';
import { ackFromB, appendFrom, coreWith, drain, emptyBase, entriesOf, fromB, fromC, makeLeader } from './single.ts';

const heartbeat = { kind: 'heartbeat', commit: 0, round: 0 } as const;

describe('boots', () => {
  it('drops what comes from an earlier boot of the sender', () => {
    const core = coreWith();
    core.step({ ...heartbeat, ...fromB, fromBoot: 3, term: 1 });
    core.step({ ...heartbeat, ...fromB, fromBoot: 2, term: 9 });
    expect(core.term).toBe(1);
    expect(core.status().dropped['old-boot']).toBe(1);
    expect(core.status().peerBoots).toEqual({ b: 3, c: 0 });
  });

  it('takes requests that name its boot or none, and answers one for an earlier boot with a sign of life alone', () => {
    const core = coreWith([], {}, { boot: 5 });
    const append = appendFrom(1, emptyBase, entriesOf([1]));
    core.step({ ...append, toBoot: 4, fromBoot: 2 });
    expect(core.status()).toMatchObject({ lastIndex: 0, term: 0, dropped: { 'other-boot': 1 }, peerBoots: { b: 2 } });
    expect(drain(core)).toMatchObject([
      { kind: 'heartbeat-reply', to: 'b', fromBoot: 5, toBoot: 2, term: 0, round: 0 },
    ]);
    core.step({ ...append, toBoot: 0, fromBoot: 2 });
    expect(core.lastIndex).toBe(1);
    core.step({ ...append, toBoot: 5, fromBoot: 2 });
    expect(core.status().dropped['other-boot']).toBe(1);
  });

  it('drops answers to another boot, also those that name none', () => {
    for (const toBoot of [0, 4, 6]) {
      const core = coreWith([], {}, { boot: 5 });
      core.step({ kind: 'heartbeat-reply', ...fromB, toBoot, term: 9, round: 0 });
      expect(core.status()).toMatchObject({ term: 0, dropped: { 'other-boot': 1 } });
      expect(drain(core)).toEqual([]);
    }
  });

  it('counts an acknowledgement only of the boot that is heard now', () => {
    const core = coreWith();
    makeLeader(core);
    drain(core);
    core.step(ackFromB(1, 1));
    expect(core.status().peers).toMatchObject([{ id: 'b', match: 1, state: 'replicate' }, {}]);
    // The next life of b may have lost the entry, whatever the disk promised to the last one.
    core.step({ kind: 'heartbeat-reply', ...fromB, fromBoot: 2, term: 1, round: 0 });
    expect(core.status().peers).toMatchObject([{ id: 'b', match: 0, state: 'probe' }, {}]);
    core.step(ackFromB(1, 1));
    expect(core.status().peers).toMatchObject([{ id: 'b', match: 0 }, {}]);
    core.step({ ...ackFromB(1, 1), fromBoot: 2 });
    expect(core.status().peers).toMatchObject([{ id: 'b', match: 1 }, {}]);
  });

  it('counts a vote only of the boot that is heard now', () => {
    const core = coreWith([], {}, { voters: ['a', 'b', 'c', 'd', 'e'] });
    while (core.role === 'follower') core.tick();
    const vote = { kind: 'vote-reply', ...fromB, term: 1, granted: true } as const;
    core.step({ ...vote, preVote: true });
    core.step({ ...vote, from: 'c', preVote: true });
    drain(core);
    expect(core.role).toBe('candidate');
    core.step({ ...vote, preVote: false });
    // b has started anew, in a term that is not higher.
    core.step({ kind: 'heartbeat-reply', ...fromB, fromBoot: 2, term: 0, round: 0 });
    core.step({ ...vote, from: 'c', preVote: false });
    expect(core.role).toBe('candidate');
    core.step({ ...vote, from: 'd', preVote: false });
    expect(core.role).toBe('leader');
  });

  it('counts an answer to a read round only of the boot that is heard now', () => {
    const core = coreWith([], {}, { voters: ['a', 'b', 'c', 'd', 'e'] });
    while (core.role === 'follower') core.tick();
    for (const preVote of [true, false]) {
      for (const from of ['b', 'c']) core.step({ kind: 'vote-reply', ...fromB, from, term: 1, preVote, granted: true });
      drain(core);
    }
    for (const from of ['b', 'c']) core.step({ ...ackFromB(1, 1), from });
    const context = { member: 'a', boot: 1, counter: 1 };
    core.readIndex(context);
    drain(core);
    core.step({ kind: 'heartbeat-reply', ...fromB, term: 1, round: 1 });
    core.step({ kind: 'heartbeat-reply', ...fromB, fromBoot: 2, term: 1, round: 0 });
    core.step({ kind: 'heartbeat-reply', ...fromC, term: 1, round: 1 });
    expect(core.ready().confirmedReads).toEqual([]);
    core.step({ kind: 'heartbeat-reply', ...fromB, fromBoot: 2, term: 1, round: 1 });
    expect(core.ready().confirmedReads).toEqual([{ context, index: 1 }]);
  });

  it('answers no read of an earlier boot', () => {
    const core = coreWith();
    makeLeader(core);
    drain(core);
    core.step(ackFromB(1, 1));
    core.step({ kind: 'read-index', ...fromC, term: 1, contexts: [{ member: 'c', boot: 1, counter: 1 }] });
    drain(core);
    core.step({ kind: 'heartbeat-reply', ...fromC, fromBoot: 2, term: 1, round: 0 });
    expect(core.status().pendingReads).toBe(0);
    drain(core);
    core.step({ kind: 'heartbeat-reply', ...fromB, term: 1, round: 1 });
    expect(drain(core)).toEqual([]);
  });

  it('forgets a leader that has started anew, and the reads it was asked for', () => {
    const core = coreWith();
    core.step({ ...heartbeat, ...fromB, term: 1 });
    const context = { member: 'a', boot: 1, counter: 1 };
    core.readIndex(context);
    drain(core);
    core.step({ kind: 'vote-request', ...fromB, fromBoot: 2, term: 2, preVote: true, lastIndex: 0, lastTerm: 0 });
    const ready = core.ready();
    expect(core.leader).toBe('');
    expect(ready.voidedReads).toEqual([context]);
    expect(ready.messages).toMatchObject([{ kind: 'vote-reply', preVote: true, granted: true, toBoot: 2 }]);
  });

  it('brings a restarted follower back before its timeout, though the leader addresses its earlier boot', () => {
    const net = new Network();
    net.elect('a');
    net.crash('c');
    net.propose('a', 'x');
    net.settle();
    net.restart('c');
    net.run(4);
    expect(net.member('c').state).toEqual(['x']);
    expect(net.leader?.id).toBe('a');
    expect(net.member('c').raft.status().role).toBe('follower');
  });

  it('brings a leader back as a follower after a restart, with what it proposed and wrote', () => {
    const net = new Network();
    net.elect('a');
    net.member('a').writesAtOnce = false;
    net.member('a').raft.propose(bytesOf('written'));
    net.collect();
    net.lose();
    net.crash('a', 1);
    net.restart('a');
    expect(net.member('a').raft.entriesBetween(2, 3)).toHaveLength(1);
    net.member('a').writesAtOnce = true;
    net.run(60);
    expect(net.leader).toBeDefined();
    for (const member of net.members) expect(member.raft.lastIndex).toBe(net.member('a').raft.lastIndex);
  });
});
