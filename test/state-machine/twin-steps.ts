import fc from 'fast-check';
import type { BatchItem, Command, CommandBody, InstanceName, SessionOperation } from '../../src/state-machine/types.ts';
import { command, nameOf, specBytes } from './driver.ts';
import type { DumbRegistry } from './dumb-registry.ts';

/** Small, so that each of them is met often. */
export const bounds = {
  eventsPerRevisionMax: 3,
  lostPerSessionMax: 1,
  requestIdTtlMs: 50,
  requestIdsMax: 3,
  historyRevisionsMax: 10,
  historyBytesMax: 900,
};

/** A command whose numbers are chosen when its turn comes: 'current' is what the state then holds. */
export interface Step {
  readonly kind: CommandBody['kind'];
  readonly id: string;
  readonly service: string;
  readonly namespace: string;
  readonly spec: string;
  readonly lifetime: 'ttl' | 'lease' | 'persistent';
  readonly ifAbsent: boolean;
  readonly incarnation: 'current' | 'zero' | 'other';
  readonly epoch: 'current' | 'other';
  readonly term: 'current' | 'other';
  /** Which of the leases there are, or one that never was. */
  readonly lease: number;
  readonly requestId: string;
  readonly actor: string;
  /** Of a batch or a write of a session. */
  readonly parts: readonly Part[];
  readonly attachment: 'current' | 'higher' | 'lower';
  readonly sequence: 'next' | 'last' | 'lower' | 'gap';
}

interface Part {
  readonly kind: SessionOperation['kind'];
  readonly id: string;
  readonly service: string;
  readonly spec: string;
  readonly incarnation: 'current' | 'zero' | 'other';
  readonly restore: boolean;
  readonly keepEqual: boolean;
  readonly ifAbsent: boolean;
}

const often = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ arbitrary: fc.constant(usual), weight: 5 }, { arbitrary: fc.constantFrom(...others), weight: 1 });

const incarnations = fc.constantFrom('current' as const, 'current' as const, 'zero' as const, 'other' as const);
const ids = fc.constantFrom('a', 'a-1', 'b', 'B', '~');

const parts: fc.Arbitrary<Part[]> = fc.uniqueArray(
  fc.record({
    kind: often<SessionOperation['kind']>('register', 'update', 'deregister'),
    id: ids,
    service: often('web', 'web-1'),
    spec: often('one', 'two'),
    incarnation: incarnations,
    restore: fc.boolean(),
    keepEqual: fc.boolean(),
    ifAbsent: often(false, true),
  }),
  { minLength: 1, maxLength: bounds.eventsPerRevisionMax, selector: ({ id, service }) => `${service}/${id}` },
);

const steps: fc.Arbitrary<Step> = fc.record({
  kind: fc.oneof(
    { arbitrary: fc.constant('register' as const), weight: 8 },
    { arbitrary: fc.constantFrom('update' as const, 'deregister' as const), weight: 4 },
    { arbitrary: fc.constantFrom('grant-lease' as const, 'reap-lease' as const), weight: 2 },
    { arbitrary: fc.constantFrom('revoke-lease' as const, 'expire-lease' as const), weight: 2 },
    { arbitrary: fc.constant('batch-register' as const), weight: 3 },
    { arbitrary: fc.constant('write-session' as const), weight: 10 },
    { arbitrary: fc.constantFrom('open-session' as const, 'attach-session' as const), weight: 4 },
    { arbitrary: fc.constant('close-session' as const), weight: 1 },
  ),
  id: ids,
  service: often('web', 'web-1', 'w'),
  namespace: often('default', 'other'),
  spec: often('one', 'two', ''),
  lifetime: fc.oneof(
    { arbitrary: fc.constant('lease' as const), weight: 3 },
    { arbitrary: fc.constantFrom('ttl' as const, 'persistent' as const), weight: 2 },
  ),
  ifAbsent: often(false, true),
  incarnation: incarnations,
  epoch: often<'current' | 'other'>('current', 'other'),
  term: often<'current' | 'other'>('current', 'other'),
  lease: fc.nat(4),
  requestId: often('', 'r1', 'r2', 'r3', 'r4', 'r5'),
  actor: often('anonymous', 'someone'),
  parts,
  attachment: often<Step['attachment']>('current', 'higher', 'lower'),
  sequence: often<Step['sequence']>('next', 'last', 'lower', 'gap'),
});

