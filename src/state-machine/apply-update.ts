import { type ApplyTurn, printedName } from './apply-turn.ts';
import type { CommandBody, CommandResult } from './types.ts';
import { metaOf, specOf } from './view-codec.ts';

type Update = Extract<CommandBody, { kind: 'update' }>;
type Deregister = Extract<CommandBody, { kind: 'deregister' }>;

/** Replaces the spec of one incarnation; its lease, incarnation and creation stay. */
export function applyUpdate(turn: ApplyTurn, body: Update): CommandResult {
  const { name, spec, incarnation } = body;
  const view = turn.catalog.view(name);
  const printed = printedName(name);
  if (view === undefined) {
    return turn.refuse('UNKNOWN_INSTANCE', 'instance.id', `${printed} is not registered`);
  }
  const current = metaOf(view);
  if (current.incarnation !== incarnation) return superseded(turn, printed, current.incarnation);
  // The end of its lease has removed the instance already, though the removal of many takes several revisions.
  if (current.leaseId !== 0 && !turn.leases.isLive(current.leaseId)) {
    return turn.refuse('UNKNOWN_INSTANCE', 'instance.id', `${printed} is being removed: its lease has ended`);
  }
  if (Buffer.compare(specOf(view), spec) === 0) {
    return { kind: 'updated', revision: turn.revision, changed: false };
  }
  const revision = turn.openRevision();
  turn.putInstance(name, spec, { ...current, modifyRevision: revision, modifyTimeMs: turn.wallMs });
  return { kind: 'updated', revision, changed: true };
}

/** Removes an instance, or only this incarnation of it. */
export function applyDeregister(turn: ApplyTurn, body: Deregister, reason: string): CommandResult {
  const { name, incarnation } = body;
  const view = turn.catalog.view(name);
  if (view === undefined) {
    return { kind: 'deregistered', revision: turn.revision, existed: false };
  }
  const current = metaOf(view);
  if (incarnation !== 0 && incarnation !== current.incarnation) {
    return superseded(turn, printedName(name), current.incarnation);
  }
  const revision = turn.openRevision();
  if (current.leaseId !== 0) turn.instanceLost(current.leaseId, name, 0);
  if (turn.removeInstance(name, 'deregistered', reason)) turn.leaseEnded(current.leaseId, 0);
  return { kind: 'deregistered', revision, existed: true };
}

function superseded(turn: ApplyTurn, printed: string, incarnation: number): CommandResult {
  return turn.refuse('SUPERSEDED', 'incarnation', `${printed} is registered as incarnation ${incarnation}`);
}
