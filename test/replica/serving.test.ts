import { describe, expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { MemoryCluster } from './memory-cluster.ts';

async function started(cluster: MemoryCluster): Promise<string> {
  await cluster.startAll();
  return cluster.leader();
}

function others(cluster: MemoryCluster, id: string): string[] {
  return cluster.members.map((member) => member.id).filter((one) => one !== id);
}

/** What became of a call: '' while it is open. */
function watched(call: Promise<unknown>): () => string {
  let outcome = '';
  call.then(
    (value) => {
      outcome = `ok ${JSON.stringify(value)}`;
    },
    (error: unknown) => {
      outcome = error instanceof RollcallError ? error.reason : String(error);
    },
  );
  return () => outcome;
}

describe('a serving member', () => {
  it('goes on when a read meets a link to the leader that has just broken', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const reader = must(others(cluster, leader)[0], 'a follower');
    cluster.crash(leader);
    await cluster.run(10);
    await cluster.outcome(cluster.replica(reader).readBarrier(), 2_100);
    expect(cluster.replica(reader).status().leader).not.toBe(leader);
    await cluster.stop();
  });

  it('settles every call when it stops, whatever it waits for', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const follower = must(others(cluster, leader)[0], 'a follower');
    for (const id of others(cluster, leader)) cluster.network.cut(id, leader);
    const outcomes = [leader, follower].flatMap((id) => [
      watched(cluster.register(id, `of-${id}`)),
      watched(cluster.replica(id).readBarrier()),
      watched(cluster.replica(id).waitForRevision(99)),
      watched(cluster.replica(id).renew([1])),
    ]);
    await cluster.run(15);
    outcomes.push(watched(cluster.register(leader, 'late')));
    for (const id of [leader, follower]) await cluster.outcome(cluster.replica(id).stop(500), 600);
    await cluster.run(5);
    const unavailable = 'ok [{"leaseId":1,"status":"unavailable","ttlMs":0}]';
    const each = ['OUTCOME_UNKNOWN', 'NOT_SERVING', 'NOT_SERVING', unavailable];
    expect(outcomes.map((outcome) => outcome())).toEqual([...each, ...each, 'NOT_SERVING']);
  });

  it('ends within its grace on a disk that hangs, also when it is told to twice', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const release = await cluster.holdLog(leader);
    const write = watched(cluster.register(leader, 'one'));
    await cluster.run(20);
    const first = watched(cluster.replica(leader).stop(300));
    const second = watched(cluster.replica(leader).stop(300));
    await cluster.run(310);
    expect(first()).toContain('does not answer within 300 ms');
    expect(second()).toBe(first());
    expect(write()).not.toBe('');
    // Its port is free: another life could listen there.
    expect(cluster.network.find(leader, 1)).toBeUndefined();
    release();
  });

  it('stops while it forms, and while it recovers, and leaves nothing open or listening', async () => {
    const cluster = new MemoryCluster();
    await cluster.start('a');
    await cluster.run(500);
    await cluster.outcome(cluster.replica('a').stop(2_000), 2_000);
    expect(cluster.member('a').fatal).toEqual([]);
    expect(cluster.network.find('a', 1)).toBeUndefined();
    await cluster.start('a');
    await cluster.start('b');
    await cluster.start('c');
    await cluster.leader();
    await cluster.stop();
    await cluster.run(50);
    // Stopped in the first step of its second start.
    await cluster.start('a');
    await cluster.outcome(cluster.replica('a').stop(2_000), 2_000);
    expect(cluster.network.find('a', 1)).toBeUndefined();
    await cluster.startAll();
    await cluster.leader();
    await cluster.stop();
    expect(cluster.members.flatMap(({ fatal }) => fatal)).toEqual([]);
  });

  it('acknowledges no renewal with the answers that lay in its sockets while it stood still', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    await cluster.outcome(cluster.execute(leader, { kind: 'grant-lease', ttlMs: 1_000 }));
    const renewal = watched(cluster.replica(leader).renew([1]));
    // The round goes out; its answers wait for a process that stands still, while the others elect a leader.
    cluster.clock.advance(1);
    cluster.freeze(leader);
    await cluster.run(6_000);
    expect(renewal()).toBe('');
    const survivor = must(others(cluster, leader)[0], 'a survivor');
    expect(cluster.replica(survivor).state.lease(1)).toBeUndefined();
    cluster.thaw(leader);
    await cluster.until('the outcome of the renewal', () => (renewal() === '' ? undefined : true));
    expect(renewal()).toContain('unavailable');
    await cluster.stop();
  });

  it('says the whole age after it stood still, whatever lay in its sockets', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const follower = must(others(cluster, leader)[0], 'a follower');
    await cluster.run(500);
    cluster.freeze(follower);
    await cluster.run(3_000);
    cluster.thaw(follower);
    cluster.clock.advance(0);
    expect(cluster.replica(follower).ageMs()).toBeGreaterThanOrEqual(3_000);
    await cluster.run(500);
    expect(cluster.replica(follower).ageMs()).toBeLessThan(300);
    await cluster.stop();
  });

  it('takes a snapshot while its log is slow, with applied entries that are not flushed yet', async () => {
    const cluster = new MemoryCluster({ logKeepBytes: 64 * 1024, segmentBytes: 256 * 1024 });
    const leader = await started(cluster);
    const behind = must(others(cluster, leader)[0], 'a follower');
    for (const id of others(cluster, behind)) cluster.network.cut(id, behind);
    // It holds what is committed and not flushed yet when the snapshot comes.
    for (let i = 0; i < 300; i++) await cluster.outcome(cluster.register(leader, `i${i}`, 2_000));
    await cluster.until('a dropped log prefix', () =>
      cluster.replica(leader).status().firstKeptIndex > 50 ? true : undefined,
    );
    const release = await cluster.holdLog(behind);
    for (const id of others(cluster, behind)) cluster.network.heal(id, behind);
    await cluster.run(1_500);
    release();
    await cluster.until('the snapshot to serve', () =>
      cluster.member(behind).events.some(({ kind }) => kind === 'snapshot-installed') ? true : undefined,
    );
    expect(new Set(await cluster.hashes()).size).toBe(1);
    expect(cluster.members.flatMap(({ fatal }) => fatal)).toEqual([]);
    await cluster.stop();
  });
});