export const entries = fc.array(
  fc.record({
    commands: fc.array(steps, { maxLength: 4 }),
    elapsedMs: fc.constantFrom(0, 0, 10, 60),
    newTerm: often(false, true),
    empty: often(false, true),
    freeze: often(false, true),
    release: often(false, true),
  }),
  { minLength: 1, maxLength: 40 },
);

/** Chooses the numbers by what the dumb registry holds at this moment. */
export function resolve(step: Step, dumb: DumbRegistry, term: number): Command {
  const name = nameOf(step.id, step.service, step.namespace);
  const incarnation = chosenIncarnation(step.incarnation, name, dumb);
  const lease = dumb.leases[step.lease];
  const leaseId = lease?.leaseId ?? dumb.nextLeaseId + 3;
  const spec = specBytes(step.spec);
  const lifetimes = {
    ttl: { kind: 'ttl', ttlMs: 1_000 + step.lease },
    lease: { kind: 'lease', leaseId },
    persistent: { kind: 'persistent' },
  } as const;
  const session = dumb.sessions[step.lease % 3] ?? dumb.sessions[0];
  const sessionId = session?.sessionId ?? dumb.nextLeaseId + 3;
  const shift = { current: step.kind === 'attach-session' ? 1 : 0, higher: 2, lower: -1 }[step.attachment];
  const attachment = Math.max(1, (session?.attachment ?? 1) + shift);
  const body = (): CommandBody => {
    switch (step.kind) {
      case 'register': {
        const lifetime = lifetimes[step.lifetime];
        const ifIncarnation = step.lease % 2 === 0 ? 0 : incarnation;
        return { kind: 'register', name, spec, lifetime, ifAbsent: step.ifAbsent, ifIncarnation };
      }
      case 'update':
        return { kind: 'update', name, spec, incarnation: Math.max(1, incarnation) };
      case 'deregister':
        return { kind: 'deregister', name, incarnation };
      case 'batch-register':
        return {
          kind: 'batch-register',
          lifetime: step.parts[0]?.keepEqual === true ? lifetimes.persistent : lifetimes[step.lifetime],
          items: step.parts.map((part) => batchItem(part, dumb)),
        };
      case 'open-session':
        return { kind: 'open-session', ttlMs: 3_000 };
      case 'attach-session':
      case 'close-session':
        return { kind: step.kind, sessionId, attachment };
      case 'write-session': {
        const last = session?.result?.sequence ?? 0;
        const sequence = Math.max(1, { next: last + 1, last, lower: last - 1, gap: last + 2 }[step.sequence]);
        const operations = step.parts.map((part) => operation(part, dumb));
        return { kind: 'write-session', sessionId, attachment, sequence, operations };
      }
      case 'grant-lease':
        return { kind: 'grant-lease', ttlMs: 2_000 };
      case 'revoke-lease':
      case 'reap-lease':
        return { kind: step.kind, leaseId };
      case 'expire-lease': {
        const epoch = (lease?.epoch ?? 1) + (step.epoch === 'current' ? 0 : 1);
        return { kind: 'expire-lease', leaseId, epoch, term: step.term === 'current' ? term : term - 1 };
      }
    }
  };
  return command(body(), { requestId: step.requestId, actor: step.actor, reason: `because ${step.spec}` });
}

function chosenIncarnation(choice: Step['incarnation'], name: InstanceName, dumb: DumbRegistry): number {
  const current = dumb.find(name)?.incarnation ?? 1;
  return { current, zero: 0, other: Math.max(1, current - 1) }[choice];
}

function batchItem(part: Part, dumb: DumbRegistry): BatchItem {
  const name = nameOf(part.id, part.service);
  const ifIncarnation = part.restore ? 0 : chosenIncarnation(part.incarnation, name, dumb);
  return { name, spec: specBytes(part.spec), ifAbsent: part.ifAbsent, ifIncarnation, keepEqual: part.keepEqual };
}

function operation(part: Part, dumb: DumbRegistry): SessionOperation {
  const name = nameOf(part.id, part.service);
  const incarnation = chosenIncarnation(part.incarnation, name, dumb);
  const spec = specBytes(part.spec);
  switch (part.kind) {
    case 'register':
      return { kind: 'register', name, spec, restore: part.restore, ownIncarnation: incarnation };
    case 'update':
      return { kind: 'update', name, spec, incarnation };
    case 'deregister':
      return { kind: 'deregister', name, incarnation, reason: `no ${part.spec}` };
  }
}
