import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import { RegistryState } from '../../src/state-machine/registry-state.ts';
import type { FrozenChanges } from '../../src/state-machine/interfaces.ts';
import type { ApplyOutcome, ChangeEvent, CommandResult } from '../../src/state-machine/types.ts';
import { Driver, reload } from './driver.ts';
import { viewOf } from './dumb-encodings.ts';
import { recordsOf, stateHashOf } from './dumb-records.ts';
import { DumbRegistry } from './dumb-registry.ts';
import { bounds, entries, resolve } from './twin-steps.ts';

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
    sessions: dumb.sessions.length,
  });
  const infos = dumb.leases.map(({ leaseId, epoch, ttlMs, end }) => {
    return { leaseId, epoch, ttlMs, ended: end !== '', instances: dumb.membersOf(leaseId).length };
  });
  const live = infos.filter((info) => !info.ended);
  expect(state.liveLeases(0, 1_000)).toEqual(live);
  expect(state.liveLeases(live[0]?.leaseId ?? 0, 2)).toEqual(live.slice(1, 3));
  for (const { leaseId } of [...infos, { leaseId: dumb.nextLeaseId }]) expectSession(state, dumb, leaseId);
  expect([...state.endedLeases()]).toEqual(infos.filter((info) => info.ended));
  for (const namespace of ['default', 'other']) {
    const seen: unknown[] = [];
    for (const service of ['w', 'web', 'web-1']) {
      const instances = dumb.sorted().filter(({ name }) => name.namespace === namespace && name.service === service);
      const { views, more } = state.views(namespace, service, '', 100, 1_000_000);
      expect(views.map((view) => Buffer.from(view))).toEqual(instances.map(viewOf));
      expect(more).toBe(false);
      const remembered = dumb.log.some(
        ({ name, revision }) => name.namespace === namespace && name.service === service && revision > dumb.floor,
      );
      expect(state.isKnown(namespace, service)).toBe(instances.length > 0 || remembered);
      const modifyRevision = dumb.modifyRevision(namespace, service);
      if (instances.length > 0) seen.push({ namespace, service, instances: instances.length, modifyRevision });
    }
    expect(state.services(namespace, '', '', 10)).toEqual({ services: seen, more: false });
  }
}

function expectSession(state: RegistryState, dumb: DumbRegistry, sessionId: number): void {
  const session = dumb.session(sessionId);
  const lost = [...(session?.lost ?? [])].toSorted(([a], [b]) => (a < b ? -1 : 1));
  expect(state.session(sessionId)).toEqual(
    session === undefined
      ? undefined
      : {
          sessionId,
          attachment: session.attachment,
          lastSequence: session.result?.sequence ?? 0,
          ttlMs: dumb.lease(sessionId)?.ttlMs,
          instances: dumb.membersOf(sessionId).length,
          lost: lost.map(([, { name, incarnation }]) => {
            return { name, cause: incarnation === 0 ? 'deregistered' : 'superseded', incarnation };
          }),
          moreLost: session.moreLost,
        },
  );
}

/** What the run must have met. */
function* sortsOf({ results, sessions }: ApplyOutcome): Iterable<string> {
  for (const result of results) {
    if (result.kind === 'refused') yield `${result.reason} ${result.field.replace(/\d/, 'n')}`;
    else yield result.kind;
    if (result.kind === 'batch-registered') for (const { status } of result.items) yield `item ${status}`;
    if (result.kind !== 'session-written') continue;
    for (const { status, reason } of result.outcomes) yield `operation ${status} ${reason}`.trimEnd();
  }
  for (const change of sessions) {
    if (change.kind === 'attached') yield 'session attached';
    else yield `session ${change.kind} ${change.kind === 'lost' ? change.lost.cause : change.end}`;
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
            expect(driver.applyData(new Uint8Array(0))).toEqual({ results: [], events: [], leases: [], sessions: [] });
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
          expect(outcome.sessions).toEqual(dumb.sessionChanges);
          for (const sort of sortsOf(outcome)) seen.add(sort);
          if (dumb.sessions.some(({ moreLost }) => moreLost)) seen.add('more lost');
          if (dumb.floor > 0 && dumb.revision - dumb.floor < bounds.historyRevisionsMax) seen.add('history by bytes');
          if ((dumb.history[0]?.index ?? 0) > 0) seen.add('history with part of a revision');
          expect(state.position).toMatchObject({ revision: dumb.revision, replicatedTimeMs: dumb.replicatedTimeMs });
          expect(state.stateHash()).toBe(stateHashOf(dumb));
          expect(state.historyFloor).toBe(dumb.floor);
          if (entry.freeze && held === undefined) {
            held = { frozen: state.freeze(), expected: recordsOf(dumb) };
            expect(held.frozen.stateHash).toBe(stateHashOf(dumb));
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
        expectReads(loaded.state, dumb);
        expect(loaded.state.historyFloor).toBe(state.historyFloor);
        expectChanges(loaded.state, dumb, from, dumb.revision);
        expectChanges(loaded.state, dumb, state.historyFloor, from);
      }),
      { numRuns: 200, seed: 20_261_121 },
    );
    // The run is void unless it met every kind of result.
    expect([...seen].toSorted()).toEqual([
      'ALREADY_REGISTERED if_absent',
      'ALREADY_REGISTERED items[n].if_absent',
      'INVALID_FIELD write.sequence',
      'OVERLOADED request_id',
      'REQUEST_ID_REUSED request_id',
      'REQUEST_ID_REUSED write.sequence',
      'SESSION_TAKEN open.session_id',
      'SUPERSEDED if_incarnation',
      'SUPERSEDED incarnation',
      'SUPERSEDED items[n].if_incarnation',
      'SUPERSEDED write.sequence',
      'UNKNOWN_INSTANCE if_incarnation',
      'UNKNOWN_INSTANCE instance.id',
      'UNKNOWN_INSTANCE items[n].if_incarnation',
      'UNKNOWN_LEASE epoch',
      'UNKNOWN_LEASE lease_id',
      'UNKNOWN_LEASE term',
      'UNKNOWN_SESSION open.session_id',
      'batch-registered',
      'deregistered',
      'history by bytes',
      'item kept',
      'item registered',
      'item replaced',
      'lease-ended',
      'lease-granted',
      'more lost',
      'operation absent',
      'operation deregistered',
      'operation refused SUPERSEDED',
      'operation refused UNKNOWN_INSTANCE',
      'operation registered',
      'operation replaced',
      'operation unchanged',
      'operation updated',
      'registered',
      'session attached',
      'session ended closed',
      'session ended expired',
      'session ended revoked',
      'session lost deregistered',
      'session lost superseded',
      'session-opened',
      'session-written',
      'updated',
    ]);
  }, 60_000);

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
