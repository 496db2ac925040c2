import { describe, expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { unknownAgeMs } from '../../src/replica/freshness.ts';
import { RegistryState } from '../../src/state-machine/registry-state.ts';
import { MemoryCluster } from './memory-cluster.ts';

async function started(cluster: MemoryCluster): Promise<string> {
  await cluster.startAll();
  return cluster.leader();
}

function others(cluster: MemoryCluster, id: string): string[] {
  return cluster.members.map((member) => member.id).filter((one) => one !== id);
}

async function refusal(cluster: MemoryCluster, call: Promise<unknown>): Promise<string> {
  try {
    await cluster.outcome(call);
    return 'no refusal';
  } catch (error) {
    return error instanceof RollcallError ? error.reason : `not typed: ${String(error)}`;
  }
}

describe('a cluster of replicas', () => {
  it('forms, elects, and takes writes on any member with the same result everywhere', async () => {
    const cluster = new MemoryCluster();
    await started(cluster);
    const clusterIds = new Set(cluster.members.map(({ replica }) => replica?.status().clusterId));
    expect(clusterIds.size).toBe(1);
    for (const [i, { id }] of cluster.members.entries()) {
      const result = await cluster.outcome(cluster.register(id, `one-${id}`));
      expect(result).toMatchObject({ kind: 'registered', revision: i + 1, incarnation: i + 1 });
    }
    expect(new Set(await cluster.hashes()).size).toBe(1);
    await cluster.stop();
    expect(cluster.members.flatMap(({ fatal }) => fatal)).toEqual([]);
  });

  it('runs as a single member', async () => {
    const cluster = new MemoryCluster({ ids: ['a'] });
    await started(cluster);
    await cluster.outcome(cluster.register('a', 'one'));
    await cluster.outcome(cluster.replica('a').readBarrier());
    expect(cluster.replica('a').state.counts().instances).toBe(1);
    await cluster.stop();
  });

  it('waits, by name, for an initial member that is silent, and forms once it answers', async () => {
    const cluster = new MemoryCluster();
    await cluster.start('a');
    await cluster.start('b');
    await cluster.run(2_000);
    expect(cluster.replica('a').status()).toMatchObject({ phase: 'forming', waitingFor: 'an answer from c' });
    expect(await refusal(cluster, cluster.register('a', 'one'))).toBe('NOT_SERVING');
    await cluster.start('c');
    await cluster.leader();
    await cluster.stop();
  });

  it('lets a member read what was acknowledged anywhere before', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    for (let i = 0; i < 20; i++) {
      await cluster.outcome(cluster.register(leader, `i${i}`));
      const reader = must(others(cluster, leader)[i % 2], 'a follower');
      await cluster.outcome(cluster.replica(reader).readBarrier());
      expect(cluster.replica(reader).state.view('default', 's', `i${i}`)).toBeDefined();
    }
    await cluster.stop();
  });

  it('goes on after the leader is gone, loses nothing acknowledged, and takes the old one back', async () => {
    const cluster = new MemoryCluster();
    const first = await started(cluster);
    await cluster.outcome(cluster.register(first, 'before'));
    cluster.crash(first);
    const survivor = must(others(cluster, first)[0], 'a survivor');
    const second = await cluster.leader();
    expect(second).not.toBe(first);
    await cluster.outcome(cluster.register(survivor, 'after'));
    await cluster.start(first);
    await cluster.until('the old leader to catch up', () =>
      cluster.replica(first).state.counts().instances === 2 ? true : undefined,
    );
    expect(new Set(await cluster.hashes()).size).toBe(1);
    await cluster.stop();
  });

  it('survives the loss of power on all members at random moments, with what was acknowledged', async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const cluster = new MemoryCluster({ seed });
      await started(cluster);
      const acknowledged: string[] = [];
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 15; i++) {
          const id = `r${round}-${i}`;
          const member = must(cluster.members[i % 3], 'a member').id;
          cluster.register(member, id, 300).then(
            () => acknowledged.push(id),
            () => undefined,
          );
          await cluster.run(5 * cluster.random.below('gap', 4));
        }
        const before = [...acknowledged];
        for (const { id } of cluster.members) cluster.crash(id);
        await started(cluster);
        const reader = must(cluster.members[round], 'a member').id;
        await cluster.outcome(cluster.replica(reader).readBarrier());
        for (const id of before) expect(cluster.replica(reader).state.view('default', 's', id)).toBeDefined();
        expect(new Set(await cluster.hashes()).size).toBe(1);
      }
      expect(acknowledged.length).toBeGreaterThan(20);
      expect(cluster.members.flatMap(({ fatal }) => fatal)).toEqual([]);
      await cluster.stop();
    }
  }, 30_000);

  it('fails writes and reads within two election timeouts where there is no quorum, and never hangs', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    for (const id of others(cluster, leader)) cluster.crash(id);
    const startMs = cluster.clock.monotonicMs();
    const replica = cluster.replica(leader);
    const reasons = await Promise.all([
      refusal(cluster, cluster.register(leader, 'one')),
      refusal(cluster, replica.readBarrier()),
    ]);
    expect(cluster.clock.monotonicMs() - startMs).toBeLessThanOrEqual(2 * replica.electionTimeoutMs);
    expect(reasons).toEqual(['OUTCOME_UNKNOWN', 'NO_LEADER']);
    expect(await refusal(cluster, cluster.register(leader, 'two'))).toBe('NO_LEADER');
    expect(await cluster.outcome(replica.renew([1]))).toEqual([{ leaseId: 1, status: 'unavailable', ttlMs: 0 }]);
  });

  it('acknowledges nothing in a minority that still believes to lead, and drops what it could not commit', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    for (const id of others(cluster, leader)) {
      cluster.network.cut(leader, id);
      cluster.network.cut(id, leader);
    }
    const lost = refusal(cluster, cluster.register(leader, 'lost'));
    await cluster.run(3_000);
    expect(await lost).toBe('OUTCOME_UNKNOWN');
    const majority = must(others(cluster, leader)[0], 'a member of the majority');
    await cluster.outcome(cluster.register(majority, 'kept'));
    for (const id of others(cluster, leader)) {
      cluster.network.heal(leader, id);
      cluster.network.heal(id, leader);
    }
    await cluster.until('the old leader to catch up', () =>
      cluster.replica(leader).state.view('default', 's', 'kept') === undefined ? undefined : true,
    );
    expect(cluster.replica(leader).state.view('default', 's', 'lost')).toBeUndefined();
    expect(new Set(await cluster.hashes()).size).toBe(1);
    await cluster.stop();
  });

  it('brings a member that fell behind the kept log back by a snapshot, and tells its watchers', async () => {
    const cluster = new MemoryCluster({ logKeepBytes: 64 * 1024, segmentBytes: 256 * 1024 });
    const leader = await started(cluster);
    const behind = must(others(cluster, leader)[0], 'a follower');
    cluster.crash(behind);
    for (let i = 0; i < 300; i++) await cluster.outcome(cluster.register(leader, `i${i}`, 2_000));
    await cluster.until('a dropped log prefix', () =>
      cluster.replica(leader).status().firstKeptIndex > 50 ? true : undefined,
    );
    await cluster.start(behind);
    await cluster.until('the snapshot to serve', () =>
      cluster.member(behind).events.some(({ kind }) => kind === 'snapshot-installed') ? true : undefined,
    );
    expect(new Set(await cluster.hashes()).size).toBe(1);
    expect(cluster.replica(behind).state.counts().instances).toBe(300);
    expect(cluster.member(behind).replaced.length).toBeGreaterThan(1);
    // It goes on from there, also over a restart.
    await cluster.outcome(cluster.register(behind, 'more'));
    await cluster.run(500);
    cluster.crash(behind);
    await cluster.start(behind);
    await cluster.leader();
    expect(new Set(await cluster.hashes()).size).toBe(1);
    expect(cluster.members.flatMap(({ fatal }) => fatal)).toEqual([]);
    await cluster.stop();
  }, 30_000);

  it('fences the member whose state differs from the majority, also where it leads', async () => {
    let corrupt = '';
    const cluster = new MemoryCluster({ createState: (id) => new FlippedState(() => corrupt === id) });
    const leader = await started(cluster);
    await cluster.outcome(cluster.register(leader, 'one'));
    corrupt = leader;
    await cluster.outcome(cluster.register(leader, 'two'));
    await cluster.until('the odd member to fence itself', () =>
      cluster.replica(leader).status().fenced ? true : undefined,
    );
    expect(await refusal(cluster, cluster.register(leader, 'three'))).toBe('MEMBER_FENCED');
    expect(await refusal(cluster, cluster.replica(leader).readBarrier())).toBe('MEMBER_FENCED');
    const sound = must(others(cluster, leader)[0], 'a sound member');
    await cluster.until('another leader', () => {
      const { leader: now } = cluster.replica(sound).status();
      return now !== '' && now !== leader ? now : undefined;
    });
    await cluster.outcome(cluster.register(sound, 'three'));
    expect(others(cluster, leader).map((id) => cluster.replica(id).status().fenced)).toEqual([false, false]);
  });

  it('stops the writes where no majority agrees on the state', async () => {
    const cluster = new MemoryCluster({ createState: (id) => new FlippedState(() => true, id) });
    const leader = await started(cluster);
    await cluster.run(5_000);
    expect(await refusal(cluster, cluster.register(leader, 'one'))).toBe('MEMBER_FENCED');
    await cluster.outcome(cluster.replica(leader).readBarrier());
  });

  it('renews leases through any member, and lets them end when nobody does', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const follower = must(others(cluster, leader)[0], 'a follower');
    const granted = await cluster.outcome(cluster.execute(follower, { kind: 'grant-lease', ttlMs: 1_000 }));
    expect(granted).toMatchObject({ kind: 'lease-granted', leaseId: 1 });
    for (let i = 0; i < 5; i++) {
      await cluster.run(500);
      const renewed = await cluster.outcome(cluster.replica(follower).renew([1]));
      expect(renewed).toEqual([{ leaseId: 1, status: 'renewed', ttlMs: 1_000 }]);
    }
    const startMs = cluster.clock.monotonicMs();
    await cluster.until('the lease to end', () =>
      cluster.replica(follower).state.lease(1) === undefined ? true : undefined,
    );
    const lateMs = cluster.clock.monotonicMs() - startMs - 1_000;
    expect(lateMs).toBeGreaterThanOrEqual(0);
    expect(lateMs).toBeLessThanOrEqual(cluster.replica(leader).electionTimeoutMs + 2_000);
    expect(await cluster.outcome(cluster.replica(leader).renew([1]))).toMatchObject([{ status: 'unknown' }]);
    await cluster.stop();
  });

  it('starts every lease in full with a new leader', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    await cluster.outcome(cluster.execute(leader, { kind: 'grant-lease', ttlMs: 3_000 }));
    await cluster.run(2_500);
    cluster.crash(leader);
    await cluster.leader();
    const electedMs = cluster.clock.monotonicMs();
    const survivor = must(others(cluster, leader)[0], 'a survivor');
    await cluster.until('the lease to end', () =>
      cluster.replica(survivor).state.lease(1) === undefined ? true : undefined,
    );
    expect(cluster.clock.monotonicMs() - electedMs).toBeGreaterThanOrEqual(2_800);
    expect(cluster.clock.monotonicMs() - electedMs).toBeLessThanOrEqual(3_000 + 1_000 + 2_000);
  });

  it('cannot date what a member holds that was down and has heard no leader since', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const behind = must(others(cluster, leader)[0], 'follower');
    await cluster.outcome(cluster.register(leader, 'one'));
    await cluster.run(1_000);
    cluster.crash(behind);
    await cluster.run(60_000);
    await cluster.outcome(cluster.register(leader, 'two'));
    const rest = others(cluster, behind);
    for (const id of rest) cluster.crash(id);
    await cluster.start(behind);
    await cluster.run(2_000);
    const replica = cluster.replica(behind);
    replica.assertServing();
    expect(replica.state.view('default', 's', 'two')).toBeUndefined();
    expect(replica.ageMs()).toBe(unknownAgeMs);
    // With a leader it knows again.
    for (const id of rest) await cluster.start(id);
    await cluster.leader();
    await cluster.run(1_000);
    expect(replica.ageMs()).toBeLessThan(300);
    await cluster.stop();
  });

  it('says how old a stale answer may be', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    await cluster.run(1_000);
    for (const { id } of cluster.members) expect(cluster.replica(id).ageMs()).toBeLessThan(300);
    const alone = must(others(cluster, leader)[0], 'a follower');
    for (const id of others(cluster, alone)) cluster.network.cut(id, alone);
    const before = cluster.replica(alone).ageMs();
    await cluster.run(1_000);
    expect(cluster.replica(alone).ageMs()).toBeGreaterThanOrEqual(before + 1_000);
    expect(cluster.replica(leader).ageMs()).toBeLessThan(300);
  });

  it('ends without acknowledging anything once a write to its disk has failed', async () => {
    const cluster = new MemoryCluster({ ids: ['a'] });
    await started(cluster);
    await cluster.outcome(cluster.register('a', 'one'));
    await cluster.run(500);
    const { disk, fatal } = cluster.member('a');
    const segment = must(
      (await disk.list('log')).find((name) => name.endsWith('.seg')),
      'a segment',
    );
    disk.failNext('write', `log/${segment}`, 'EIO');
    let acknowledged = false;
    cluster.register('a', 'two').then(
      () => {
        acknowledged = true;
      },
      () => undefined,
    );
    await cluster.run(5_000);
    expect(acknowledged).toBe(false);
    expect(fatal).toHaveLength(1);
  });

  it('never goes back in term, boot or revision over restarts', async () => {
    const cluster = new MemoryCluster();
    await started(cluster);
    let last = { term: 0, boot: 0, revision: 0 };
    for (let i = 0; i < 4; i++) {
      await cluster.outcome(cluster.register('a', `i${i}`));
      const { term, boot, revision } = cluster.replica('a').status();
      expect(term).toBeGreaterThanOrEqual(last.term);
      expect(boot).toBeGreaterThan(last.boot);
      expect(revision).toBeGreaterThan(last.revision);
      last = { term, boot, revision };
      cluster.crash('a');
      await cluster.start('a');
      await cluster.leader();
    }
    await cluster.stop();
  });

  it('refuses a directory that was emptied: it would have forgotten its votes', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const emptied = must(others(cluster, leader)[0], 'a follower');
    cluster.crash(emptied);
    const fresh = new MemoryCluster({ ids: [emptied] }).member(emptied);
    const member = cluster.member(emptied);
    member.disk = fresh.disk;
    member.engine = fresh.engine;
    await cluster.start(emptied);
    const error = await cluster.until('a refusal', () => member.fatal[0]);
    expect(String(error)).toMatch(/knows member . with directory [0-9a-f]{32}/);
  });

  it('refuses a copy of the directory of the same start, while the leader it acknowledged to leads', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const id = must(others(cluster, leader)[0], 'a follower');
    const member = cluster.member(id);
    await cluster.outcome(cluster.register(leader, 'before'));
    await cluster.hashes();
    const copied = { disk: member.disk.fork(), engine: member.engine };
    await cluster.outcome(cluster.register(leader, 'after'));
    await cluster.hashes();
    const before = cluster.replica(id).status();
    cluster.kill(id);
    const own = { disk: member.disk, engine: member.engine };
    member.disk = copied.disk;
    member.engine = own.engine.restarted(copied.disk);
    await cluster.start(id);
    await cluster.until('a refusal', () =>
      cluster
        .member(leader)
        .events.find((event) => event.kind === 'unreachable' && event.peer === id && /old-copy/.test(event.reason)),
    );
    await cluster.run(5_000);
    expect(cluster.replica(id).status().lastIndex).toBeLessThan(before.lastIndex);
    expect(cluster.replica(leader).status()).toMatchObject({ role: 'leader', term: before.term });
    cluster.kill(id);
    Object.assign(member, { disk: own.disk, engine: own.engine.restarted(own.disk) });
    await cluster.start(id);
    expect(new Set(await cluster.hashes()).size).toBe(1);
    await cluster.stop();
  });

  it('refuses a copy that comes to the number of the present start with all that was acknowledged', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const id = must(others(cluster, leader)[0], 'a follower');
    const member = cluster.member(id);
    await cluster.outcome(cluster.register(leader, 'one'));
    await cluster.hashes();
    const copy = member.disk.fork();
    cluster.kill(id);
    await cluster.start(id);
    for (const other of others(cluster, id)) {
      await cluster.until(`its second start, heard by ${other}`, () =>
        cluster
          .replica(other)
          .status()
          .peers.find((peer) => peer.memberId === id && peer.boot === 2 && peer.connected),
      );
    }
    cluster.kill(id);
    const own = { disk: member.disk, engine: member.engine };
    Object.assign(member, { disk: copy, engine: own.engine.restarted(copy) });
    await cluster.start(id);
    const told = /old-copy: .*another start with that number/;
    for (const other of others(cluster, id)) {
      await cluster.until(`a refusal by ${other}`, () =>
        cluster
          .member(other)
          .events.find((event) => event.kind === 'unreachable' && event.peer === id && told.test(event.reason)),
      );
    }
    await cluster.run(5_000);
    expect(cluster.replica(id).status()).toMatchObject({ boot: 2, leader: '' });
    cluster.kill(id);
    Object.assign(member, { disk: own.disk, engine: own.engine.restarted(own.disk) });
    await cluster.start(id);
    expect(new Set(await cluster.hashes()).size).toBe(1);
    expect(cluster.replica(id).status().boot).toBe(3);
    await cluster.stop();
  });
});

/** A state whose hash is wrong from a moment on: a flipped bit in memory, as the comparison would see it. */
class FlippedState extends RegistryState {
  readonly #isFlipped: () => boolean;
  readonly #mark: string;

  constructor(isFlipped: () => boolean, mark: string = 'f') {
    super();
    this.#isFlipped = isFlipped;
    this.#mark = mark;
  }

  override stateHash(): string {
    const hash = super.stateHash();
    if (!this.#isFlipped()) return hash;
    // Where it begins with the mark already, another digit makes it differ.
    return `${hash.startsWith(this.#mark) ? '0' : this.#mark}${hash.slice(1)}`;
  }
}
