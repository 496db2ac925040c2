import { describe, expect, it } from 'vitest';
import type { RaftCore } from '../../src/raft/raft-core.ts';
import type { ReadContext } from '../../src/raft/types.ts';
import { Network } from './network.ts';
import { ackFromB, coreWith, drain, fromB, fromC, makeLeader } from './single.ts';

const read = (counter: number, member = 'a', boot = 1): ReadContext => ({ member, boot, counter });
const heartbeat = { kind: 'heartbeat', commit: 0, round: 0 } as const;

/** A leader of term 1 whose first entry is committed. */
function servingLeader(config: Parameters<typeof coreWith>[2] = {}): RaftCore {
  const core = coreWith([], {}, config);
  makeLeader(core);
  drain(core);
  core.step(ackFromB(1, 1));
  drain(core);
  return core;
}

/** A follower of b in term 1. */
function follower(config: Parameters<typeof coreWith>[2] = {}): RaftCore {
  const core = coreWith([], {}, config);
  core.step({ ...heartbeat, ...fromB, term: 1 });
  drain(core);
  return core;
}

describe('reads on a leader', () => {
  it('gives up reads beyond its bound at once, own ones and those of peers', () => {
    const core = servingLeader({ pendingReadsMax: 2 });
    core.readIndex(read(1));
    core.step({ kind: 'read-index', ...fromB, term: 1, contexts: [read(1, 'b'), read(2, 'b')] });
    core.readIndex(read(2));
    const ready = core.ready();
    expect(ready.voidedReads).toEqual([read(2)]);
    expect(ready.messages.filter((message) => message.kind === 'read-index-reply')).toMatchObject([
      { to: 'b', index: 0, contexts: [read(2, 'b')] },
    ]);
    expect(core.status().pendingReads).toBe(2);
  });

  it('answers a request that the network repeats only once while it is pending', () => {
    const core = servingLeader();
    const request = { kind: 'read-index', ...fromB, term: 1, contexts: [read(1, 'b')] } as const;
    core.step(request);
    core.step(request);
    drain(core);
    core.step({ kind: 'heartbeat-reply', ...fromB, term: 1, round: 1 });
    expect(drain(core)).toMatchObject([{ kind: 'read-index-reply', contexts: [read(1, 'b')], index: 1 }]);
  });

  it('lets a patient read wait for the heartbeat, which is a round then', () => {
    const core = servingLeader({ heartbeatTicks: 2 });
    core.readIndex({ ...read(1), patient: true });
    expect(drain(core)).toEqual([]);
    core.tick();
    expect(drain(core)).toEqual([]);
    core.tick();
    expect(drain(core)).toMatchObject([
      { kind: 'heartbeat', round: 1 },
      { kind: 'heartbeat', round: 1 },
    ]);
    core.step({ kind: 'heartbeat-reply', ...fromC, term: 1, round: 1 });
    expect(core.ready().confirmedReads).toHaveLength(1);
  });

  it('takes a patient read of a peer along with the next round', () => {
    const core = servingLeader();
    core.step({ kind: 'read-index', ...fromB, term: 1, contexts: [{ ...read(1, 'b'), patient: true }] });
    expect(drain(core)).toEqual([]);
    core.readIndex(read(1));
    expect(drain(core)).toHaveLength(2);
    core.step({ kind: 'heartbeat-reply', ...fromC, term: 1, round: 1 });
    expect(drain(core)).toContainEqual(expect.objectContaining({ kind: 'read-index-reply', to: 'b', index: 1 }));
  });

  it('begins one round for all reads of a turn, and none without reads', () => {
    const core = servingLeader();
    for (let counter = 1; counter <= 100; counter++) core.readIndex(read(counter));
    expect(drain(core)).toHaveLength(2);
    expect(drain(core)).toEqual([]);
    core.step({ kind: 'heartbeat-reply', ...fromC, term: 1, round: 1 });
    expect(core.ready().confirmedReads).toHaveLength(100);
  });

  it('drops an answer to a round that was never begun', () => {
    const core = servingLeader();
    core.step({ kind: 'heartbeat-reply', ...fromB, term: 1, round: 1 });
    expect(core.status().dropped.malformed).toBe(1);
    core.readIndex(read(1));
    expect(core.ready().confirmedReads).toEqual([]);
  });

  it('repeats the newest round with its heartbeats, so that a lost one is made good', () => {
    const core = servingLeader();
    core.readIndex(read(1));
    drain(core);
    core.tick();
    core.tick();
    expect(drain(core)).toMatchObject([
      { kind: 'heartbeat', round: 1 },
      { kind: 'heartbeat', round: 1 },
    ]);
  });

  it('does not take an answer to a round from before a stall for one after it', () => {
    const core = servingLeader();
    core.readIndex(read(1));
    drain(core);
    core.restartRounds();
    core.step({ kind: 'heartbeat-reply', ...fromB, term: 1, round: 1 });
    expect(core.ready().confirmedReads).toEqual([]);
    core.step({ kind: 'heartbeat-reply', ...fromB, term: 1, round: 2 });
    expect(core.ready().confirmedReads).toEqual([{ context: read(1), index: 1 }]);
  });

  it('gives up all reads when it steps down, and tells the peers that asked', () => {
    const core = servingLeader();
    core.readIndex(read(1));
    core.step({ kind: 'read-index', ...fromB, term: 1, contexts: [read(1, 'b')] });
    drain(core);
    core.setEligible(false);
    const ready = core.ready();
    expect(ready.voidedReads).toEqual([read(1)]);
    expect(ready.messages).toMatchObject([{ kind: 'read-index-reply', to: 'b', index: 0, term: 1 }]);
  });

  it('refuses a context of another member or boot from its own host', () => {
    const core = servingLeader();
    expect(() => core.readIndex(read(1, 'b'))).toThrow('read b/1/1');
    expect(() => core.readIndex(read(1, 'a', 2))).toThrow('read a/2/1');
    expect(() => core.readIndex(read(-1))).toThrow('counter');
  });
});

