import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import { RegistryState } from '../../src/state-machine/registry-state.ts';
import type { FrozenChanges } from '../../src/state-machine/interfaces.ts';
import type { ChangeEvent, Command, CommandBody, CommandResult } from '../../src/state-machine/types.ts';
import { command, Driver, nameOf, reload, specBytes } from './driver.ts';
import { DumbRegistry, keyOf, viewOf } from './dumb-registry.ts';

// Small, so that every bound is met often.
const bounds = { eventsPerRevisionMax: 2, requestIdTtlMs: 50, requestIdsMax: 3, historyRevisionsMax: 10 };

/** A command whose numbers are chosen when its turn comes: 'current' is what the state then holds. */
interface Step {
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
}

const often = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ arbitrary: fc.constant(usual), weight: 5 }, { arbitrary: fc.constantFrom(...others), weight: 1 });

const steps: fc.Arbitrary<Step> = fc.record({
  kind: fc.oneof(
    { arbitrary: fc.constant('register' as const), weight: 8 },
    { arbitrary: fc.constantFrom('update' as const, 'deregister' as const), weight: 4 },
    { arbitrary: fc.constantFrom('grant-lease' as const, 'reap-lease' as const), weight: 2 },
    { arbitrary: fc.constantFrom('revoke-lease' as const, 'expire-lease' as const), weight: 2 },
  ),
  id: fc.constantFrom('a', 'a-1', 'b', 'B', '~'),
  service: often('web', 'web-1', 'w'),
  namespace: often('default', 'other'),
  spec: often('one', 'two', ''),
  lifetime: fc.oneof(
    { arbitrary: fc.constant('lease' as const), weight: 3 },
    { arbitrary: fc.constantFrom('ttl' as const, 'persistent' as const), weight: 2 },
  ),
  ifAbsent: often(false, true),
  incarnation: fc.constantFrom('current' as const, 'current' as const, 'zero' as const, 'other' as const),
  epoch: often<'current' | 'other'>('current', 'other'),
  term: often<'current' | 'other'>('current', 'other'),
  lease: fc.nat(4),
  requestId: often('', 'r1', 'r2', 'r3', 'r4', 'r5'),
  actor: often('anonymous', 'someone'),
});

