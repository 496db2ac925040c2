import { unreachable } from '../base/assert.ts';
import type { CoreState } from './core-state.ts';
import type { DropReason } from './drops.ts';
import { answerVoteRequest, leaderIsAlive, refuseVote } from './elections.ts';
import { isWellFormed } from './message-check.ts';
import { voidReads } from './reads.ts';
import { becomeFollower, loseLeader } from './roles.ts';
import { stepCandidate } from './step-candidate.ts';
import { stepFollower } from './step-follower.ts';
import { stepLeader } from './step-leader.ts';
import type { MemberId, Message } from './types.ts';

/** Takes a message from a peer, or drops it and counts why. */
export function stepMessage(core: CoreState, message: Message): void {
  const reason = addressProblem(core, message);
  if (reason !== undefined) {
    core.drop(reason);
    return;
  }
  const news = core.boots.heard(message.from, message.fromBoot);
  if (news === 'older') {
    core.drop('old-boot');
    return;
  }
  if (news === 'newer') forgetEarlierBoot(core, message.from);
  if (!isForThisBoot(core, message)) return;
  if (message.term < core.term) answerEarlierTerm(core, message);
  else if (message.term === core.term || followHigherTerm(core, message)) stepRole(core, message);
}

function addressProblem(core: CoreState, message: Message): DropReason | undefined {
  if (!isWellFormed(message)) return 'malformed';
  if (message.to !== core.id) return 'not-addressed';
  if (message.from === core.id || !mayConcern(core, message)) return 'unknown-member';
  return undefined;
}

/**
 * Members of the membership in force are heard. Of others only requests are, since this log may lack the entry by which
 * the sender came (thesis, section 4.1): a leader must be able to send it, and a candidate may need this very vote.
 * What they answer counts for nothing. That they belong to this cluster at all was seen by the transport.
 */
function mayConcern(core: CoreState, { kind, from }: Message): boolean {
  if (core.peers.includes(from)) return true;
  switch (kind) {
    case 'vote-request':
      // A used-up id comes back never, and without its vote nobody waits for it.
      return !core.memberships.inForce.removedIds.includes(from) && core.boots.hasRoomFor(from);
    case 'append':
    case 'heartbeat':
    case 'snapshot':
      return core.boots.hasRoomFor(from);
    case 'timeout-now':
    case 'read-index-reply':
      return from === core.leader;
    case 'vote-reply':
    case 'append-reply':
    case 'heartbeat-reply':
    case 'read-index':
      return false;
    default:
      return unreachable(kind);
  }
}

/** What a peer said in an earlier life, or what was assumed of it, counts no more: it may have lost what it knew. */
function forgetEarlierBoot(core: CoreState, peer: MemberId): void {
  switch (core.role) {
    case 'leader':
      core.restartProgress(peer);
      core.rounds.forget(peer);
      return;
    case 'pre-candidate':
    case 'candidate':
      core.votes.forget(peer);
      return;
    case 'follower':
      // Nobody leads after a restart, so there is no leader to wait for.
      if (core.leader === peer) loseLeader(core);
      return;
    default:
      unreachable(core.role);
  }
}

/** An answer must be to a question of this boot; a request may come from a peer that has not heard this boot yet. */
function isForThisBoot(core: CoreState, message: Message): boolean {
  if (message.toBoot === core.config.boot) return true;
  if (isReply(message)) {
    core.drop('other-boot');
    return false;
  }
  if (message.toBoot === 0) return true;
  core.drop('other-boot');
  // The sender works with what it knew of an earlier life of this member. A sign of the present one ends that.
  sendSignOfLife(core, message.from);
  return false;
}

function isReply(message: Message): boolean {
  switch (message.kind) {
    case 'vote-reply':
    case 'append-reply':
    case 'heartbeat-reply':
    case 'read-index-reply':
      return true;
    case 'vote-request':
    case 'append':
    case 'heartbeat':
    case 'snapshot':
    case 'timeout-now':
    case 'read-index':
      return false;
    default:
      return unreachable(message);
  }
}

/** Confirms no read round; the term and boot that it carries are its message. */
function sendSignOfLife(core: CoreState, to: MemberId): void {
  core.send({ kind: 'heartbeat-reply', to, term: core.term, round: 0 });
}

function answerEarlierTerm(core: CoreState, message: Message): void {
  switch (message.kind) {
    case 'append':
    case 'heartbeat':
    case 'snapshot':
      // A leader of the past steps down when it hears of the present term. Without this answer a member whose term
      // went ahead while it was cut off could never come back: it needs a quorum to campaign, and hears no leader.
      sendSignOfLife(core, message.from);
      return;
    case 'vote-request':
      refuseVote(core, message);
      return;
    case 'read-index':
      voidReads(core, message.contexts);
      return;
    case 'timeout-now':
    case 'vote-reply':
    case 'append-reply':
    case 'heartbeat-reply':
    case 'read-index-reply':
      core.drop('stale-term');
      return;
    default:
      unreachable(message);
  }
}

/** A higher term than the own one. Returns whether the message is still to be taken. */
function followHigherTerm(core: CoreState, message: Message): boolean {
  if (message.kind === 'vote-request') {
    if (leaderIsAlive(core) && message.transfer !== true) {
      // A member that lost touch, or was removed, must not disturb a leader that others hear (thesis, 4.2.3).
      core.drop('leader-alive');
      if (message.preVote) refuseVote(core, message);
      return false;
    }
    // Nobody has campaigned in that term yet.
    if (message.preVote) return true;
  }
  // A granted pre-vote repeats the term that was asked for.
  if (message.kind === 'vote-reply' && message.preVote && message.granted) return true;
  becomeFollower(core, message.term, isOfLeader(message) ? message.from : '');
  return true;
}

/** Only the leader of a term says this. */
function isOfLeader({ kind }: Message): boolean {
  return kind === 'append' || kind === 'heartbeat' || kind === 'snapshot' || kind === 'timeout-now';
}

function stepRole(core: CoreState, message: Message): void {
  if (message.kind === 'vote-request') {
    answerVoteRequest(core, message);
    return;
  }
  switch (core.role) {
    case 'leader':
      stepLeader(core, message);
      return;
    case 'pre-candidate':
    case 'candidate':
      stepCandidate(core, message);
      return;
    case 'follower':
      stepFollower(core, message);
      return;
    default:
      unreachable(core.role);
  }
}
