import { unreachable } from '../base/assert.ts';
import { type ApplyTurn, printedName, type Refusal } from './apply-turn.ts';
import type { BatchItem, BatchOutcome, CommandBody, CommandResult, InstanceName, Lifetime } from './types.ts';
import { type InstanceMeta, metaOf, specOf } from './view-codec.ts';

type Register = Extract<CommandBody, { kind: 'register' }>;
type BatchRegister = Extract<CommandBody, { kind: 'batch-register' }>;

/** What a registration may be conditional on. */
type Conditions = Pick<BatchItem, 'name' | 'ifAbsent' | 'ifIncarnation'>;

/**
 * Registers over nothing, or takes over whatever is there: an explicit start. Only the conditions `ifAbsent` and
 * `ifIncarnation` and a lease that is not live refuse it.
 */
export function applyRegister(turn: ApplyTurn, body: Register): CommandResult {
  const { name, lifetime } = body;
  const current = turn.metaOf(name);
  const refusal = refusalOf(turn, body, current, '') ?? leaseRefusal(turn, lifetime);
  if (refusal !== undefined) return refusal;

  const revision = turn.openRevision();
  const leaseId = takeLease(turn, lifetime);
  startInstance(turn, name, body.spec, current, leaseId);
  const ttlMs = ttlOf(turn, lifetime, leaseId);
  return { kind: 'registered', revision, incarnation: revision, leaseId, ttlMs, replaced: current !== undefined };
}

/**
 * Registers all items at one revision, on one lease, or none of them: the first that is refused refuses all. No
 * revision is opened where each is kept as it is.
 */
export function applyBatchRegister(turn: ApplyTurn, { lifetime, items }: BatchRegister): CommandResult {
  const kept = new Set<BatchItem>();
  for (const [i, item] of items.entries()) {
    const view = turn.catalog.view(item.name);
    const current = view === undefined ? undefined : metaOf(view);
    const refusal = refusalOf(turn, item, current, `items[${i}].`);
    if (refusal !== undefined) return refusal;
    if (view !== undefined && current !== undefined && isKept(item, lifetime, view, current)) kept.add(item);
  }
  const refusal = leaseRefusal(turn, lifetime);
  if (refusal !== undefined) return refusal;

  if (kept.size < items.length) turn.openRevision();
  const leaseId = takeLease(turn, lifetime);
  const outcomes = items.map((item): BatchOutcome => {
    const current = turn.metaOf(item.name);
    if (current !== undefined && kept.has(item)) return { status: 'kept', incarnation: current.incarnation };
    startInstance(turn, item.name, item.spec, current, leaseId);
    return { status: current === undefined ? 'registered' : 'replaced', incarnation: turn.revision };
  });
  const ttlMs = ttlOf(turn, lifetime, leaseId);
  return { kind: 'batch-registered', revision: turn.revision, leaseId, ttlMs, items: outcomes };
}

/** A new incarnation at the open revision, on this lease (0: none); whoever had the id before has it no more. */
export function startInstance(
  turn: ApplyTurn,
  name: InstanceName,
  spec: Uint8Array,
  current: InstanceMeta | undefined,
  leaseId: number,
): void {
  const { revision } = turn;
  const arena = turn.putInstance(name, spec, {
    incarnation: revision,
    createRevision: current?.createRevision ?? revision,
    modifyRevision: revision,
    createTimeMs: current?.createTimeMs ?? turn.wallMs,
    modifyTimeMs: turn.wallMs,
    leaseId,
  });
  const formerLeaseId = current?.leaseId ?? 0;
  if (formerLeaseId === leaseId) return;
  if (leaseId !== 0) turn.leases.attach(leaseId, arena, name.id);
  if (formerLeaseId === 0) return;
  turn.instanceLost(formerLeaseId, name, revision);
  // An implicit lease goes with its last instance, and so does one that has ended and waits to be reaped.
  if (turn.leases.detach(formerLeaseId, arena, name.id)) turn.leaseEnded(formerLeaseId, 0);
}

/** Keeps a persistent instance with this very spec where the item asks for it. */
function isKept(item: BatchItem, lifetime: Lifetime, view: Uint8Array, current: InstanceMeta): boolean {
  if (!item.keepEqual || lifetime.kind !== 'persistent' || current.leaseId !== 0) return false;
  return Buffer.compare(specOf(view), item.spec) === 0;
}

/** @param path Of the item in the request, '' or with a dot at its end. */
function refusalOf(
  turn: ApplyTurn,
  { name, ifAbsent, ifIncarnation }: Conditions,
  current: InstanceMeta | undefined,
  path: string,
): Refusal | undefined {
  if (current === undefined) {
    if (ifIncarnation === 0) return undefined;
    return turn.refuse('UNKNOWN_INSTANCE', `${path}if_incarnation`, `${printedName(name)} is not registered`);
  }
  const message = `${printedName(name)} is registered as incarnation ${current.incarnation}`;
  if (ifAbsent) return turn.refuse('ALREADY_REGISTERED', `${path}if_absent`, message);
  if (ifIncarnation === 0 || ifIncarnation === current.incarnation) return undefined;
  return turn.refuse('SUPERSEDED', `${path}if_incarnation`, message);
}

/** The lease of a session takes only what comes through the session. */
function leaseRefusal(turn: ApplyTurn, lifetime: Lifetime): Refusal | undefined {
  if (lifetime.kind !== 'lease') return undefined;
  const { leaseId } = lifetime;
  if (turn.sessions.has(leaseId)) {
    return turn.refuse('UNKNOWN_LEASE', 'lease_id', `${leaseId} is a session: register through its stream`);
  }
  if (turn.leases.isLive(leaseId)) return undefined;
  return turn.refuse('UNKNOWN_LEASE', 'lease_id', `lease ${leaseId} is not there or has ended`);
}

/** The lease of the new incarnations, its deadline started; 0 for none. */
function takeLease(turn: ApplyTurn, lifetime: Lifetime): number {
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

function ttlOf(turn: ApplyTurn, lifetime: Lifetime, leaseId: number): number {
  return lifetime.kind === 'persistent' ? 0 : (turn.leases.info(leaseId)?.ttlMs ?? 0);
}