describe('reads on a follower', () => {
  it('are sent to the leader together, and answered with an index', () => {
    const core = follower();
    core.readIndex(read(1));
    core.readIndex(read(2));
    core.readIndex(read(2));
    expect(drain(core)).toMatchObject([{ kind: 'read-index', to: 'b', contexts: [read(1), read(2)] }]);
    core.step({ kind: 'read-index-reply', ...fromB, term: 1, contexts: [read(1), read(7)], index: 4 });
    core.step({ kind: 'read-index-reply', ...fromB, term: 1, contexts: [read(1)], index: 9 });
    core.step({ kind: 'read-index-reply', ...fromB, term: 1, contexts: [read(2)], index: 0 });
    const ready = core.ready();
    expect(ready.confirmedReads).toEqual([{ context: read(1), index: 4 }]);
    expect(ready.voidedReads).toEqual([read(2)]);
  });

  it('are void at once where no leader is known', () => {
    const core = coreWith();
    core.readIndex(read(1));
    expect(core.ready().voidedReads).toEqual([read(1)]);
  });

  it('are void at once beyond the bound', () => {
    const core = follower({ pendingReadsMax: 1 });
    core.readIndex(read(1));
    core.readIndex(read(2));
    expect(core.ready().voidedReads).toEqual([read(2)]);
  });

  it.each([
    ['another leader in a later term', { ...heartbeat, ...fromC, term: 2 }],
    ['a later term', { kind: 'heartbeat-reply', ...fromC, term: 2, round: 0 }],
  ] as const)('are void at %s', (_what, message) => {
    const core = follower();
    core.readIndex(read(1));
    drain(core);
    core.step(message);
    expect(core.ready().voidedReads).toEqual([read(1)]);
    core.step({ kind: 'read-index-reply', ...fromB, term: 1, contexts: [read(1)], index: 4 });
    expect(core.ready().confirmedReads).toEqual([]);
  });

  it('are void when it loses touch and campaigns', () => {
    const core = follower();
    core.readIndex(read(1));
    while (core.role === 'follower') core.tick();
    expect(core.ready().voidedReads).toEqual([read(1)]);
  });

  it('are not taken from anybody but the leader', () => {
    const core = follower();
    core.readIndex(read(1));
    drain(core);
    core.step({ kind: 'read-index-reply', ...fromC, term: 1, contexts: [read(1)], index: 4 });
    expect([core.ready().confirmedReads, core.status().dropped.unexpected]).toEqual([[], 1]);
  });

  it('are asked for again when the request may be lost', () => {
    const core = follower({ electionTicksMin: 10, electionTicksMax: 100 });
    core.readIndex(read(1));
    drain(core);
    core.reportUnreachable('c');
    expect(core.hasReady()).toBe(false);
    core.reportUnreachable('b');
    expect(drain(core)).toMatchObject([{ kind: 'read-index', contexts: [read(1)] }]);
    for (let tick = 0; tick < 9; tick++) core.tick();
    core.step({ ...heartbeat, ...fromB, term: 1 });
    expect(drain(core).map((message) => message.kind)).toEqual(['heartbeat-reply']);
    core.tick();
    expect(drain(core)).toMatchObject([{ kind: 'read-index', contexts: [read(1)] }]);
  });

  it('are refused by a member that does not lead', () => {
    const core = follower();
    core.step({ kind: 'read-index', ...fromC, term: 1, contexts: [read(1, 'c')] });
    expect(drain(core)).toMatchObject([{ kind: 'read-index-reply', to: 'c', index: 0, contexts: [read(1, 'c')] }]);
  });

  it('see what was acknowledged before, whoever leads', () => {
    const net = new Network();
    net.elect('a');
    net.propose('a', 'x');
    net.settle();
    net.elect('b');
    const context = net.member('c').read();
    net.checkers.readAsked(context);
    net.settle();
    expect(net.member('c').confirmed).toMatchObject([{ context, index: 3 }]);
  });
});