const entries = fc.array(
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
function resolve(step: Step, dumb: DumbRegistry, term: number): Command {
  const name = nameOf(step.id, step.service, step.namespace);
  const current = dumb.find(name)?.incarnation ?? 1;
  const incarnation = { current, zero: 0, other: Math.max(1, current - 1) }[step.incarnation];
  const lease = dumb.leases[step.lease];
  const leaseId = lease?.leaseId ?? dumb.nextLeaseId + 3;
  const spec = specBytes(step.spec);
  const body = (): CommandBody => {
    switch (step.kind) {
      case 'register': {
        const lifetimes = {
          ttl: { kind: 'ttl', ttlMs: 1_000 + step.lease },
          lease: { kind: 'lease', leaseId },
          persistent: { kind: 'persistent' },
        } as const;
        const lifetime = lifetimes[step.lifetime];
        const ifIncarnation = step.spec === 'one' ? 0 : incarnation;
        return { kind: 'register', name, spec, lifetime, ifAbsent: step.ifAbsent, ifIncarnation };
      }
      case 'update':
        return { kind: 'update', name, spec, incarnation: Math.max(1, incarnation) };
      case 'deregister':
        return { kind: 'deregister', name, incarnation };
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

/** The message of a refusal is for people; the dumb registry has none, but the state hash holds those remembered. */
function withMessages(dumb: DumbRegistry, results: readonly CommandResult[]): void {
  results.forEach((result, i) => {
    const own = must(dumb.results[i], 'result');
    if (result.kind !== 'refused' || own.kind !== 'refused') return;
    expect(result.message).not.toBe('');
    const filled = { ...own, message: result.message };
    for (const request of dumb.requests) if (request.result === own) request.result = filled;
    dumb.results[i] = filled;
  });
}

function expectReads(state: RegistryState, dumb: DumbRegistry): void {
  expect(state.counts()).toEqual({
    services: new Set(dumb.instances.map(({ name }) => `${name.namespace}/${name.service}`)).size,
    instances: dumb.instances.length,
    leases: dumb.leases.length,
  });
  const infos = dumb.leases.map(({ leaseId, epoch, ttlMs, end }) => {
    return { leaseId, epoch, ttlMs, ended: end !== '', instances: dumb.membersOf(leaseId).length };
  });
  expect([...state.liveLeases()]).toEqual(infos.filter((info) => !info.ended));
  expect([...state.endedLeases()]).toEqual(infos.filter((info) => info.ended));
  for (const namespace of ['default', 'other']) {
    const seen: unknown[] = [];
    for (const service of ['w', 'web', 'web-1']) {
      const instances = dumb.sorted().filter(({ name }) => name.namespace === namespace && name.service === service);
      const { views, more } = state.views(namespace, service, '', 100, 1_000_000);
      expect(views.map((view) => Buffer.from(view))).toEqual(instances.map(viewOf));
      expect(more).toBe(false);
      const remembered = dumb.log.some(
        ({ name, revision }) => name.namespace === namespace && name.service === service && revision > dumb.floor(),
      );
      expect(state.isKnown(namespace, service)).toBe(instances.length > 0 || remembered);
      const modifyRevision = dumb.modifyRevision(namespace, service);
      if (instances.length > 0) seen.push({ namespace, service, instances: instances.length, modifyRevision });
    }
    expect(state.services(namespace, '', '', 10)).toEqual({ services: seen, more: false });
  }
}

function expectChanges(state: RegistryState, dumb: DumbRegistry, from: number, to: number): void {
  const expected = (namespace: string, service: string): ChangeEvent[] =>
    dumb.log.filter(
      ({ name, revision }) =>
        name.namespace === namespace &&
        (service === '' || name.service === service) &&
        revision > from &&
        revision <= to,
    );
  for (const service of ['', 'web', 'web-1']) {
    expect([...state.changes('default', service, from, to)]).toEqual(expected('default', service));
  }
}

describe('RegistryState and a dumb registry', () => {
  it('agree on results, events, reads, persisted records and hash after every entry', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(entries, fc.nat(100), (list, share) => {
        const driver = new Driver(bounds);
        const { state } = driver;
        const dumb = new DumbRegistry(driver.bounds);
        const store = new Map<string, Uint8Array>();
        let held: { frozen: FrozenChanges; expected: Map<string, Buffer> } | undefined;
        let stored: FrozenChanges['position'] = { index: 0, term: 0, revision: 0, replicatedTimeMs: 0 };
        const release = (): void => {
          if (held === undefined) return;
          for (const { key, value } of held.frozen.changes()) {
            if (value === undefined) store.delete(key);
            else store.set(key, Uint8Array.from(value));
          }
          expect(new Map([...store].map(([key, value]) => [key, Buffer.from(value)]))).toEqual(held.expected);
          stored = held.frozen.position;
          held = undefined;
          state.releaseFrozen();
        };
        let term = 1;
        list.forEach((entry, i) => {
          term += entry.newTerm ? 1 : 0;
          if (entry.empty) {
            expect(driver.applyData(new Uint8Array(0))).toEqual({ results: [], events: [], leases: [] });
            return;
          }
          const wallMs = 1_000 * i;
          dumb.beginEntry(term, wallMs, entry.elapsedMs);
          const commands = entry.commands.map((step) => {
            const resolved = resolve(step, dumb, term);
            dumb.command(resolved);
            return resolved;
          });
          const outcome = driver.applyAll(commands, { term, wallMs, elapsedMs: entry.elapsedMs });
          withMessages(dumb, outcome.results);
          expect(outcome.results).toEqual(dumb.results);
          expect(outcome.events).toEqual(dumb.events);
          expect(outcome.leases).toEqual(dumb.leaseChanges);
          for (const result of outcome.results) {
            seen.add(result.kind === 'refused' ? `${result.reason} ${result.field}` : result.kind);
          }
          expect(state.position).toMatchObject({ revision: dumb.revision, replicatedTimeMs: dumb.replicatedTimeMs });
          expect(state.stateHash()).toBe(dumb.stateHash());
          expect(state.historyFloor).toBe(dumb.floor());
          if (entry.freeze && held === undefined) {
            held = { frozen: state.freeze(), expected: dumb.records() };
            expect(held.frozen.stateHash).toBe(dumb.stateHash());
            expect(held.frozen.position).toEqual(state.position);
          }
          if (entry.release) release();
        });
        expectReads(state, dumb);
        const from = state.historyFloor + (share % (dumb.revision - state.historyFloor + 1));
        expectChanges(state, dumb, from, dumb.revision);
        expectChanges(state, dumb, state.historyFloor, from);
        release();

        // What was flushed and the entries after it give the same state, whatever was flushed.
        const loaded = reload(store, stored, driver.bounds);
        const tail = driver.entries.filter((entry) => entry.index > stored.index);
        for (const entry of tail) loaded.state.apply(entry);
        expect(loaded.state.stateHash()).toBe(state.stateHash());
        expect(loaded.state.counts()).toEqual(state.counts());
        expect([...loaded.state.liveLeases()]).toEqual([...state.liveLeases()]);
        expect(loaded.state.services('default', '', '', 10)).toEqual(state.services('default', '', '', 10));
        const others = loaded.state.views('default', 'web', '', 100, 1_000_000);
        expect(others).toEqual(state.views('default', 'web', '', 100, 1_000_000));
      }),
      { numRuns: 400, seed: 20_261_121 },
    );
    // The run is void unless it met every kind of result.
    expect([...seen].toSorted()).toEqual([
      'ALREADY_REGISTERED if_absent',
      'OVERLOADED request_id',
      'REQUEST_ID_REUSED request_id',
      'SUPERSEDED if_incarnation',
      'SUPERSEDED incarnation',
      'UNKNOWN_INSTANCE if_incarnation',
      'UNKNOWN_INSTANCE instance.id',
      'UNKNOWN_LEASE epoch',
      'UNKNOWN_LEASE lease_id',
      'UNKNOWN_LEASE term',
      'deregistered',
      'lease-ended',
      'lease-granted',
      'registered',
      'updated',
    ]);
    expect(keyOf(nameOf('a'))).toBe('default/web/a');
  });

  it('gives equal results and hashes to two members fed with the same entries', () => {
    fc.assert(
      fc.property(entries, (list) => {
        const driver = new Driver(bounds);
        const dumb = new DumbRegistry(driver.bounds);
        const second = new RegistryState(driver.bounds);
        for (const [i, { commands, elapsedMs }] of list.entries()) {
          dumb.beginEntry(1, i, elapsedMs);
          const resolved = commands.map((step) => {
            const one = resolve(step, dumb, 1);
            dumb.command(one);
            return one;
          });
          const outcome = driver.applyAll(resolved, { wallMs: i, elapsedMs });
          expect(second.apply(must(driver.entries.at(-1), 'entry'))).toEqual(outcome);
          expect(second.stateHash()).toBe(driver.state.stateHash());
        }
      }),
      { numRuns: 50, seed: 7 },
    );
  });
});
