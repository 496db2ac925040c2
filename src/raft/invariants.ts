import { assert } from '../base/assert.ts';
import type { CoreState } from './core-state.ts';

/** What must never go back within the life of a process. */
export interface Watermarks {
  readonly term: number;
  readonly vote: string;
  readonly commit: number;
  readonly applied: number;
  readonly base: number;
}

export function watermarksOf(core: CoreState): Watermarks {
  const { log } = core;
  return { term: core.term, vote: core.vote, commit: log.commit, applied: log.applied, base: log.base.index };
}

/**
 * Asserts what must hold between any two calls: term, vote, commit, applied and base only go forward (I6), the indexes
 * are in order (I7), who leads has a vote until its removal is committed, progress exists for a leader alone, and
 * bounds are kept. Returns the new watermarks.
 */
export function checkInvariants(core: CoreState, before: Watermarks): Watermarks {
  const now = watermarksOf(core);
  const fall = (): string => `${JSON.stringify(before)} went back to ${JSON.stringify(now)}`;
  assert(now.term >= before.term && now.commit >= before.commit, fall);
  assert(now.applied >= before.applied && now.base >= before.base, fall);
  assert(now.term > before.term || before.vote === '' || now.vote === before.vote, fall);
  const { log } = core;
  log.check();
  core.durability.check(log.lastIndex);
  core.rounds.check();
  core.forwards.check();
  assert(core.term >= log.lastTerm, () => `term ${core.term} with a log of term ${log.lastTerm}`);
  assert(core.acknowledgedIndex <= core.verifiedIndex, () => `acknowledged ${core.acknowledgedIndex} unverified`);
  assert(core.verifiedIndex <= log.lastIndex, () => `verified ${core.verifiedIndex} of ${log.lastIndex}`);
  assert((core.role === 'leader') === (core.leader === core.id), () => `a ${core.role} whose leader is ${core.leader}`);
  assert(
    core.role === 'follower' || core.role === 'pre-candidate' || core.vote === core.id,
    () => `a ${core.role} voted for ${core.vote}`,
  );
  assert(core.memberships.index <= log.lastIndex, () => `membership of ${core.memberships.index} above the log`);
  assert(
    core.role !== 'leader' || core.quorum.has(core.id) || core.memberships.index > log.commit,
    () => `${core.id} leads without a vote since ${core.memberships.index}`,
  );
  assert(core.progress.size === (core.role === 'leader' ? core.peers.length : 0), 'progress of a leader alone');
  for (const progress of core.progress.values()) progress.check(log.lastIndex);
  return now;
}
