import { assert } from '../base/assert.ts';
import type { ApplyTurn } from './apply-turn.ts';
import type { LeaseEnd } from './lease-table.ts';
import type { CommandBody, CommandResult, RemovalCause } from './types.ts';

type Expire = Extract<CommandBody, { kind: 'expire-lease' }>;

const causes = {
  expired: 'lease-expired',
  revoked: 'lease-revoked',
  closed: 'deregistered',
} as const satisfies Record<LeaseEnd, RemovalCause>;

/** A lease that holds nothing yet and stays until it is revoked or expires. */
export function applyGrant(turn: ApplyTurn, ttlMs: number): CommandResult {
  const leaseId = turn.grantLease(ttlMs, false);
  return { kind: 'lease-granted', revision: turn.revision, leaseId, ttlMs };
}

/** Ends a lease at the caller's wish. One that has ended before does not exist for the caller. */
export function applyRevoke(turn: ApplyTurn, leaseId: number, reason: string): CommandResult {
  if (!turn.leases.isLive(leaseId)) {
    const remaining = turn.leases.info(leaseId)?.instances ?? 0;
    return { kind: 'lease-ended', revision: turn.revision, existed: false, instances: 0, remaining };
  }
  return endLease(turn, leaseId, 'revoked', reason);
}

/** Ends a lease whose time has run out, as the leader of this very term saw it, unless it was restarted since. */
export function applyExpire(turn: ApplyTurn, body: Expire, reason: string): CommandResult {
  const { leaseId } = body;
  const info = turn.leases.info(leaseId);
  if (info === undefined || info.ended) {
    return turn.refuse('UNKNOWN_LEASE', 'lease_id', `lease ${leaseId} is not there or has ended`);
  }
  if (body.term !== turn.term) {
    return turn.refuse('UNKNOWN_LEASE', 'term', `expiry decided in term ${body.term}, applied in term ${turn.term}`);
  }
  if (body.epoch !== info.epoch) {
    return turn.refuse('UNKNOWN_LEASE', 'epoch', `expiry of epoch ${body.epoch}, lease ${leaseId} is at ${info.epoch}`);
  }
  return endLease(turn, leaseId, 'expired', reason);
}

/** Removes further instances of an ended lease, as many as one revision may. */
export function applyReap(turn: ApplyTurn, leaseId: number): CommandResult {
  const info = turn.leases.info(leaseId);
  // Its last instances may have been deregistered or taken over since the leader proposed this.
  if (info === undefined) {
    return { kind: 'lease-ended', revision: turn.revision, existed: false, instances: 0, remaining: 0 };
  }
  if (!info.ended) return turn.refuse('UNKNOWN_LEASE', 'lease_id', `lease ${leaseId} has not ended`);
  const remaining = removeInstances(turn, leaseId, info.instances);
  return {
    kind: 'lease-ended',
    revision: turn.revision,
    existed: true,
    instances: info.instances - remaining,
    remaining,
  };
}

/**
 * Marks the lease first: from then on nothing can be attached to it, however long its instances take. Where it is a
 * session's, that ends with it.
 */
export function endLease(turn: ApplyTurn, leaseId: number, end: LeaseEnd, reason: string): CommandResult {
  const instances = turn.leases.info(leaseId)?.instances ?? 0;
  if (turn.sessions.has(leaseId)) {
    turn.sessions.end(leaseId);
    turn.sessionChanged({ kind: 'ended', sessionId: leaseId, end });
  }
  turn.leases.end(leaseId, end, reason);
  const remaining = instances === 0 ? 0 : removeInstances(turn, leaseId, instances);
  if (instances === 0) turn.leaseEnded(leaseId, 0);
  return { kind: 'lease-ended', revision: turn.revision, existed: true, instances, remaining };
}

/** Removes the first instances of an ended lease in byte order of their keys; returns how many are left. */
function removeInstances(turn: ApplyTurn, leaseId: number, instances: number): number {
  const { end, reason } = turn.leases.endOf(leaseId);
  const members = turn.leases.members(leaseId, turn.bounds.eventsPerRevisionMax);
  const remaining = instances - members.length;
  turn.openRevision();
  let gone = false;
  for (const name of members) gone = turn.removeInstance(name, causes[end], reason);
  assert(gone === (remaining === 0), 'lease outlives its instances');
  turn.leaseEnded(leaseId, remaining);
  return remaining;
}
