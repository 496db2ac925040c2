import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { isMembershipEntry, readMembershipEntry } from '../checkers/membership-entry.ts';
import { membershipFaults } from '../faults/membership-faults.ts';
import { planRun } from '../run/profiles.ts';
import { Simulation } from '../run/simulation.ts';
import type { SimEvent } from '../types.ts';

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
