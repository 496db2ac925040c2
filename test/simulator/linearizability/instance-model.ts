import { unreachable } from '../../../src/base/assert.ts';
import {
  bound,
  describeState,
  emptyInstance,
  excluding,
  gone,
  identify,
  type InstanceState,
  isSameContent,
  lost,
  mayBeGone,
  type PresentInstance,
} from './instance-state.ts';
import { describeInstance } from './describe-instance.ts';
import type { InstanceInput, InstanceOperation, InstanceOutput, Lifetime, Model, RegisterCondition } from './types.ts';

type Register = Extract<InstanceInput, { kind: 'register' }>;
type Update = Extract<InstanceInput, { kind: 'update' }>;
type Deregister = Extract<InstanceInput, { kind: 'deregister' }>;
type Answer<Kind extends InstanceOutput['kind']> = Extract<InstanceOutput, { kind: Kind }>;

/**
 * What Rollcall promises of one instance (namespace, service, id), whatever it is made of: registrations with and
 * without conditions, updates and removals of an incarnation, sessions that hold and lose it, and leases that end at
 * any time.
 *
 * The end of a lease is no operation. A state with a lease stands for both, there and gone by itself, until an answer
 * tells: an instance may so vanish only where it was registered with one, and what was seen gone does not come back. In
 * the same way the incarnation of a registration whose answer was lost is open until one is seen.
 *
 * What a session lost is kept only of those that ask for a restore somewhere in the history: of the others nobody can
 * tell, and each state that is told apart costs time. More than 1,000 instances that one session has lost are not
 * foreseen: it may then be refused what it never had.
 */
export function instanceModelFor(
  history: readonly Pick<InstanceOperation, 'input'>[],
): Model<InstanceInput, InstanceOutput, InstanceState> {
  const restoring = new Set(history.flatMap(({ input }) => restoringSession(input)));
  return {
    initial: () => emptyInstance,
    step(state, input, output) {
      const next = stepOf(state, input, output);
      if (next === undefined || next.lostBy === state.lostBy) return next;
      return { ...next, lostBy: next.lostBy.filter((session) => restoring.has(session)) };
    },
    identify,
    describe: describeInstance,
    describeState,
  };
}

function restoringSession(input: InstanceInput): readonly string[] {
  return input.kind === 'register' && input.condition.kind === 'restore' ? [sessionOf(input.lifetime)] : [];
}

function stepOf(state: InstanceState, input: InstanceInput, output: InstanceOutput | undefined) {
  switch (input.kind) {
    case 'register':
      return register(state, input, output);
    case 'update':
      return update(state, input, output);
    case 'deregister':
      return deregister(state, input, output);
    case 'read':
      return output === undefined ? undefined : read(state, output);
    default:
      return unreachable(input);
  }
}

function register(
  state: InstanceState,
  input: Register,
  output: InstanceOutput | undefined,
): InstanceState | undefined {
  if (output === undefined) return registerUntold(state, input, 0);
  if (output.kind === 'registered') return registered(state, input, output);
  if (output.kind === 'kept') return kept(state, input, output);
  return output.kind === 'refused' ? registerRefused(state, input, output) : undefined;
}

/**
 * After it took effect, over what is not told. What is there and may be gone is gone where that is needed.
 *
 * @param incarnation 0: not told either.
 */
function registerUntold(state: InstanceState, input: Register, incarnation: number): InstanceState | undefined {
  const { condition } = input;
  switch (condition.kind) {
    case 'none':
      return started(state, input, incarnation);
    case 'keep-equal':
      return isEqualPersistent(state.present, input) ? undefined : started(state, input, incarnation);
    case 'if-absent':
      return startedOverNothing(state, input, incarnation);
    case 'if-incarnation':
      return startedOver(state, input, condition.incarnation, incarnation);
    case 'restore': {
      if (state.lostBy.includes(sessionOf(input.lifetime))) return undefined;
      const { ownIncarnation } = condition;
      const over = ownIncarnation === 0 ? undefined : startedOver(state, input, ownIncarnation, incarnation);
      return over ?? startedOverNothing(state, input, incarnation);
    }
    default:
      return unreachable(condition);
  }
}

