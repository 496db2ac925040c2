import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { isMembershipEntry, readMembershipEntry } from '../checkers/membership-entry.ts';
import { KnownMemberships } from '../checkers/known-memberships.ts';
import { SimCluster } from '../cluster/sim-cluster.ts';
import { membershipFaults } from '../faults/membership-faults.ts';
import { planRun } from '../run/profiles.ts';
import { Simulation } from '../run/simulation.ts';
import type { SimEvent } from '../types.ts';
import { drainMicrotasks, outsidePromises } from '../world/microtasks.ts';
import { WorldClock } from '../world/world-clock.ts';

/** What came of the orders of operators, where nothing else happens to the members. */
async function ordered(seed: number, names: readonly string[]) {
  const plan = planRun(seed, 'chaos', new SeededRandom(seed));
  const events: SimEvent[] = [];
  const simulation = new Simulation({
    plan: {
      ...plan,
      ids: ['a', 'b', 'c'],
      safetyMs: 20_000,
      work: { ...plan.work, actions: 60 },
      faults: { ...plan.faults, count: 16, names: new Set(names) },
    },
    observers: () => [{ name: 'test', see: (event) => events.push(event) }],
  });
  const { breach } = await simulation.run();
  const notes = events.flatMap((event) => (event.kind === 'note' || event.kind === 'detail' ? [event.text] : []));
  const memberships = events.flatMap((event) =>
    event.kind === 'committed' && isMembershipEntry(event.entry.data) ? [readMembershipEntry(event.entry.data)] : [],
  );
  return { breach, notes, memberships, last: memberships.at(-1), events };
}

/** A cluster alone, without clients and faults; what its members say when they end. */
function bareCluster() {
  const ids = ['a', 'b', 'c'];
  const { setup } = planRun(3, 'chaos', new SeededRandom(3));
  const world = new WorldClock();
  const memberships = new KnownMemberships(ids);
  const ends: string[] = [];
  const cluster = new SimCluster({
    ids,
    setup,
    world,
    random: new SeededRandom(3),
    memberships,
    tell: (event) => memberships.see(event),
    onEnded: ({ id }, error) => ends.push(`${id}: ${String(error)}`),
    onServing: () => undefined,
    onStopping: () => Promise.resolve(),
    onDown: () => undefined,
    syncMs: () => 0,
    restartAfterMs: () => 100,
  });
  const advance = async (ms: number): Promise<void> => {
    const endMs = world.monotonicMs() + ms;
    let goesOn = true;
    while (goesOn) {
      await outsidePromises(() => {
        for (let i = 0; i < 200 && goesOn; i++) {
          goesOn = world.step(endMs);
          drainMicrotasks();
        }
      });
    }
  };
  return { cluster, memberships, ends, advance };
}

describe('a member that asks to be taken in', () => {
  it('ends where another one is found at its address, and comes in once its own is', async () => {
    const { cluster, memberships, ends, advance } = bareCluster();
    for (const member of cluster.members) cluster.start(member);
    await advance(5_000);
    for (const from of cluster.ids) cluster.redirects.set(`${from} d`, 'b');
    const joining = cluster.join('voter');
    await advance(1_000);
    expect(ends).toHaveLength(1);
    expect(ends[0]).toContain('the cluster answers, and does not name member d among its members');
    expect(memberships.newest.membership.voters).toEqual(['a', 'b', 'c']);
    cluster.redirects.clear();
    cluster.start(joining);
    await advance(5_000);
    expect(ends).toHaveLength(1);
    expect(memberships.newest.membership.voters).toEqual(['a', 'b', 'c', 'd']);
    for (const { life } of cluster.members) life?.end();
  });
});

describe('operators of a simulated cluster', () => {
  it('bring members in, take others out, and leave machines that have gone alone', async () => {
    const { breach, notes, memberships, last, events } = await ordered(3, [
      'join-voter',
      'order-remove',
      'order-exchange',
    ]);
    expect(breach).toBeUndefined();
    expect(memberships.some(({ outgoing }) => outgoing.length > 0)).toBe(true);
    expect(notes).toContain('a removed member ends');
    const removed = last?.removed ?? [];
    expect(removed.length).toBeGreaterThan(0);
    // Whoever is out of the cluster has come to its end, and is not started again.
    for (const id of removed) {
      const own = events.filter((event) => (event.kind === 'down' || event.kind === 'started') && event.member === id);
      expect(own.at(-1)).toMatchObject({ kind: 'down', how: 'ended' });
    }
    expect(last?.voters.length).toBeGreaterThanOrEqual(3);
  }, 60_000);

  it('replace the dead, promote learners and hand over', async () => {
    const names = ['join-learner', 'order-promote', 'order-replace', 'order-transfer'];
    const { breach, notes, memberships } = await ordered(5, names);
    expect(breach).toBeUndefined();
    expect(memberships.some(({ learners }) => learners.length > 0)).toBe(true);
    for (const what of [/: replace \w by \w, through \w: done/, /: promote \w, .*: done/, /: hand over to .*: done/]) {
      expect(notes.some((text) => what.test(text))).toBe(true);
    }
  }, 60_000);

  it('have a weight each, and one kind of trouble in the midst of a change', () => {
    expect(membershipFaults.every(({ weight, area }) => weight > 0 && area === 'membership')).toBe(true);
    expect(membershipFaults.map(({ name }) => name)).toContain('order-in-trouble');
  });
});
