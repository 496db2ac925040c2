import { holds } from './membership.ts';
import type { CoreState } from './core-state.ts';
import type { MemberId, TransferEnd } from './types.ts';

export type TransferResult =
  | { readonly accepted: true }
  | { readonly accepted: false; readonly reason: 'not-leader' | 'is-leader' | 'not-voter' };

/**
 * Leader: hands over to a voter (thesis, section 3.10). New proposals are refused from now on, so that one which lags
 * catches up; then it is told to campaign at once.
 */
export function startTransfer(core: CoreState, to: MemberId): TransferResult {
  if (core.role !== 'leader') return { accepted: false, reason: 'not-leader' };
  if (to === core.id) return { accepted: false, reason: 'is-leader' };
  // A voter of the old half alone would lead for as long as the joint state lasts.
  if (!holds(core.memberships.inForce.voters, to)) return { accepted: false, reason: 'not-voter' };
  if (core.transfer?.to === to) return { accepted: true };
  endTransfer(core, 'replaced');
  core.transfer = { to, sinceTick: core.ticks };
  urgeTransfer(core);
  return { accepted: true };
}

/** Leader: tells the member that is to lead to campaign, if it holds the whole log. Said again, as it may be lost. */
export function urgeTransfer(core: CoreState): void {
  const { transfer } = core;
  if (transfer === undefined || core.role !== 'leader') return;
  if (core.progress.get(transfer.to)?.match !== core.log.lastIndex) return;
  core.send({ kind: 'timeout-now', to: transfer.to, term: core.term });
}

/** To be called at each tick: one election timeout is all the time that there is. */
export function expireTransfer(core: CoreState): void {
  if (core.transfer === undefined) return;
  if (core.ticks - core.transfer.sinceTick >= core.config.electionTicksMin) endTransfer(core, 'timed-out');
}

/** Somebody leads, this member perhaps, after it was not known who does. */
export function newLeaderKnown(core: CoreState): void {
  if (core.transfer === undefined) return;
  endTransfer(core, core.leader === core.transfer.to ? 'transferred' : 'other-leader');
}

/** The membership in force has changed. */
export function checkTransfer(core: CoreState): void {
  const { transfer } = core;
  if (transfer !== undefined && !holds(core.memberships.inForce.voters, transfer.to)) endTransfer(core, 'not-voter');
}

function endTransfer(core: CoreState, outcome: TransferEnd['outcome']): void {
  if (core.transfer === undefined) return;
  core.transfersEnded.push({ to: core.transfer.to, outcome });
  core.transfer = undefined;
}