function registered(
  state: InstanceState,
  input: Register,
  { incarnation, replaced }: Answer<'registered'>,
): InstanceState | undefined {
  const { condition } = input;
  if (replaced === undefined) return registerUntold(state, input, incarnation);
  if (!isAllowedStart(state, input, replaced)) return undefined;
  if (!replaced) return startedOverNothing(state, input, incarnation);
  if (state.present === undefined) return undefined;
  switch (condition.kind) {
    case 'none':
    case 'keep-equal':
      return started(state, input, incarnation);
    case 'if-incarnation':
      return startedOver(state, input, condition.incarnation, incarnation);
    case 'restore':
      return startedOver(state, input, condition.ownIncarnation, incarnation);
    case 'if-absent':
      return undefined;
    default:
      return unreachable(condition);
  }
}

/** Whether the condition lets it be registered at all, over nothing or over something. */
function isAllowedStart(state: InstanceState, input: Register, replaced: boolean): boolean {
  const { condition, lifetime } = input;
  switch (condition.kind) {
    case 'none':
      return true;
    case 'if-absent':
      return !replaced;
    case 'if-incarnation':
      return replaced;
    case 'keep-equal':
      return !(replaced && isEqualPersistent(state.present, input));
    case 'restore': {
      const session = sessionOf(lifetime);
      if (state.lostBy.includes(session)) return false;
      // What it holds already, with the same content, stays as it is.
      return !replaced || !(state.present?.session === session && isSameContent(state.present.content, input.content));
    }
    default:
      return unreachable(condition);
  }
}

function kept(state: InstanceState, input: Register, { incarnation }: Answer<'kept'>): InstanceState | undefined {
  const { present } = state;
  if (present === undefined) return undefined;
  if (input.condition.kind === 'keep-equal') {
    return isEqualPersistent(present, input) ? bound(state, present, incarnation) : undefined;
  }
  const isHeld = input.condition.kind === 'restore' && present.session === sessionOf(input.lifetime);
  return isHeld && isSameContent(present.content, input.content) ? bound(state, present, incarnation) : undefined;
}

function registerRefused(state: InstanceState, input: Register, output: Answer<'refused'>): InstanceState | undefined {
  const { condition } = input;
  switch (condition.kind) {
    case 'if-absent':
      return output.reason === 'ALREADY_REGISTERED' ? there(state, output.incarnation) : undefined;
    case 'if-incarnation':
      if (output.reason === 'UNKNOWN_INSTANCE') return gone(state);
      return output.reason === 'SUPERSEDED' ? another(state, condition.incarnation, output.incarnation) : undefined;
    case 'restore':
      return output.reason === 'SUPERSEDED' ? restoreRefused(state, input, condition, output.incarnation) : undefined;
    case 'none':
    case 'keep-equal':
      return undefined;
    default:
      return unreachable(condition);
  }
}

function restoreRefused(
  state: InstanceState,
  input: Register,
  { ownIncarnation }: Extract<RegisterCondition, { kind: 'restore' }>,
  current: number | undefined,
): InstanceState | undefined {
  const session = sessionOf(input.lifetime);
  const isLost = state.lostBy.includes(session);
  const overNothing = isLost && (current === undefined || current === 0) ? gone(state) : undefined;
  const { present } = state;
  if (present === undefined || current === 0) return overNothing;
  if (present.session === session && isSameContent(present.content, input.content)) return overNothing;
  // What was lost is refused whatever is there.
  return isLost || ownIncarnation === 0 ? there(state, current) : another(state, ownIncarnation, current);
}

function update(state: InstanceState, input: Update, output: InstanceOutput | undefined): InstanceState | undefined {
  const { content } = input;
  if (output?.kind === 'refused') return updateRefused(state, input, output);
  if (output !== undefined && output.kind !== 'updated') return undefined;
  const found = held(state, input);
  if (found === undefined || found.present.lease === 'ended') return undefined;
  const isChanged = !isSameContent(found.present.content, content);
  if (output !== undefined && output.changed !== isChanged) return undefined;
  // Without an answer only a change is worth a step.
  if (output === undefined && !isChanged) return undefined;
  return isChanged ? { ...found, present: { ...found.present, content } } : found;
}

