import type { CoreState } from './core-state.ts';
import { canStartReadRound, forwardReads, startReadRound } from './reads.ts';
import { hasAppendsToSend, sendAppends } from './replication.ts';
import type { Persist, Ready, SoftState } from './types.ts';

/** Whether takeReady would hand out anything. Changes nothing. */
export function isReady(core: CoreState, handedSoftState: SoftState | undefined): boolean {
  return (
    core.hasMessages ||
    hasSomethingToPersist(core) ||
    mayApply(core) ||
    core.confirmedReads.length > 0 ||
    core.voidedReads.length > 0 ||
    core.snapshotsWanted.length > 0 ||
    core.transfersEnded.length > 0 ||
    core.memberships.inForce !== core.handedMembership ||
    core.memberships.at(core.log.commit) !== core.handedCommittedMembership ||
    (core.forwards.hasQueued && core.leader !== '') ||
    canStartReadRound(core) ||
    hasAppendsToSend(core) ||
    softStateChanged(core, handedSoftState)
  );
}

export function takeReady(core: CoreState, handedSoftState: SoftState | undefined): Ready {
  // These produce messages, so they come first. What arrived since the last call travels together.
  startReadRound(core);
  sendAppends(core);
  forwardReads(core);
  const softState = softStateChanged(core, handedSoftState) ? softStateOf(core) : undefined;
  const persist = takePersist(core);
  const memberships = takeMemberships(core);
  const ready: Ready = {
    ...(softState === undefined ? {} : { softState }),
    ...(persist === undefined ? {} : { persist }),
    ...memberships,
    messages: core.takeMessages(),
    committed: mayApply(core) ? core.log.takeCommitted(core.config.applyBytesMax) : [],
    confirmedReads: core.confirmedReads,
    voidedReads: core.voidedReads,
    snapshotsWanted: core.snapshotsWanted,
    transfersEnded: core.transfersEnded,
  };
  core.confirmedReads = [];
  core.voidedReads = [];
  core.snapshotsWanted = [];
  core.transfersEnded = [];
  return ready;
}

function takeMemberships(core: CoreState): Pick<Ready, 'membership' | 'committedMembership'> {
  const membership = core.memberships.inForce;
  const committedMembership = core.memberships.at(core.log.commit);
  const taken = {
    ...(membership === core.handedMembership ? {} : { membership }),
    ...(committedMembership === core.handedCommittedMembership ? {} : { committedMembership }),
  };
  core.handedMembership = membership;
  core.handedCommittedMembership = committedMembership;
  return taken;
}

function softStateOf(core: CoreState): SoftState {
  return { role: core.role, term: core.term, leader: core.leader, ownTermCommitted: core.ownTermCommitted };
}

function softStateChanged(core: CoreState, handed: SoftState | undefined): boolean {
  return (
    handed === undefined ||
    handed.role !== core.role ||
    handed.term !== core.term ||
    handed.leader !== core.leader ||
    handed.ownTermCommitted !== core.ownTermCommitted
  );
}

/** Entries above a snapshot wait until the host has installed it. */
function mayApply(core: CoreState): boolean {
  return core.log.hasCommitted && core.snapshotToPersist === undefined && !core.durability.snapshotUnderWay;
}

function hasSomethingToPersist(core: CoreState): boolean {
  const { durability, log } = core;
  return durability.hardStateUnhanded || core.snapshotToPersist !== undefined || durability.handedIndex < log.lastIndex;
}

function takePersist(core: CoreState): Persist | undefined {
  if (!hasSomethingToPersist(core)) return undefined;
  const { durability, log, snapshotToPersist } = core;
  const hardStateChanged = durability.hardStateUnhanded;
  const entries = log.between(durability.handedIndex + 1, log.lastIndex + 1);
  const sequence = durability.handOut(log.lastIndex, snapshotToPersist !== undefined);
  core.snapshotToPersist = undefined;
  return {
    sequence,
    ...(hardStateChanged ? { hardState: { term: core.term, vote: core.vote } } : {}),
    ...(snapshotToPersist === undefined
      ? {}
      : { snapshot: snapshotToPersist, snapshotMembership: core.memberships.at(snapshotToPersist.index) }),
    entries,
    commit: log.commit,
  };
}
