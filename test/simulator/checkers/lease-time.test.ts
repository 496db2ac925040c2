import { describe, it } from 'vitest';
import type { CommandBody } from '../../../src/state-machine/types.ts';
import { expectBreach, expectClean, Story } from './story-kit.ts';

const ttlMs = 5_500;
const tickMs = 11;
/** Behind a pause: by the fastest clock of a story, and less what a side counts of it. */
const leastMs = 5_000 - (2 * tickMs) / 1.1;

const expire: CommandBody = { kind: 'expire-lease', leaseId: 1, epoch: 1, term: 1 };

/** Leader "a" stands still between these moments; the lease is granted at 1,000. */
function paused(fromMs: number, toMs: number): Story {
  const of = (member: string, least: number, most: number) => {
    const ms = member === 'a' ? Math.max(0, Math.min(most, toMs) - Math.max(least, fromMs)) : 0;
    return { ms, count: ms === 0 ? 0 : 1 };
  };
  const story = new Story({ pauses: { tickMs, of } });
  story.lead('a', 1);
  const granted = story.invoke({ kind: 'grant', ttlMs });
  story.apply({ kind: 'grant-lease', ttlMs });
  story.ok(granted, { leaseId: 1 });
  return story;
}

describe('the checker of the time of leases', () => {
  it('passes a lease that lives its time beside the pauses of its leader', () => {
    const story = paused(2_000, 3_000);
    story.wait(leastMs + 1_000);
    story.apply(expire);
    expectClean(story);
  });

  it('sees one that ends for the time in which its leader stood still', () => {
    const story = paused(2_000, 3_000);
    story.wait(leastMs + 999);
    story.apply(expire);
    const text = 'lease 1 of 5500 ms is ended by leader a of term 1, of the 5979 ms since it leads at 1000';
    expectBreach(story, 'lease-time', text, 'it stood still for 1000');
  });

  it('counts from the last sign of life that was answered', () => {
    const renewed = (): Story => {
      const story = paused(3_000, 4_000);
      story.wait(1_000);
      const operation = story.invoke({ kind: 'renew', leaseId: 1, ttlMs });
      story.ok(operation, { existed: true });
      story.wait(1_000);
      story.tell({ kind: 'kept', client: 'x', leaseId: 1, sinceMs: 2_500 });
      return story;
    };
    const good = renewed();
    good.wait(leastMs + 500);
    good.apply(expire);
    expectClean(good);
    const early = renewed();
    early.wait(leastMs + 499);
    early.apply(expire);
    expectBreach(early, 'lease-time', 'since a sign of life at 2500 it stood still for 1000');
  });

  it('counts no pause of before the lead, nor one of another member', () => {
    const before = paused(500, 1_000);
    before.wait(5_000);
    before.apply(expire);
    expectClean(before);
    const other = paused(2_000, 3_000);
    other.lead('b', 2);
    other.wait(5_000);
    const applied = { ...other.entry({ ...expire, term: 2 }), term: 2 };
    other.applyOn(applied, 'b');
    expectClean(other);
  });
});
