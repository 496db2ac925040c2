import { unreachable } from '../base/assert.ts';
import { type ApplyTurn, printedName } from './apply-turn.ts';
import type { CommandBody, CommandResult } from './types.ts';
import { type InstanceMeta, metaOf } from './view-codec.ts';

type Register = Extract<CommandBody, { kind: 'register' }>;

/**
 * Registers over nothing, or takes over whatever is there: an explicit start. Only the conditions `ifAbsent` and
 * `ifIncarnation` and a lease that is not live refuse it.
 */
export function applyRegister(turn: ApplyTurn, body: Register): CommandResult {
  const { name, lifetime } = body;
  const view = turn.catalog.view(name);
  const current = view === undefined ? undefined : metaOf(view);
  const refusal = refusalOf(turn, body, current);
  if (refusal !== undefined) return refusal;

  const revision = turn.openRevision();
  const leaseId = takeLease(turn, body);
  const arena = turn.putInstance(name, body.spec, {
    incarnation: revision,
    createRevision: current?.createRevision ?? revision,
    modifyRevision: revision,
    createTimeMs: current?.createTimeMs ?? turn.wallMs,
    modifyTimeMs: turn.wallMs,
    leaseId,
  });
  const formerLeaseId = current?.leaseId ?? 0;
  if (formerLeaseId !== leaseId) {
    if (leaseId !== 0) turn.leases.attach(leaseId, arena, name.id);
    // An implicit lease goes with its last instance, and so does one that has ended and waits to be reaped.
    if (formerLeaseId !== 0 && turn.leases.detach(formerLeaseId, arena, name.id)) turn.leaseEnded(formerLeaseId, 0);
  }
  const ttlMs = lifetime.kind === 'persistent' ? 0 : (turn.leases.info(leaseId)?.ttlMs ?? 0);
  return { kind: 'registered', revision, incarnation: revision, leaseId, ttlMs, replaced: current !== undefined };
}

function refusalOf(turn: ApplyTurn, body: Register, current: InstanceMeta | undefined): CommandResult | undefined {
  const printed = printedName(body.name);
  if (current === undefined) {
    if (body.ifIncarnation !== 0) {
      return turn.refuse('UNKNOWN_INSTANCE', 'if_incarnation', `${printed} is not registered`);
    }
  } else {
    const message = `${printed} is registered as incarnation ${current.incarnation}`;
    if (body.ifAbsent) return turn.refuse('ALREADY_REGISTERED', 'if_absent', message);
    if (body.ifIncarnation !== 0 && body.ifIncarnation !== current.incarnation) {
      return turn.refuse('SUPERSEDED', 'if_incarnation', message);
    }
  }
  if (body.lifetime.kind === 'lease' && !turn.leases.isLive(body.lifetime.leaseId)) {
    return turn.refuse('UNKNOWN_LEASE', 'lease_id', `lease ${body.lifetime.leaseId} is not there or has ended`);
  }
  return undefined;
}

/** The lease of the new incarnation, its deadline started; 0 for none. */
function takeLease(turn: ApplyTurn, { lifetime }: Register): number {
  switch (lifetime.kind) {
    case 'ttl':
      return turn.grantLease(lifetime.ttlMs, true);
    case 'lease':
      turn.restartLease(lifetime.leaseId);
      return lifetime.leaseId;
    case 'persistent':
      return 0;
    default:
      return unreachable(lifetime);
  }
}
