import { assert } from '../base/assert.ts';
import type { CoreState } from './core-state.ts';
import { holds, isJoint, leaveJoint } from './membership.ts';
import type { Membership } from './membership.ts';
import { planMembershipChange } from './membership-plan.ts';
import type { MembershipChange, PlanRefusal } from './membership-plan.ts';
import type { Progress } from './progress.ts';
import { confirmReadRounds } from './reads.ts';
import { sendAppends } from './replication.ts';
import { becomeFollower } from './roles.ts';
import { encodeMembership } from './system-entries.ts';
import { checkTransfer } from './transfer.ts';
import type { MemberId } from './types.ts';

/**
 * Why a leader does not take a change now. Besides those of the plan: `own-term-uncommitted`: right after an election;
 * `change-under-way`: the one before is not committed, or its joint state not left; `transferring`: leadership is being
 * handed over; `not-caught-up`: a learner that is to vote lags. All of these pass; the last can be forced.
 */
export type MembershipRefusal =
  | 'not-leader'
  | 'ineligible'
  | 'own-term-uncommitted'
  | 'change-under-way'
  | 'transferring'
  | 'not-caught-up'
  | Exclude<PlanRefusal, 'joint'>;

/**
 * `accepted`: appended at `index`. `unchanged`: so it is already, said by the entry at `index`, which need not be
 * committed. Either is done once the committed membership is of an index not below and not joint.
 */
export type MembershipChangeResult =
  | { readonly outcome: 'accepted'; readonly index: number; readonly term: number }
  | { readonly outcome: 'unchanged'; readonly index: number }
  | { readonly outcome: 'refused'; readonly reason: MembershipRefusal; readonly ids: readonly MemberId[] };

/** Leader: appends the membership that the changes lead to, which is in force from then on. */
export function changeMembership(
  core: CoreState,
  changes: readonly MembershipChange[],
  force: boolean,
): MembershipChangeResult {
  if (!core.eligible) return refused('ineligible');
  if (core.role !== 'leader') return refused('not-leader');
  const { inForce, index } = core.memberships;
  const plan = planMembershipChange(inForce, changes, { force });
  if (plan.kind === 'unchanged') return { outcome: 'unchanged', index };
  // Two that are not committed could make two majorities that do not meet (thesis, section 4.1); so could one before
  // an entry of the own term is committed, where an earlier leader left another behind (raft-dev, 10 July 2015).
  if (!core.ownTermCommitted) return refused('own-term-uncommitted');
  if (isJoint(inForce) || index > core.log.commit) return refused('change-under-way');
  if (core.transfer !== undefined) return refused('transferring');
  if (plan.kind === 'refused') {
    assert(plan.reason !== 'joint', 'a joint membership was seen before');
    return refused(plan.reason, plan.ids);
  }
  const lagging = force ? [] : plan.newVoters.filter((id) => !isCaughtUp(core, id));
  if (lagging.length > 0) return refused('not-caught-up', lagging);
  appendMembership(core, plan.next);
  return { outcome: 'accepted', index: core.log.lastIndex, term: core.term };
}

/**
 * Leader, after the commit index may have risen: goes on from a joint membership that is committed, and hands over and
 * steps down once one without it is (thesis, section 4.2.2).
 */
export function settleMembership(core: CoreState): void {
  if (core.role !== 'leader' || core.memberships.index > core.log.commit) return;
  const { inForce } = core.memberships;
  if (isJoint(inForce)) {
    if (core.ownTermCommitted) appendMembership(core, leaveJoint(inForce));
  } else if (!core.quorum.has(core.id)) {
    // The others learn what is committed, and need not wait for a timeout.
    sendAppends(core);
    const successor = successorOf(core);
    if (successor !== undefined) core.send({ kind: 'timeout-now', to: successor, term: core.term });
    becomeFollower(core, core.term, '');
  }
}

/** Leader, at each tick: makes voters of the learners that are to become some by themselves. */
export function promoteLearners(core: CoreState): void {
  const { inForce, index } = core.memberships;
  const waiting = inForce.learners.filter(({ autoPromote }) => autoPromote);
  if (waiting.length === 0 || index > core.log.commit || isJoint(inForce)) return;
  const ready = waiting.filter(({ id }) => isCaughtUp(core, id));
  if (ready.length === 0) return;
  // What it is refused for passes, and the next tick tries again.
  changeMembership(
    core,
    ready.map(({ id }) => ({ kind: 'promote', id })),
    false,
  );
}

/** Leader: whether the peer could be a voter without holding up any commit. */
export function isCaughtUp(core: CoreState, peer: MemberId): boolean {
  const progress = core.progress.get(peer);
  if (progress === undefined || !isActive(core, progress)) return false;
  const { electionTicksMin } = core.config;
  if (progress.catchUp === undefined) return progress.match >= core.log.commit;
  return progress.catchUp.isCaughtUp(progress.match, core.ticks, electionTicksMin);
}

/** Leader: heard within the shortest election timeout. */
export function isActive(core: CoreState, progress: Progress): boolean {
  return core.ticks - progress.heardTick < core.config.electionTicksMin;
}

/** Leader, at each tick and acknowledgement: how a learner keeps up. */
export function noteCatchUp(core: CoreState, progress: Progress): void {
  progress.catchUp?.note(progress.match, core.log.lastIndex, core.ticks, core.config.electionTicksMin);
}

function appendMembership(core: CoreState, membership: Membership): void {
  core.memberships.append([core.log.append(core.term, encodeMembership(membership))]);
  core.adoptMembership();
  checkTransfer(core);
  // With fewer voters a round may be confirmed already.
  confirmReadRounds(core);
}

/** Leader: who is to lead in its place: of the voters that are there the one that holds most, the first of several. */
export function successorOf(core: CoreState): MemberId | undefined {
  let best: MemberId | undefined;
  let most = -1;
  for (const [peer, progress] of core.progress) {
    const mayLead = holds(core.memberships.inForce.voters, peer) && isActive(core, progress);
    if (!mayLead || progress.match <= most) continue;
    best = peer;
    most = progress.match;
  }
  return best;
}

function refused(reason: MembershipRefusal, ids: readonly MemberId[] = []): MembershipChangeResult {
  return { outcome: 'refused', reason, ids };
}
