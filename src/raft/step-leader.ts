import { must, unreachable } from '../base/assert.ts';
import type { CoreState } from './core-state.ts';
import { confirmReadRounds, takeReadRequest } from './reads.ts';
import { noteCatchUp, settleMembership } from './reconfigure.ts';
import { advanceCommit } from './replication.ts';
import { urgeTransfer } from './transfer.ts';
import type { AppendReply, HeartbeatReply, Message, VoteRequest } from './types.ts';

/** A message of the own term for a leader. */
export function stepLeader(core: CoreState, message: Exclude<Message, VoteRequest>): void {
  switch (message.kind) {
    case 'append-reply':
      takeAppendReply(core, message);
      return;
    case 'heartbeat-reply':
      takeHeartbeatReply(core, message);
      return;
    case 'read-index':
      takeReadRequest(core, message);
      return;
    case 'append':
    case 'heartbeat':
    case 'snapshot':
    case 'timeout-now':
      core.drop('two-leaders');
      return;
    case 'vote-reply':
    case 'read-index-reply':
      // Votes that come after a majority has decided are of no use.
      core.drop('unexpected');
      return;
    default:
      unreachable(message);
  }
}

function takeAppendReply(core: CoreState, reply: AppendReply): void {
  const progress = must(core.progress.get(reply.from), `progress of ${reply.from}`);
  if (reply.matchIndex > core.log.lastIndex || reply.rejectedIndex > core.log.lastIndex) {
    core.drop('malformed');
    return;
  }
  progress.heard(core.ticks);
  if (!reply.accepted) {
    // The follower's term at the hint tells how far down the logs cannot agree, so whole terms are skipped on both
    // sides and one refusal per term is the worst case (end of section 5.3).
    progress.refused(reply.rejectedIndex, core.log.agreementBelow(reply.hintIndex, reply.hintTerm).index);
    return;
  }
  const raised = progress.acknowledged(reply.matchIndex, core.log.base.index);
  noteCatchUp(core, progress);
  if (!raised) return;
  advanceCommit(core);
  settleMembership(core);
  urgeTransfer(core);
}

function takeHeartbeatReply(core: CoreState, reply: HeartbeatReply): void {
  const progress = must(core.progress.get(reply.from), `progress of ${reply.from}`);
  if (reply.round > core.rounds.newest) {
    core.drop('malformed');
    return;
  }
  progress.heard(core.ticks);
  progress.answered(core.log.lastIndex);
  progress.roundAnswered(reply.round);
  confirmReadRounds(core);
}
