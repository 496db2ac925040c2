import type { CoreState } from './core-state.ts';
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate, loseLeader } from './roles.ts';
import type { VoteReply, VoteRequest } from './types.ts';

/** Candidacies that one suspicion gives up before their time; after that the election timeouts hold again. */
export const candidaciesGivenUpMax = 3;

/** Begins with a pre-vote; the term is raised only by who could win in it (thesis, section 9.6). */
export function campaign(core: CoreState): void {
  becomePreCandidate(core);
  core.votes.record(core.id, true);
  if (countVotes(core)) return;
  sendVoteRequests(core, true);
}

/** The leader hands over to this member: it campaigns without a pre-vote (thesis, section 3.10). */
export function campaignAtOnce(core: CoreState): void {
  if (!core.mayCampaign) return;
  becomeCandidate(core);
  sendVoteRequests(core, false, true);
}

/**
 * The host has evidence that the leader is gone: forgets it, so that this member grants pre-votes, and asks for them
 * itself where `campaigns`. Once a term; returns false where nothing was done.
 */
export function suspectLeader(core: CoreState, campaigns: boolean): boolean {
  if (core.role !== 'follower' || core.leader === '' || core.suspectedTerm >= core.term) return false;
  core.suspectedTerm = core.term;
  core.suspects = true;
  core.candidaciesLeft = candidaciesGivenUpMax;
  loseLeader(core);
  if (campaigns) retrySuspicion(core);
  return true;
}

/**
 * Asks for pre-votes again, since others may have come to suspect the leader meanwhile; also as a candidate, whose
 * votes may have been split with another that has seen the same leader die.
 */
export function retrySuspicion(core: CoreState): boolean {
  if (!core.suspects || core.role === 'leader' || core.leader !== '' || !core.mayCampaign) return false;
  if (core.role === 'candidate') {
    const { durableHardVersion, hardVersion } = core.durability;
    // While its own vote is being written nobody was asked yet.
    if (durableHardVersion < hardVersion) return true;
    // Where disks are slow the votes may only be late, and giving them up each time would elect nobody ever.
    if (core.candidaciesLeft === 0) {
      core.suspects = false;
      return false;
    }
    core.candidaciesLeft -= 1;
  }
  campaign(core);
  return true;
}

/** Candidate: the own vote counts once it is durable, like any other. */
export function countOwnVote(core: CoreState): void {
  const { durableHardVersion, hardVersion } = core.durability;
  if (core.role !== 'candidate' || durableHardVersion < hardVersion) return;
  core.votes.record(core.id, true);
  countVotes(core);
}

/**
 * Answers a request of a term not below the own one, which was raised to it before if the vote is a real one
 * (sections 5.2 and 5.4.1).
 */
export function answerVoteRequest(core: CoreState, request: VoteRequest): void {
  const free = core.vote === '' && core.leader === '';
  // A pre-vote promises nothing, so one for a later term may be given to anybody.
  const mayVote = core.vote === request.from || free || (request.preVote && request.term > core.term);
  if (!mayVote || !core.log.isUpToDate(request.lastIndex, request.lastTerm)) {
    refuseVote(core, request);
    return;
  }
  if (!request.preVote) {
    if (core.vote === '') core.changeHardState(core.term, request.from);
    // Whoever gave its vote lets the candidate try for a whole timeout (section 5.2).
    core.electionElapsedTicks = 0;
  }
  const { preVote, term } = request;
  core.send({ kind: 'vote-reply', to: request.from, term, preVote, granted: true });
}

/** A refusal carries the own term, from which a candidate that is behind learns that it is. */
export function refuseVote(core: CoreState, request: VoteRequest): void {
  const { preVote } = request;
  core.send({ kind: 'vote-reply', to: request.from, term: core.term, preVote, granted: false });
}

/** Pre-candidate or candidate: counts an answer to its own request. */
export function takeVoteReply(core: CoreState, reply: VoteReply): void {
  const preVote = core.role === 'pre-candidate';
  const asked = preVote && reply.granted ? core.term + 1 : core.term;
  if (reply.preVote !== preVote || reply.term !== asked) {
    core.drop('unexpected');
    return;
  }
  core.votes.record(reply.from, reply.granted);
  countVotes(core);
}

/** A live leader was heard within the shortest timeout, so whoever wants to replace it must have lost touch. */
export function leaderIsAlive(core: CoreState): boolean {
  if (core.role === 'leader') return true;
  return core.leader !== '' && core.electionElapsedTicks < core.config.electionTicksMin;
}

/** Returns whether the campaign has gone on to its next step or ended. */
function countVotes(core: CoreState): boolean {
  const result = core.quorum.result((voter) => core.votes.of(voter));
  if (result === 'pending') return false;
  if (result === 'lost') becomeFollower(core, core.term, '');
  else if (core.role === 'candidate') becomeLeader(core);
  else {
    becomeCandidate(core);
    // They wait in the outbox until term and vote are durable, and the own vote is counted then.
    sendVoteRequests(core, false);
  }
  return true;
}

function sendVoteRequests(core: CoreState, preVote: boolean, transfer = false): void {
  const term = preVote ? core.term + 1 : core.term;
  const { lastIndex, lastTerm } = core.log;
  for (const voter of core.quorum.voters) {
    if (voter === core.id) continue;
    const draft = { kind: 'vote-request', to: voter, term, preVote, lastIndex, lastTerm } as const;
    core.send(transfer ? { ...draft, transfer } : draft);
  }
}
