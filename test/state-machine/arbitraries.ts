import fc from 'fast-check';
import type {
  BatchItem,
  Command,
  CommandBody,
  CommandResult,
  InstanceName,
  Lifetime,
  SessionOperation,
  SessionOutcome,
} from '../../src/state-machine/types.ts';

/** Numbers of every size, the edges of varints among them. */
export const numbers = fc.oneof(
  fc.nat(3),
  fc.nat(300),
  fc.maxSafeNat(),
  fc.constantFrom(127, 128, 2 ** 32, Number.MAX_SAFE_INTEGER),
);
const positive = numbers.map((value) => (value === 0 ? 1 : value));
const ttl = fc.integer({ min: 1, max: 86_400_000 });
const spec = fc.uint8Array({ maxLength: 40 });
const serviceName = fc.stringMatching(/^[a-z0-9.-]{1,12}$/);

export const names: fc.Arbitrary<InstanceName> = fc.record({
  namespace: serviceName,
  service: serviceName,
  id: fc.stringMatching(/^[!#-.0-~]{1,20}$/),
});

const lifetimes: fc.Arbitrary<Lifetime> = fc.oneof(
  fc.record({ kind: fc.constant('ttl' as const), ttlMs: ttl }),
  fc.record({ kind: fc.constant('lease' as const), leaseId: positive }),
  fc.record({ kind: fc.constant('persistent' as const) }),
);

const texts = fc.string({ unit: 'grapheme', maxLength: 10 });

function distinct<T extends { readonly name: InstanceName }>(items: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  const selector = ({ name }: T): string => `${name.namespace}/${name.service}/${name.id}`;
  return fc.uniqueArray(items, { minLength: 1, maxLength: 4, selector });
}

const items: fc.Arbitrary<BatchItem> = fc.record({
  name: names,
  spec,
  ifAbsent: fc.boolean(),
  ifIncarnation: numbers,
  keepEqual: fc.boolean(),
});

const operations: fc.Arbitrary<SessionOperation> = fc.oneof(
  fc.record({
    kind: fc.constant('register' as const),
    name: names,
    spec,
    restore: fc.boolean(),
    ownIncarnation: numbers,
  }),
  fc.record({ kind: fc.constant('update' as const), name: names, spec, incarnation: numbers }),
  fc.record({ kind: fc.constant('deregister' as const), name: names, incarnation: numbers, reason: texts }),
);

const bodies: fc.Arbitrary<CommandBody> = fc.oneof(
  fc.record({
    kind: fc.constant('register' as const),
    name: names,
    spec,
    lifetime: lifetimes,
    ifAbsent: fc.boolean(),
    ifIncarnation: numbers,
  }),
  fc.record({ kind: fc.constant('update' as const), name: names, spec, incarnation: positive }),
  fc.record({ kind: fc.constant('deregister' as const), name: names, incarnation: numbers }),
  fc.record({ kind: fc.constant('grant-lease' as const), ttlMs: ttl }),
  fc.record({ kind: fc.constant('revoke-lease' as const), leaseId: positive }),
  fc.record({ kind: fc.constant('expire-lease' as const), leaseId: positive, epoch: numbers, term: numbers }),
  fc.record({ kind: fc.constant('reap-lease' as const), leaseId: positive }),
  fc.record({ kind: fc.constant('batch-register' as const), lifetime: lifetimes, items: distinct(items) }),
  fc.record({ kind: fc.constant('open-session' as const), ttlMs: ttl }),
  fc.record({
    kind: fc.constantFrom('attach-session' as const, 'close-session' as const),
    sessionId: positive,
    attachment: positive,
  }),
  fc.record({
    kind: fc.constant('write-session' as const),
    sessionId: positive,
    attachment: positive,
    sequence: positive,
    operations: distinct(operations),
  }),
);

export const commands: fc.Arbitrary<Command> = fc.record({
  actor: texts,
  origin: texts,
  reason: texts,
  requestId: fc.oneof(fc.constant(''), fc.stringMatching(/^[!-~]{1,20}$/)),
  body: bodies,
});

const reasons = fc.constantFrom(
  'ALREADY_REGISTERED' as const,
  'SUPERSEDED' as const,
  'UNKNOWN_INSTANCE' as const,
  'UNKNOWN_LEASE' as const,
  'REQUEST_ID_REUSED' as const,
  'OVERLOADED' as const,
  'UNKNOWN_SESSION' as const,
  'SESSION_TAKEN' as const,
  'INVALID_FIELD' as const,
);

/** An incarnation is never above the revision of the result. */
const below = (revision: number): fc.Arbitrary<number> => numbers.map((value) => Math.min(value, revision));

const outcomes = (revision: number): fc.Arbitrary<SessionOutcome> =>
  fc.oneof(
    fc.record({
      status: fc.constantFrom('registered', 'replaced', 'updated', 'unchanged', 'deregistered', 'absent'),
      incarnation: below(revision),
      reason: fc.constant('' as const),
    }),
    fc.record({ status: fc.constant('refused' as const), incarnation: below(revision), reason: reasons }),
  );

const lists: fc.Arbitrary<CommandResult> = numbers.chain((revision) =>
  fc.oneof(
    fc.record({
      kind: fc.constant('batch-registered' as const),
      revision: fc.constant(revision),
      leaseId: numbers,
      ttlMs: numbers,
      items: fc.array(
        fc.record({ status: fc.constantFrom('registered', 'replaced', 'kept'), incarnation: below(revision) }),
        { maxLength: 4 },
      ),
    }),
    fc.record({
      kind: fc.constant('session-written' as const),
      revision: fc.constant(revision),
      sequence: numbers,
      outcomes: fc.array(outcomes(revision), { maxLength: 4 }),
    }),
  ),
);

export const results: fc.Arbitrary<CommandResult> = fc.oneof(
  fc.record({
    kind: fc.constant('registered' as const),
    revision: numbers,
    incarnation: numbers,
    leaseId: numbers,
    ttlMs: numbers,
    replaced: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('updated' as const), revision: numbers, changed: fc.boolean() }),
  fc.record({ kind: fc.constant('deregistered' as const), revision: numbers, existed: fc.boolean() }),
  fc.record({ kind: fc.constant('lease-granted' as const), revision: numbers, leaseId: numbers, ttlMs: numbers }),
  fc.record({
    kind: fc.constant('lease-ended' as const),
    revision: numbers,
    existed: fc.boolean(),
    instances: numbers,
    remaining: numbers,
  }),
  fc.record({
    kind: fc.constant('refused' as const),
    revision: numbers,
    reason: reasons,
    message: texts,
    field: texts,
  }),
  fc.record({
    kind: fc.constant('session-opened' as const),
    revision: numbers,
    sessionId: numbers,
    ttlMs: numbers,
    attachment: numbers,
    lastSequence: numbers,
  }),
  lists,
);
