import { assert, unreachable } from '../base/assert.ts';
import { endLease } from './apply-lease.ts';
import { startInstance } from './apply-register.ts';
import type { ApplyTurn, Refusal } from './apply-turn.ts';
import { decodeResult } from './result-codec.ts';
import type { SessionRecord } from './session-table.ts';
import type { CommandBody, CommandResult, RefusalReason, SessionOperation, SessionOutcome } from './types.ts';
import { type InstanceMeta, metaOf, specOf } from './view-codec.ts';

type Write = Extract<CommandBody, { kind: 'write-session' }>;
type Attach = Extract<CommandBody, { kind: 'attach-session' }>;
type Close = Extract<CommandBody, { kind: 'close-session' }>;
type Operation<Kind extends SessionOperation['kind']> = Extract<SessionOperation, { kind: Kind }>;

/** The field of a stream's requests that names the session. */
const sessionField = 'open.session_id';

/** A lease with a record of what its owner writes. */
export function applyOpenSession(turn: ApplyTurn, ttlMs: number): CommandResult {
  const sessionId = turn.grantLease(ttlMs, false);
  turn.sessions.open(sessionId);
  return { kind: 'session-opened', revision: turn.revision, sessionId, ttlMs, attachment: 1, lastSequence: 0 };
}

/**
 * A new stream goes on with the session: earlier ones can change nothing any more, and the time to live runs anew. The
 * client counts its streams, so the present one again is a repeat, and a lower one came late.
 */
export function applyAttachSession(turn: ApplyTurn, body: Attach): CommandResult {
  const { sessionId, attachment } = body;
  const record = turn.sessions.get(sessionId);
  const lease = turn.leases.info(sessionId);
  if (record === undefined || lease === undefined) return unknownSession(turn, sessionId);
  if (attachment < record.attachment) return taken(turn, body, record);
  if (attachment > record.attachment) {
    turn.sessions.attach(sessionId, attachment);
    turn.restartLease(sessionId);
    turn.sessionChanged({ kind: 'attached', sessionId, attachment });
  }
  const { lastSequence } = record;
  return { kind: 'session-opened', revision: turn.revision, sessionId, ttlMs: lease.ttlMs, attachment, lastSequence };
}

/**
 * Applies the next write of a session, all operations at one revision; one that is refused does not hold up the others.
 * The last write again is answered with its first result, so that a write whose answer was lost applies once.
 */
export function applyWriteSession(turn: ApplyTurn, body: Write): CommandResult {
  const { sessionId, sequence } = body;
  const record = turn.sessions.get(sessionId);
  if (record === undefined) return unknownSession(turn, sessionId);
  if (record.attachment !== body.attachment) return taken(turn, body, record);
  const { lastSequence } = record;
  if (sequence === lastSequence) return repeated(turn, body, record);
  if (sequence < lastSequence) {
    return turn.refuse('SUPERSEDED', 'write.sequence', `write ${lastSequence} is applied already`);
  }
  if (sequence > lastSequence + 1) {
    return turn.refuse('INVALID_FIELD', 'write.sequence', `must be ${lastSequence + 1}: the one before is missing`);
  }
  const outcomes = body.operations.map((operation) => applyOperation(turn, sessionId, operation));
  const result = { kind: 'session-written', revision: turn.revision, sequence, outcomes } as const;
  turn.sessions.written(sessionId, result);
  return result;
}

/** What the write answered the first time; what cannot be that write is refused, and changes nothing. */
function repeated(turn: ApplyTurn, { operations, sequence }: Write, record: SessionRecord): CommandResult {
  const result = decodeResult(record.result);
  assert(result.kind === 'session-written', 'result of another kind kept for a session');
  if (result.outcomes.length === operations.length) return result;
  const message = `write ${sequence} had ${result.outcomes.length} operations, this one has ${operations.length}`;
  return turn.refuse('REQUEST_ID_REUSED', 'write.sequence', message);
}

/** Ends the session as its owner wishes, and removes what it holds. */
export function applyCloseSession(turn: ApplyTurn, body: Close, reason: string): CommandResult {
  const record = turn.sessions.get(body.sessionId);
  if (record === undefined) return unknownSession(turn, body.sessionId);
  if (record.attachment !== body.attachment) return taken(turn, body, record);
  return endLease(turn, body.sessionId, 'closed', reason);
}

