import { unreachable } from '../../../src/base/assert.ts';
import type { InstanceInput, InstanceOutput } from './types.ts';

/** One instance as it is, with nothing left open: the second version of what the instance model says. */
export interface PlainInstance {
  readonly floor: number;
  readonly lostBy: readonly string[];
  readonly there?: {
    readonly incarnation: number;
    readonly content: number;
    readonly lease: 'none' | 'live' | 'ended';
    readonly session: string;
  };
}

export const plainNothing: PlainInstance = { floor: 0, lostBy: [] };

type Register = Extract<InstanceInput, { kind: 'register' }>;
type Applied = readonly [InstanceOutput, PlainInstance];

/** What may happen by itself, once, to an instance with a lease. */
export function byItself(state: PlainInstance): readonly PlainInstance[] {
  const { there, floor, lostBy } = state;
  if (there === undefined || there.lease === 'none') return [state];
  return [state, { ...state, there: { ...there, lease: 'ended' } }, { floor, lostBy }];
}

/** @param incarnation What a registration gets. */
export function applyPlain(state: PlainInstance, input: InstanceInput, incarnation: number): Applied {
  const { there } = state;
  switch (input.kind) {
    case 'read': {
      if (there === undefined) return [{ kind: 'absent' }, state];
      return [{ kind: 'found', incarnation: there.incarnation, content: there.content }, state];
    }
    case 'register':
      return applyRegister(state, input, incarnation);
    case 'update': {
      const { content, session } = input;
      if (there === undefined) return refuse('UNKNOWN_INSTANCE', state);
      if (!isMeant(there, input)) return refuse('SUPERSEDED', state);
      if (session === undefined && there.lease === 'ended') return refuse('UNKNOWN_INSTANCE', state);
      const next = { ...state, there: { ...there, content } };
      return [{ kind: 'updated', changed: there.content !== content }, next];
    }
    case 'deregister': {
      if (there === undefined) return [{ kind: 'deregistered', existed: false }, state];
      const isAny = input.session === undefined && input.incarnation === 0;
      if (!isAny && !isMeant(there, input)) return refuse('SUPERSEDED', state);
      const lostBy = withLost(state, input.session);
      return [
        { kind: 'deregistered', existed: true },
        { floor: state.floor, lostBy },
      ];
    }
    default:
      return unreachable(input);
  }
}

function applyRegister(state: PlainInstance, input: Register, incarnation: number): Applied {
  const { there } = state;
  const { condition, content, lifetime } = input;
  const session = lifetime.kind === 'session' ? lifetime.session : '';
  const isEqual = there !== undefined && there.content === content;
  if (condition.kind === 'if-absent' && there !== undefined) return refuse('ALREADY_REGISTERED', state);
  if (condition.kind === 'if-incarnation') {
    if (there === undefined) return refuse('UNKNOWN_INSTANCE', state);
    if (there.incarnation !== condition.incarnation) return refuse('SUPERSEDED', state);
  }
  if (condition.kind === 'keep-equal' && isEqual && there.lease === 'none' && lifetime.kind === 'persistent') {
    return [{ kind: 'kept', incarnation: there.incarnation }, state];
  }
  if (condition.kind === 'restore') {
    const isLost = state.lostBy.includes(session);
    if (isEqual && there.session === session) return [{ kind: 'kept', incarnation: there.incarnation }, state];
    const isFree = there === undefined || there.incarnation === condition.ownIncarnation;
    if (isLost || !isFree) return refuse('SUPERSEDED', state);
  }
  const lostBy = withLost(state, session).filter((name) => name !== session);
  const lease = lifetime.kind === 'persistent' ? 'none' : 'live';
  return [
    { kind: 'registered', incarnation, replaced: there !== undefined },
    { floor: incarnation, lostBy, there: { incarnation, content, lease, session } },
  ];
}

function isMeant(
  there: NonNullable<PlainInstance['there']>,
  { incarnation, session }: { readonly incarnation: number; readonly session?: string },
): boolean {
  if (session === undefined) return there.incarnation === incarnation;
  return there.session === session && (incarnation === 0 || incarnation === there.incarnation);
}

function withLost({ there, lostBy }: PlainInstance, by: string | undefined): readonly string[] {
  if (there === undefined || there.session === '' || there.session === by) return lostBy;
  return [...lostBy.filter((name) => name !== there.session), there.session];
}

function refuse(reason: 'ALREADY_REGISTERED' | 'SUPERSEDED' | 'UNKNOWN_INSTANCE', state: PlainInstance): Applied {
  return [{ kind: 'refused', reason, incarnation: state.there?.incarnation ?? 0 }, state];
}
