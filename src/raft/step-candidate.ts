import { unreachable } from '../base/assert.ts';
import type { CoreState } from './core-state.ts';
import { takeVoteReply } from './elections.ts';
import { becomeFollower } from './roles.ts';
import { stepFollower } from './step-follower.ts';
import type { Message, VoteRequest } from './types.ts';
import { voidReads } from './reads.ts';

/** A message of the own term for a pre-candidate or candidate. */
export function stepCandidate(core: CoreState, message: Exclude<Message, VoteRequest>): void {
  switch (message.kind) {
    case 'append':
    case 'heartbeat':
    case 'snapshot':
    case 'timeout-now':
      // Somebody leads this term: the election is decided (section 5.2).
      becomeFollower(core, message.term, message.from);
      stepFollower(core, message);
      return;
    case 'vote-reply':
      takeVoteReply(core, message);
      return;
    case 'read-index':
      voidReads(core, message.contexts);
      return;
    case 'append-reply':
    case 'heartbeat-reply':
    case 'read-index-reply':
      core.drop('unexpected');
      return;
    default:
      unreachable(message);
  }
}
