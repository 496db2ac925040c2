// The state of a member is replaced by a snapshot while streams of sessions are open on it: no change was told.
import { expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import { nameOf, SessionCluster, start } from './session-cluster.ts';

it('tells the streams of a member what happened while it was too far behind for the log', async () => {
  const all = await SessionCluster.started({ logKeepBytes: 64 * 1024, segmentBytes: 256 * 1024 });
  const { cluster } = all;
  const leader = await cluster.leader();
  const behind = must(
    cluster.members.find(({ id }) => id !== leader),
    'follower',
  ).id;
  const others = cluster.members.map(({ id }) => id).filter((id) => id !== behind);
  const ttlMs = 3_600_000;
  const loser = await all.open(behind, { ttlMs });
  const taken = await all.open(behind, { ttlMs });
  const revoked = await all.open(behind, { ttlMs });
  const kept = await all.open(behind, { ttlMs });
  await loser.stream.write(1, [start('x')]);
  await kept.stream.write(1, [start('y')]);

  for (const id of others) {
    cluster.network.cut(behind, id);
    cluster.network.cut(id, behind);
  }
  // What was on its way to it when it was cut off still arrives: this comes behind it.
  for (let i = 0; i < 200; i++) await cluster.outcome(cluster.register(leader, `i${i}`, 2_000));
  const rival = await all.open(leader, { ttlMs });
  const [replaced] = await rival.stream.write(1, [start('x')]);
  await all.open(leader, { sessionId: taken.sessionId, attachment: 2 });
  await cluster.outcome(cluster.execute(leader, { kind: 'revoke-lease', leaseId: revoked.sessionId }));
  const toldTo = cluster.replica(leader).state.position.index;
  for (let i = 0; i < 200; i++) await cluster.outcome(cluster.register(leader, `i${i}`, 2_000));
  await cluster.until('a dropped log prefix', () =>
    cluster.replica(leader).status().firstKeptIndex > toldTo ? true : undefined,
  );
  expect(loser.stream.all('lost')).toEqual([]);
  for (const id of others) {
    cluster.network.heal(behind, id);
    cluster.network.heal(id, behind);
  }
  await cluster.until('the snapshot to serve', () =>
    cluster.member(behind).events.some(({ kind }) => kind === 'snapshot-installed') ? true : undefined,
  );

  const { incarnation } = must(replaced, 'result');
  expect(loser.stream.all('lost').map(({ lost }) => lost)).toEqual([
    { name: nameOf('x'), cause: 'superseded', incarnation },
  ]);
  expect(taken.stream.ended?.error?.reason).toBe('SESSION_TAKEN');
  expect(revoked.stream.ended?.error?.reason).toBe('UNKNOWN_SESSION');
  // The others go on.
  expect(await loser.stream.ping(1)).toBe(true);
  expect(await kept.stream.ping(1)).toBe(true);
  expect(await kept.stream.write(2, [start('z')])).toMatchObject([{ status: 'registered' }]);
  expect([kept.stream.all('lost'), all.streams(behind)]).toEqual([[], 2]);
  await all.stop();
}, 30_000);