function updateRefused(state: InstanceState, input: Update, output: Answer<'refused'>): InstanceState | undefined {
  if (output.reason === 'SUPERSEDED') return notHeld(state, input, output.incarnation);
  if (output.reason !== 'UNKNOWN_INSTANCE') return undefined;
  const { present } = state;
  // The removal of a lease's instances may take several revisions, in which they are still seen.
  const isEnding = input.session === undefined && present !== undefined && present.lease !== 'none';
  if (!isEnding) return gone(state);
  if (present.incarnation !== 0 && present.incarnation !== input.incarnation) return gone(state);
  // Where the incarnation is not known it stays so: it may be this one that ends, or another that is gone.
  return { ...state, present: { ...present, lease: 'ended' } };
}

function deregister(
  state: InstanceState,
  input: Deregister,
  output: InstanceOutput | undefined,
): InstanceState | undefined {
  if (output?.kind === 'refused') {
    return output.reason === 'SUPERSEDED' ? notHeld(state, input, output.incarnation) : undefined;
  }
  if (output !== undefined && output.kind !== 'deregistered') return undefined;
  if (output?.existed === false) return gone(state);
  const found = held(state, input);
  if (found === undefined) return undefined;
  const lostBy = lost(found, input.session);
  // What may be gone by itself needs no removal of which nobody was told, and no session lost anything by it.
  if (output === undefined && mayBeGone(state) && lostBy === found.lostBy) return undefined;
  return { floor: found.floor, lostBy, present: undefined };
}

function read(state: InstanceState, output: InstanceOutput): InstanceState | undefined {
  if (output.kind === 'absent') return gone(state);
  const { present } = state;
  if (output.kind !== 'found' || present === undefined || present.content !== output.content) return undefined;
  return bound(state, present, output.incarnation);
}

/** The state where what is there is what an update or deregister means; undefined where it is not. */
function held(
  state: InstanceState,
  { kind, incarnation, session }: Update | Deregister,
): (InstanceState & { readonly present: PresentInstance }) | undefined {
  const { present } = state;
  if (present === undefined || (session !== undefined && present.session !== session)) return undefined;
  const isAny = incarnation === 0 && (kind === 'deregister' || session !== undefined);
  return isAny ? { ...state, present } : bound(state, present, incarnation);
}

/** The state where what is there is not what an update or deregister means. */
function notHeld(
  state: InstanceState,
  { kind, incarnation, session }: Update | Deregister,
  current: number | undefined,
): InstanceState | undefined {
  const isAny = incarnation === 0 && (kind === 'deregister' || session !== undefined);
  if (session !== undefined && state.present?.session !== session) return there(state, current);
  return isAny ? undefined : another(state, incarnation, current);
}

/** The state where something is there, this one if it is said which. */
function there(state: InstanceState, current: number | undefined): InstanceState | undefined {
  const { present } = state;
  if (present === undefined) return undefined;
  return current === undefined ? state : bound(state, present, current);
}

/** The state where something is there that is not this incarnation. */
function another(state: InstanceState, incarnation: number, current: number | undefined): InstanceState | undefined {
  const { present } = state;
  if (present === undefined || current === incarnation) return undefined;
  return current === undefined ? excluding(state, present, incarnation) : bound(state, present, current);
}

function startedOverNothing(state: InstanceState, input: Register, incarnation: number): InstanceState | undefined {
  const before = gone(state);
  return before === undefined ? undefined : started(before, input, incarnation);
}

function startedOver(
  state: InstanceState,
  input: Register,
  over: number,
  incarnation: number,
): InstanceState | undefined {
  const before = state.present === undefined ? undefined : bound(state, state.present, over);
  return before === undefined ? undefined : started(before, input, incarnation);
}

/** A new incarnation over whatever is there; 0: not known which. */
function started(
  state: InstanceState,
  { content, lifetime }: Register,
  incarnation: number,
): InstanceState | undefined {
  if (incarnation !== 0 && incarnation <= state.floor) return undefined;
  const session = sessionOf(lifetime);
  const lostBy = lost(state, session).filter((name) => name !== session);
  const lease = lifetime.kind === 'persistent' ? 'none' : 'live';
  const present: PresentInstance = { incarnation, content, lease, session, excluded: [] };
  return { floor: Math.max(state.floor, incarnation), lostBy, present };
}

function isEqualPersistent(present: PresentInstance | undefined, { content, lifetime }: Register): boolean {
  return present?.lease === 'none' && lifetime.kind === 'persistent' && isSameContent(present.content, content);
}

function sessionOf(lifetime: Lifetime): string {
  return lifetime.kind === 'session' ? lifetime.session : '';
}
