import { assert } from '../base/assert.ts';
import type { CoreState } from './core-state.ts';
import { voidReads } from './reads.ts';
import { newLeaderKnown } from './transfer.ts';
import type { MemberId } from './types.ts';

/**
 * Follows in `term`, under `leader` where it is known. From a higher term on nothing of the old one counts: votes,
 * reads, progress (paper, section 5.1).
 */
export function becomeFollower(core: CoreState, term: number, leader: MemberId): void {
  assert(term >= core.term, () => `term fell from ${core.term} to ${term}`);
  assert(leader !== core.id, 'a follower does not lead');
  leaveRole(core);
  if (term > core.term || leader !== core.leader) voidForwards(core);
  if (term > core.term) core.changeHardState(term, '');
  core.role = 'follower';
  core.leader = leader;
  if (leader !== '') newLeaderKnown(core);
  core.drawElectionTimeout();
}

/** Asks whether an election could be won, and changes neither term nor vote (thesis, section 9.6). */
export function becomePreCandidate(core: CoreState): void {
  assert(core.role !== 'leader' && core.mayCampaign, () => `a ${core.role} may not campaign`);
  leaveRole(core);
  voidForwards(core);
  core.role = 'pre-candidate';
  core.leader = '';
  core.drawElectionTimeout();
}

/** Opens a new term with the own vote, which counts once it is durable. */
export function becomeCandidate(core: CoreState): void {
  assert(core.role !== 'leader' && core.mayCampaign, () => `a ${core.role} may not campaign`);
  leaveRole(core);
  voidForwards(core);
  // The leader that it suspects is as gone in this term: until another is heard it may try again.
  const { suspects } = core;
  core.changeHardState(core.term + 1, core.id);
  core.suspects = suspects;
  core.role = 'candidate';
  core.leader = '';
  core.drawElectionTimeout();
}

/** Leads the term that the election was won in. */
export function becomeLeader(core: CoreState): void {
  assert(core.role === 'candidate' && core.vote === core.id, () => `a ${core.role} that voted for ${core.vote}`);
  leaveRole(core);
  core.role = 'leader';
  core.leader = core.id;
  core.electionElapsedTicks = 0;
  core.heartbeatElapsedTicks = 0;
  for (const peer of core.peers) core.progress.set(peer, core.newProgress(peer));
  newLeaderKnown(core);
  // Entries of earlier terms are committed only along with one of this term (5.4.2), so there must be one at once.
  core.log.append(core.term, new Uint8Array(0));
}

/** Forgets who leads; term and vote stay. */
export function loseLeader(core: CoreState): void {
  assert(core.role !== 'leader', 'a leader knows who leads');
  voidForwards(core);
  core.leader = '';
}

function leaveRole(core: CoreState): void {
  // While the term is still the old one, so that the answers count with those who asked in it.
  if (core.role === 'leader') voidReads(core, core.rounds.clear());
  assert(core.rounds.size === 0, () => `${core.rounds.size} reads wait for a ${core.role}`);
  core.progress.clear();
  core.votes.clear();
  core.snapshotsWanted = [];
}

function voidForwards(core: CoreState): void {
  core.voidedReads.push(...core.forwards.clear());
}
