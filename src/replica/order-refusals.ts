import { RollcallError } from '../base/errors.ts';
import { unreachable } from '../base/assert.ts';
import type { MembershipRefusal } from '../raft/reconfigure.ts';

/** How long a change of the members that is under way usually takes, ms. */
const changeMs = 200;

export function membershipRefused(problem: string, text: string): RollcallError {
  return new RollcallError('MEMBERSHIP_REFUSED', text, { facts: { problem } });
}

export function changeUnderWay(text: string): RollcallError {
  return new RollcallError('CHANGE_UNDER_WAY', text, { retryAfterMs: changeMs });
}

export function quorumAtRisk(live: number, voters: number): RollcallError {
  const text = `of the ${voters} voters that would be left ${live} are there: no majority; bring the others back first`;
  return new RollcallError('QUORUM_AT_RISK', text, { facts: { live: String(live), voters: String(voters) } });
}

export function transferFailed(to: string, why: string): RollcallError {
  const text = `member ${to} did not take over: ${why}; the leader goes on`;
  return new RollcallError('TRANSFER_FAILED', text, { retryAfterMs: changeMs });
}

export function orderOutcomeUnknown(): RollcallError {
  const text = 'the leader was lost before the order was carried out; look at the members, and give it again';
  return new RollcallError('OUTCOME_UNKNOWN', text, { retryAfterMs: changeMs });
}

/** What the core does not take, as its caller is told. */
export function refusalOf(reason: MembershipRefusal, ids: readonly string[]): RollcallError {
  const named = ids.join(', ');
  switch (reason) {
    case 'not-leader':
    case 'ineligible':
      return new RollcallError('NOT_PROPOSED', 'the leader changed; order again', { retryAfterMs: changeMs });
    case 'own-term-uncommitted':
      return changeUnderWay('a new leader has not committed anything yet');
    case 'change-under-way':
      return changeUnderWay('another change of the members is not finished');
    case 'transferring':
      return changeUnderWay('leadership is being handed over');
    case 'not-caught-up':
      return membershipRefused(reason, `member ${named} has not caught up with the log yet; wait until it has`);
    case 'bad-record':
      return membershipRefused(reason, `member ${named} has an id, an address or a directory that cannot be`);
    case 'unknown-id':
      return membershipRefused(reason, `no member of the cluster is called ${named}`);
    case 'removed-before':
      return membershipRefused(reason, `${named} was removed from this cluster for good: give the member a new id`);
    case 'directory-differs':
      return membershipRefused(reason, `${named} is a member with another data directory: remove that one first`);
    case 'address-differs':
      return membershipRefused(reason, `${named} is a member at another address`);
    case 'is-voter':
      return membershipRefused(reason, `${named} is a voter already`);
    case 'not-voter':
      return membershipRefused(reason, `${named} is not a voter`);
    case 'not-learner':
      return membershipRefused(
        reason,
        `${named} is not a learner: a voter is replaced by a learner that has caught up`,
      );
    case 'no-voters-left':
      return membershipRefused(reason, 'no voter would be left');
    case 'too-many-members':
      return membershipRefused(reason, 'the cluster has as many members as it may have');
    case 'removed-ids-full':
      return membershipRefused(
        reason,
        'more members were removed than a cluster can remember: bring it into a new one',
      );
    default:
      return unreachable(reason);
  }
}