function applyOperation(turn: ApplyTurn, sessionId: number, operation: SessionOperation): SessionOutcome {
  const view = turn.catalog.view(operation.name);
  switch (operation.kind) {
    case 'register':
      return operation.restore
        ? restore(turn, sessionId, operation, view)
        : start(turn, sessionId, operation, view === undefined ? undefined : metaOf(view));
    case 'update':
      return update(turn, sessionId, operation, view);
    case 'deregister':
      return deregister(turn, sessionId, operation, view);
    default:
      return unreachable(operation);
  }
}

/** A new incarnation over whatever is there. */
function start(
  turn: ApplyTurn,
  sessionId: number,
  { name, spec }: Operation<'register'>,
  current: InstanceMeta | undefined,
): SessionOutcome {
  turn.sessions.clearLost(sessionId, name);
  const incarnation = turn.obtainRevision();
  startInstance(turn, name, spec, current, sessionId);
  return { status: current === undefined ? 'registered' : 'replaced', incarnation, reason: '' };
}

/**
 * What a process does by itself after its session before this one has ended. It takes nothing from anybody: what this
 * session lost stays lost, until somebody starts it.
 */
function restore(
  turn: ApplyTurn,
  sessionId: number,
  operation: Operation<'register'>,
  view: Uint8Array | undefined,
): SessionOutcome {
  const { name, spec, ownIncarnation } = operation;
  const current = view === undefined ? undefined : metaOf(view);
  const isLost = turn.sessions.hasLost(sessionId, name);
  if (view === undefined || current === undefined) {
    // With more lost than is remembered, this may be one of those forgotten.
    const mayBeLost = isLost || turn.sessions.get(sessionId)?.moreLost === true;
    return mayBeLost ? refused('SUPERSEDED', undefined) : start(turn, sessionId, operation, undefined);
  }
  if (current.leaseId === sessionId && Buffer.compare(specOf(view), spec) === 0) return unchanged(current);
  const isOwn = ownIncarnation > 0 && ownIncarnation === current.incarnation && !isLost;
  return isOwn ? start(turn, sessionId, operation, current) : refused('SUPERSEDED', current);
}

function update(
  turn: ApplyTurn,
  sessionId: number,
  { name, spec, incarnation }: Operation<'update'>,
  view: Uint8Array | undefined,
): SessionOutcome {
  if (view === undefined) return refused('UNKNOWN_INSTANCE', undefined);
  const current = metaOf(view);
  if (!isHeld(sessionId, current, incarnation)) return refused('SUPERSEDED', current);
  if (Buffer.compare(specOf(view), spec) === 0) return unchanged(current);
  turn.putInstance(name, spec, { ...current, modifyRevision: turn.obtainRevision(), modifyTimeMs: turn.wallMs });
  return { status: 'updated', incarnation: current.incarnation, reason: '' };
}

function deregister(
  turn: ApplyTurn,
  sessionId: number,
  { name, incarnation, reason }: Operation<'deregister'>,
  view: Uint8Array | undefined,
): SessionOutcome {
  if (view === undefined) return { status: 'absent', incarnation: 0, reason: '' };
  const current = metaOf(view);
  if (!isHeld(sessionId, current, incarnation)) return refused('SUPERSEDED', current);
  turn.obtainRevision();
  assert(!turn.removeInstance(name, 'deregistered', reason), 'lease of a session gone with an instance');
  return { status: 'deregistered', incarnation: 0, reason: '' };
}

/** @param incarnation 0: whichever the session holds. */
function isHeld(sessionId: number, current: InstanceMeta, incarnation: number): boolean {
  return current.leaseId === sessionId && (incarnation === 0 || incarnation === current.incarnation);
}

function unchanged({ incarnation }: InstanceMeta): SessionOutcome {
  return { status: 'unchanged', incarnation, reason: '' };
}

function refused(reason: RefusalReason, current: InstanceMeta | undefined): SessionOutcome {
  return { status: 'refused', incarnation: current?.incarnation ?? 0, reason };
}

function unknownSession(turn: ApplyTurn, sessionId: number): Refusal {
  return turn.refuse('UNKNOWN_SESSION', sessionField, `session ${sessionId} is not there or has ended`);
}

function taken(turn: ApplyTurn, { sessionId }: { readonly sessionId: number }, record: SessionRecord): Refusal {
  const message = `another stream goes on with session ${sessionId}: attachment ${record.attachment}`;
  return turn.refuse('SESSION_TAKEN', sessionField, message);
}
