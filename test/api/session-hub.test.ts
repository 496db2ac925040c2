import { describe, expect, it } from 'vitest';
import { apiBounds } from '../../src/api/bounds.ts';
import { must } from '../../src/base/assert.ts';
import { nameOf, remove, restore, SessionCluster, start, update } from './session-cluster.ts';

function other(cluster: SessionCluster, ...ids: string[]): string {
  return must(
    cluster.cluster.members.find(({ id }) => !ids.includes(id)),
    'another member',
  ).id;
}

function held(cluster: SessionCluster, member: string): number {
  return cluster.cluster.replica(member).state.counts().instances;
}

describe('the streams of sessions', () => {
  it('open at any member, carry writes out in order and answer each with its results', async () => {
    const all = await SessionCluster.started();
    for (const { id: member } of all.cluster.members) {
      const { stream, sessionId } = await all.open(member);
      expect(stream.all('opened')[0]).toMatchObject({ sessionId, ttlMs: 10_000, lastSequence: 0, instances: 0 });
      stream.call.receive({ kind: 'write', sequence: 1, operations: [start(`${member}1`), start(`${member}2`)] });
      stream.call.receive({ kind: 'write', sequence: 2, operations: [update(`${member}1`, 'new'), remove('none')] });
      const second = await stream.next('written', ({ sequence }) => sequence === 2);
      const [first] = stream.all('written');
      expect(first?.results.map(({ status }) => status)).toEqual(['registered', 'registered']);
      expect(second.results.map(({ status }) => status)).toEqual(['updated', 'absent']);
      expect(second.header.revision).toBe(must(first, 'first answer').header.revision + 1);
    }
    await all.stop();
  });

  it('end their session on a half-close, with more instances than one revision may remove', async () => {
    const all = await SessionCluster.started();
    const { stream } = await all.open('a');
    for (let sequence = 1; sequence <= 3; sequence++) {
      const operations = Array.from({ length: apiBounds.sessionOperationsMax }, (_, i) => start(`${sequence}-${i}`));
      stream.call.receive({ kind: 'write', sequence, operations });
    }
    // What was sent before the half-close is carried out before it.
    stream.call.halfClose();
    expect(await stream.endReason()).toBe('');
    expect(stream.all('written').map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    await all.cluster.until('an empty registry', () => (held(all, 'a') === 0 ? true : undefined));
    expect(all.streams('a')).toBe(0);
    await all.stop();
  });

  it('let only the time run when they break, and go on at another member without a change', async () => {
    const all = await SessionCluster.started();
    const { stream, sessionId } = await all.open('a', { ttlMs: 3_000 });
    await stream.write(1, [start('x')]);
    const { revision } = all.cluster.replica('a').state.position;
    stream.call.close();
    await all.cluster.run(2_000);
    const { stream: next } = await all.open('b', { sessionId, attachment: 2 });
    expect(next.all('opened')[0]).toMatchObject({ sessionId, lastSequence: 1, instances: 1, header: { revision } });
    // The first write again, whose answer may have been lost: the same result, and no change.
    expect(await next.write(1, [start('x')])).toMatchObject([{ status: 'registered', incarnation: revision }]);
    for (let ping = 1; ping <= 6; ping++) {
      await all.cluster.run(1_000);
      expect(await next.ping(ping)).toBe(true);
    }
    expect(all.cluster.replica('c').state.position.revision).toBe(revision);
    expect(held(all, 'c')).toBe(1);
    await all.stop();
  });

  it('say that the session has ended when its time ran out', async () => {
    const all = await SessionCluster.started();
    const { stream, sessionId } = await all.open('a', { ttlMs: 1_000 });
    await stream.write(1, [start('x')]);
    expect(await stream.endReason()).toBe('UNKNOWN_SESSION');
    expect(held(all, 'a')).toBe(0);
    const late = all.begin('b', { sessionId, attachment: 2 });
    expect(await late.endReason()).toBe('UNKNOWN_SESSION');
    await all.stop();
  });

  it('answer a write of an earlier sequence, or of one too far ahead, with the field', async () => {
    const all = await SessionCluster.started();
    const { stream, sessionId } = await all.open('a');
    await stream.write(1, [start('x')]);
    await stream.write(2, [start('y')]);
    stream.call.receive({ kind: 'write', sequence: 1, operations: [start('x')] });
    expect(await stream.endReason()).toBe('SUPERSEDED');
    expect(stream.ended?.error?.field).toBe('write.sequence');
    const { stream: next } = await all.open('a', { sessionId, attachment: 2 });
    next.call.receive({ kind: 'write', sequence: 4, operations: [start('x')] });
    expect(await next.endReason()).toBe('INVALID_FIELD');
    expect(next.ended?.error?.field).toBe('write.sequence');
    await all.stop();
  });

  it('are refused above the bound of the member', async () => {
    const all = await SessionCluster.started();
    const { stream } = await all.open('a');
    for (let ping = 0; ping <= apiBounds.sessionPingsQueuedMax; ping++)
      stream.call.receive({ kind: 'ping', pingId: 1 });
    expect(await stream.endReason()).toBe('OVERLOADED');
    const { stream: busy } = await all.open('a');
    expect(busy.call.full).toBe(false);
    let room = 0;
    busy.call.onRoom(() => room++);
    for (let sequence = 1; sequence <= apiBounds.sessionWritesQueuedMax; sequence++) {
      expect(busy.call.full).toBe(false);
      busy.call.receive({ kind: 'write', sequence, operations: [start(`w${sequence}`)] });
    }
    expect(busy.call.full).toBe(true);
    await all.cluster.until('room', () => (room > 0 ? true : undefined));
    expect(busy.call.full).toBe(false);
    await busy.next('written', ({ sequence }) => sequence === apiBounds.sessionWritesQueuedMax);
    await all.stop();
  });
});

describe('two processes with one id', () => {
  it('tell the one that lost it, and it never takes the id back by itself', async () => {
    const all = await SessionCluster.started();
    const { stream: first } = await all.open('a');
    const { stream: second } = await all.open('b');
    await first.write(1, [start('x', 'first')]);
    const [replaced] = await second.write(1, [start('x', 'second')]);
    expect(replaced?.status).toBe('replaced');
    const { lost } = await first.next('lost');
    expect(lost).toEqual({ name: nameOf('x'), cause: 'superseded', incarnation: replaced?.incarnation });

    // Neither by an update, nor by a deregistration, nor by restoring, while the other has it and after it left.
    const refused = { status: 'refused', reason: 'SUPERSEDED', incarnation: replaced?.incarnation };
    expect(await first.write(2, [update('x', 'late')])).toMatchObject([refused]);
    expect(await first.write(3, [remove('x')])).toMatchObject([refused]);
    expect(await first.write(4, [restore('x')])).toMatchObject([refused]);
    await second.write(2, [remove('x')]);
    expect(await first.write(5, [restore('x')])).toMatchObject([{ status: 'refused', reason: 'SUPERSEDED' }]);
    expect(held(all, 'a')).toBe(0);
    expect(second.all('lost')).toEqual([]);
    // Its operator may start it again.
    expect(await first.write(6, [start('x', 'again')])).toMatchObject([{ status: 'registered' }]);
    await all.stop();
  });

  it('leave what the later one registered when the earlier one ends', async () => {
    const all = await SessionCluster.started();
    const { stream: first } = await all.open('a', { ttlMs: 1_000 });
    const { stream: second } = await all.open('b');
    await first.write(1, [start('x', 'first'), start('own')]);
    await second.write(1, [start('x', 'second')]);
    expect(await first.endReason()).toBe('UNKNOWN_SESSION');
    expect(held(all, 'b')).toBe(1);
    expect(all.cluster.replica('b').state.view('default', 's', 'x')).toBeDefined();
    await all.stop();
  });

  it('learn on their next stream what they lost while they were away', async () => {
    const all = await SessionCluster.started();
    const { stream, sessionId } = await all.open('a');
    await stream.write(1, [start('x'), start('y'), start('z')]);
    stream.call.close();
    const { stream: rival } = await all.open('b');
    const [{ incarnation } = { incarnation: 0 }] = await rival.write(1, [start('x')]);
    const name = nameOf('y');
    const gone = await all.cluster.outcome(all.cluster.execute('c', { kind: 'deregister', name, incarnation: 0 }));
    expect(gone).toMatchObject({ kind: 'deregistered', existed: true });
    const { stream: next } = await all.open('c', { sessionId, attachment: 2 });
    await next.ping(1);
    expect(next.all('opened')[0]).toMatchObject({ instances: 1, moreLost: false });
    expect(next.all('lost').map(({ lost }) => lost)).toEqual([
      { name: nameOf('x'), cause: 'superseded', incarnation },
      { name: nameOf('y'), cause: 'deregistered', incarnation: 0 },
    ]);
    await all.stop();
  });
});

describe('a process that was cut off', () => {
  it('finds its older stream ended, and what that one still brings is refused', async () => {
    const all = await SessionCluster.started();
    const leader = await all.cluster.leader();
    const far = other(all, leader);
    const near = other(all, leader, far);
    const { stream, sessionId } = await all.open(far);
    await stream.write(1, [start('x', 'first')]);
    // The member of the old stream hears nobody: a write waits in it, and comes late.
    for (const id of [leader, near]) {
      all.cluster.network.cut(far, id);
      all.cluster.network.cut(id, far);
    }
    stream.call.receive({ kind: 'write', sequence: 2, operations: [update('x', 'late')] });
    const { stream: next } = await all.open(near, { sessionId, attachment: 2 });
    expect(await next.write(2, [update('x', 'second')])).toMatchObject([{ status: 'updated' }]);
    expect(await next.write(3, [update('x', 'third')])).toMatchObject([{ status: 'updated' }]);
    for (const id of [leader, near]) {
      all.cluster.network.heal(far, id);
      all.cluster.network.heal(id, far);
    }
    // Whether its write comes late or the news first.
    expect(await stream.endReason()).toBe('SESSION_TAKEN');
    await all.cluster.hashes();
    const view = Buffer.from(must(all.cluster.replica(far).state.view('default', 's', 'x'), 'view of x'));
    expect(view.includes('x=third')).toBe(true);
    expect(await next.write(4, [update('x', 'fourth')])).toMatchObject([{ status: 'updated' }]);
    expect(next.ended).toBeUndefined();
    await all.stop();
  });

  it('finds its older stream at another member ended, though nothing comes over that any more', async () => {
    const all = await SessionCluster.started();
    const { stream, sessionId } = await all.open('a');
    await all.open('b', { sessionId, attachment: 2 });
    expect(await stream.endReason(2_000)).toBe('SESSION_TAKEN');
    expect(all.streams('a')).toBe(0);
    await all.stop();
  });

  it('is not disturbed by a stream of its own that opens late', async () => {
    const all = await SessionCluster.started();
    const { stream, sessionId } = await all.open('a');
    stream.call.close();
    const { stream: third } = await all.open('b', { sessionId, attachment: 3 });
    const second = all.begin('c', { sessionId, attachment: 2 });
    expect(await second.endReason()).toBe('SESSION_TAKEN');
    expect(await third.ping(1)).toBe(true);
    expect(third.ended).toBeUndefined();
    // And a half-close of the one that was left does nothing.
    expect(await third.write(1, [start('x')])).toMatchObject([{ status: 'registered' }]);
    await all.stop();
  });

  it('ends nothing by the half-close of a stream that it left', async () => {
    const all = await SessionCluster.started();
    const leader = await all.cluster.leader();
    const far = other(all, leader);
    const near = other(all, leader, far);
    const { stream, sessionId } = await all.open(far);
    await stream.write(1, [start('x')]);
    for (const id of [leader, near]) {
      all.cluster.network.cut(far, id);
      all.cluster.network.cut(id, far);
    }
    stream.call.halfClose();
    const { stream: next } = await all.open(near, { sessionId, attachment: 2 });
    for (const id of [leader, near]) {
      all.cluster.network.heal(far, id);
      all.cluster.network.heal(id, far);
    }
    await stream.endReason();
    expect(await next.ping(1)).toBe(true);
    expect(held(all, near)).toBe(1);
    await all.stop();
  });
});

describe('a change of leader', () => {
  it('applies each write once, and keeps the session', async () => {
    const all = await SessionCluster.started();
    const leader = await all.cluster.leader();
    const member = other(all, leader);
    const { stream } = await all.open(member, { ttlMs: 5_000 });
    let sequence = 0;
    for (let round = 0; round < 20; round++) {
      if (round === 10) all.cluster.crash(leader);
      const rest = round === 0 ? [] : [update('i0', `round ${round}`)];
      const results = await stream.write(++sequence, [start(`i${round}`), ...rest]);
      expect(results[0]?.status).toBe('registered');
    }
    const state = all.cluster.replica(member).state;
    // A revision a write: none was applied twice.
    expect(state.position.revision).toBe(20);
    expect(await stream.ping(1)).toBe(true);
    expect(state.counts()).toMatchObject({ instances: 20, sessions: 1 });
    await all.stop();
  });

  it('gives a session its time in full again', async () => {
    const all = await SessionCluster.started();
    const leader = await all.cluster.leader();
    const member = other(all, leader);
    const { stream } = await all.open(member, { ttlMs: 2_000 });
    await stream.write(1, [start('x')]);
    await all.cluster.run(1_500);
    all.cluster.crash(leader);
    const crashedMs = all.cluster.clock.monotonicMs();
    expect(await stream.endReason(10_000)).toBe('UNKNOWN_SESSION');
    expect(all.cluster.clock.monotonicMs() - crashedMs).toBeGreaterThan(2_000);
    await all.stop();
  });
});
