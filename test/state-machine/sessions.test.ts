import { describe, expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import type { RegistryState } from '../../src/state-machine/registry-state.ts';
import type {
  CommandBody,
  CommandResult,
  RefusalReason,
  SessionChange,
  SessionOperation,
  SessionOutcome,
} from '../../src/state-machine/types.ts';
import { metaOf } from '../../src/state-machine/view-codec.ts';
import { Driver, nameOf, register, reload, specBytes, start, write } from './driver.ts';

const open: CommandBody = { kind: 'open-session', ttlMs: 9_000 };
const attach = (sessionId: number, attachment: number): CommandBody => {
  return { kind: 'attach-session', sessionId, attachment };
};
const close = (sessionId: number, attachment: number = 1): CommandBody => {
  return { kind: 'close-session', sessionId, attachment };
};
const restore = (id: string, ownIncarnation: number, spec: string = `spec of ${id}`): SessionOperation => {
  return { kind: 'register', name: nameOf(id), spec: specBytes(spec), restore: true, ownIncarnation };
};
const update = (id: string, spec: string, incarnation: number = 0): SessionOperation => {
  return { kind: 'update', name: nameOf(id), spec: specBytes(spec), incarnation };
};
const remove = (id: string, incarnation: number = 0, reason: string = ''): SessionOperation => {
  return { kind: 'deregister', name: nameOf(id), incarnation, reason };
};
const deregister = (id: string): CommandBody => ({ kind: 'deregister', name: nameOf(id), incarnation: 0 });

function outcomesOf(result: CommandResult): readonly SessionOutcome[] {
  expect(result.kind).toBe('session-written');
  return result.kind === 'session-written' ? result.outcomes : [];
}

function leaseOf(state: RegistryState, id: string): number {
  return metaOf(must(state.view('default', 'web', id), id)).leaseId;
}

function expectRefused(driver: Driver, body: CommandBody, reason: RefusalReason, field: string): void {
  const { revision } = driver.state.position;
  const hash = driver.state.stateHash();
  const { result, ...changes } = driver.apply(body);
  expect(result).toMatchObject({ kind: 'refused', reason, field, revision });
  expect(changes).toMatchObject({ events: [], leases: [], sessions: [] });
  expect(driver.state.stateHash()).toBe(hash);
}

/** Sessions 1, 2, ... without instances. */
function withSessions(count: number, driver: Driver = new Driver()): Driver {
  for (let i = 0; i < count; i += 1) driver.apply(open);
  return driver;
}

describe('a session', () => {
  it('is opened with a lease of its own, and found again by its request id', () => {
    const driver = new Driver();
    const first = driver.apply(open, { requestId: 'r' });
    expect(first.result).toEqual({
      kind: 'session-opened',
      revision: 0,
      sessionId: 1,
      ttlMs: 9_000,
      attachment: 1,
      lastSequence: 0,
    });
    expect(first.leases).toEqual([{ kind: 'live', leaseId: 1, epoch: 1, ttlMs: 9_000 }]);
    expect(first.sessions).toEqual([]);
    expect(driver.apply(open, { requestId: 'r' }).result).toEqual(first.result);
    expect(driver.state.counts()).toEqual({ services: 0, instances: 0, leases: 1, sessions: 1 });
    const info = {
      sessionId: 1,
      attachment: 1,
      lastSequence: 0,
      ttlMs: 9_000,
      instances: 0,
      lost: [],
      moreLost: false,
    };
    expect(driver.state.session(1)).toEqual(info);
    expect(driver.state.session(2)).toBeUndefined();
  });

  it('writes at one revision, a refused operation holding up none of the others', () => {
    const driver = withSessions(1);
    for (const id of ['others', 'theirs']) driver.apply(register(nameOf(id)));
    const { result, events, leases } = driver.apply(
      write(1, 1, [
        start('a'),
        update('theirs', 'x'),
        update('none', 'x'),
        start('b'),
        remove('nothing'),
        remove('others'),
      ]),
    );
    expect(result).toEqual({
      kind: 'session-written',
      revision: 3,
      sequence: 1,
      outcomes: [
        { status: 'registered', incarnation: 3, reason: '' },
        { status: 'refused', incarnation: 2, reason: 'SUPERSEDED' },
        { status: 'refused', incarnation: 0, reason: 'UNKNOWN_INSTANCE' },
        { status: 'registered', incarnation: 3, reason: '' },
        { status: 'absent', incarnation: 0, reason: '' },
        { status: 'refused', incarnation: 1, reason: 'SUPERSEDED' },
      ],
    });
    expect(events.map((event) => [event.revision, event.name.id])).toEqual([
      [3, 'a'],
      [3, 'b'],
    ]);
    // A write is no sign of life.
    expect(leases).toEqual([]);
    expect(driver.state.lease(1)).toMatchObject({ epoch: 1, instances: 2 });
    expect(leaseOf(driver.state, 'a')).toBe(1);
  });

  it('updates and removes what it holds; what changes nothing opens no revision', () => {
    const driver = withSessions(1);
    driver.apply(write(1, 1, [start('a'), start('b')]));
    const changed = driver.apply(write(1, 2, [update('a', 'new'), remove('b', 1, 'scaled down')]));
    expect(outcomesOf(changed.result)).toEqual([
      { status: 'updated', incarnation: 1, reason: '' },
      { status: 'deregistered', incarnation: 0, reason: '' },
    ]);
    expect(changed.events[1]).toMatchObject({ cause: 'deregistered', reason: 'scaled down', revision: 2 });
    expect(changed.sessions).toEqual([]);
    const same = driver.apply(write(1, 3, [update('a', 'new', 1), remove('b')]));
    expect(same.result).toMatchObject({ revision: 2, sequence: 3 });
    expect(outcomesOf(same.result).map(({ status }) => status)).toEqual(['unchanged', 'absent']);
    expect(same.events).toEqual([]);
    expect(driver.state.session(1)).toMatchObject({ lastSequence: 3, instances: 1, lost: [] });
    const wrong = driver.apply(write(1, 4, [update('a', 'x', 2), start('c')]));
    expect(outcomesOf(wrong.result)[0]).toEqual({ status: 'refused', incarnation: 1, reason: 'SUPERSEDED' });
  });

  it('starts its own instance anew, and restores an equal one to no effect', () => {
    const driver = withSessions(1);
    driver.apply(write(1, 1, [start('a')]));
    const again = driver.apply(write(1, 2, [start('a')]));
    expect(outcomesOf(again.result)).toEqual([{ status: 'replaced', incarnation: 2, reason: '' }]);
    expect(again.sessions).toEqual([]);
    const equal = driver.apply(write(1, 3, [restore('a', 0)]));
    expect(outcomesOf(equal.result)).toEqual([{ status: 'unchanged', incarnation: 2, reason: '' }]);
    expect(equal.events).toEqual([]);
    const other = driver.apply(write(1, 4, [restore('a', 2, 'other')]));
    expect(outcomesOf(other.result)).toEqual([{ status: 'replaced', incarnation: 4 - 1, reason: '' }]);
  });

  it('answers its last write again with the first result, and does nothing twice', () => {
    const driver = withSessions(1);
    const first = driver.apply(write(1, 1, [start('a'), start('b')]));
    driver.apply(register(nameOf('a')));
    driver.apply(deregister('b'));
    const hash = driver.state.stateHash();
    const repeat = driver.apply(write(1, 1, [start('a'), start('b')]));
    expect(repeat.result).toEqual(first.result);
    expect(repeat).toMatchObject({ events: [], leases: [], sessions: [] });
    expect(driver.state.stateHash()).toBe(hash);
  });

  it('refuses its last sequence with another number of operations, and changes nothing', () => {
    const driver = withSessions(1);
    const first = driver.apply(write(1, 1, [start('a'), start('b')]));
    const hash = driver.state.stateHash();
    expectRefused(driver, write(1, 1, [start('a')]), 'REQUEST_ID_REUSED', 'write.sequence');
    expectRefused(driver, write(1, 1, [start('a'), start('b'), start('c')]), 'REQUEST_ID_REUSED', 'write.sequence');
    expect(driver.state.stateHash()).toBe(hash);
    expect(driver.apply(write(1, 1, [start('a'), start('b')])).result).toEqual(first.result);
  });

  it('refuses a lower sequence and one with a gap before it', () => {
    const driver = withSessions(1);
    expectRefused(driver, write(1, 2, [start('a')]), 'INVALID_FIELD', 'write.sequence');
    for (const sequence of [1, 2]) driver.apply(write(1, sequence, [start('a')]));
    expectRefused(driver, write(1, 1, [start('a')]), 'SUPERSEDED', 'write.sequence');
    expectRefused(driver, write(1, 4, [start('a')]), 'INVALID_FIELD', 'write.sequence');
    expect(driver.apply(write(1, 3, [start('a')])).result.kind).toBe('session-written');
  });

  it('that never was or has ended is unknown to every command', () => {
    const driver = withSessions(1);
    driver.apply({ kind: 'grant-lease', ttlMs: 1_000 });
    driver.apply(close(1));
    for (const sessionId of [1, 2, 3]) {
      for (const body of [write(sessionId, 1, [start('a')]), attach(sessionId, 2), close(sessionId)]) {
        expectRefused(driver, body, 'UNKNOWN_SESSION', 'open.session_id');
      }
    }
    // The id is never used again.
    expect(driver.apply(open).result).toMatchObject({ sessionId: 3 });
  });
});

describe('the streams of a session', () => {
  it('follow each other: a higher one takes over, its deadline starts, and the one before is over', () => {
    const driver = withSessions(1);
    driver.apply(write(1, 1, [start('a')]));
    const { result, leases, sessions, events } = driver.apply(attach(1, 3));
    expect(result).toMatchObject({ kind: 'session-opened', attachment: 3, lastSequence: 1, ttlMs: 9_000 });
    expect(leases).toEqual([{ kind: 'live', leaseId: 1, epoch: 2, ttlMs: 9_000 }]);
    expect(sessions).toEqual([{ kind: 'attached', sessionId: 1, attachment: 3 }]);
    expect(events).toEqual([]);
    expectRefused(driver, write(1, 2, [start('a')], 1), 'SESSION_TAKEN', 'open.session_id');
    expectRefused(driver, close(1, 1), 'SESSION_TAKEN', 'open.session_id');
    expectRefused(driver, attach(1, 2), 'SESSION_TAKEN', 'open.session_id');
    // An expiry that was decided before the stream came is void.
    expectRefused(driver, { kind: 'expire-lease', leaseId: 1, epoch: 1, term: 1 }, 'UNKNOWN_LEASE', 'epoch');
    const repeat = driver.apply(attach(1, 3));
    expect(repeat.result).toEqual(result);
    expect(repeat).toMatchObject({ leases: [], sessions: [] });
  });

  it('keep a late update of an earlier one out, though it comes by another member', () => {
    const driver = withSessions(1);
    driver.apply(write(1, 1, [start('a')]));
    const late = write(1, 2, [update('a', 'late')], 1);
    driver.apply(attach(1, 2));
    driver.apply(write(1, 2, [update('a', 'new')], 2));
    expectRefused(driver, late, 'SESSION_TAKEN', 'open.session_id');
    // Also by the incarnation that it knows, as a plain update would be by its own.
    expect(driver.state.view('default', 'web', 'a')).toBeDefined();
    expect(outcomesOf(driver.apply(write(1, 3, [update('a', 'new')], 2)).result)[0]?.status).toBe('unchanged');
  });
});

describe('the end of a session', () => {
  it('by its owner deregisters what it holds', () => {
    const driver = withSessions(1);
    driver.apply(write(1, 1, [start('a'), start('b')]));
    const { result, events, leases, sessions } = driver.apply(close(1), { reason: 'done' });
    expect(result).toEqual({ kind: 'lease-ended', revision: 2, existed: true, instances: 2, remaining: 0 });
    for (const event of events) expect(event).toMatchObject({ cause: 'deregistered', reason: 'done', revision: 2 });
    expect(events).toHaveLength(2);
    expect(leases).toEqual([{ kind: 'ended', leaseId: 1, remaining: 0 }]);
    expect(sessions).toEqual([{ kind: 'ended', sessionId: 1, end: 'closed' }]);
    expect(driver.state.counts()).toEqual({ services: 0, instances: 0, leases: 0, sessions: 0 });
  });

  it('with more instances than a revision may remove leaves the rest to be reaped, fenced at once', () => {
    const driver = withSessions(1, new Driver({ eventsPerRevisionMax: 2 }));
    for (const [i, id] of ['a', 'b', 'c', 'd', 'e'].entries()) driver.apply(write(1, i + 1, [start(id)]));
    expect(driver.apply(close(1), { reason: 'done' }).result).toMatchObject({ instances: 5, remaining: 3 });
    expect(driver.state.session(1)).toBeUndefined();
    expect(driver.state.counts().sessions).toBe(0);
    expectRefused(driver, write(1, 6, [start('f')]), 'UNKNOWN_SESSION', 'open.session_id');
    const { state } = reload(driver.flush(), driver.state.position, driver.bounds);
    expect([...state.endedLeases()]).toMatchObject([{ leaseId: 1, instances: 3 }]);
    const reaped = driver.apply({ kind: 'reap-lease', leaseId: 1 });
    expect(reaped.events).toMatchObject([
      { name: { id: 'c' }, cause: 'deregistered', reason: 'done' },
      { name: { id: 'd' }, cause: 'deregistered', reason: 'done' },
    ]);
    expect(state.apply(must(driver.entries.at(-1), 'entry')).events).toEqual(reaped.events);
  });

  it('comes with its lease: expired or revoked', () => {
    const ends = [
      [{ kind: 'expire-lease', leaseId: 1, epoch: 1, term: 1 }, 'expired', 'lease-expired'],
      [{ kind: 'revoke-lease', leaseId: 1 }, 'revoked', 'lease-revoked'],
    ] as const;
    for (const [body, end, cause] of ends) {
      const driver = withSessions(1);
      driver.apply(write(1, 1, [start('a'), start('b')]));
      driver.apply(register(nameOf('b')));
      const { events, sessions } = driver.apply(body);
      expect(events).toMatchObject([{ name: { id: 'a' }, cause }]);
      expect(sessions).toEqual([{ kind: 'ended', sessionId: 1, end }]);
      expect([...driver.flush().keys()].filter((key) => /^[bgh]/.test(key))).toEqual([]);
    }
  });

  it('does not come with its last instance', () => {
    const driver = withSessions(1);
    driver.apply(write(1, 1, [start('a')]));
    driver.apply(write(1, 2, [remove('a')]));
    expect(driver.state.session(1)).toMatchObject({ instances: 0 });
  });
});

describe('two processes that fight for one id', () => {
  it('take it over by explicit starts; the loser is told, and changes nothing of the winner', () => {
    const driver = withSessions(2);
    driver.apply(write(1, 1, [start('a', 'of 1')]));
    const taken = driver.apply(write(2, 1, [start('a', 'of 2')]));
    expect(outcomesOf(taken.result)).toEqual([{ status: 'replaced', incarnation: 2, reason: '' }]);
    const lost = { name: nameOf('a'), cause: 'superseded', incarnation: 2 } as const;
    expect(taken.sessions).toEqual([{ kind: 'lost', sessionId: 1, lost }] satisfies SessionChange[]);
    expect(driver.state.session(1)).toMatchObject({ instances: 0, lost: [lost] });
    const superseded = { status: 'refused', incarnation: 2, reason: 'SUPERSEDED' };
    for (const [i, operation] of [update('a', 'x'), update('a', 'x', 1), remove('a'), restore('a', 1)].entries()) {
      const { result, events } = driver.apply(write(1, i + 2, [operation]));
      expect(outcomesOf(result)).toEqual([superseded]);
      expect(events).toEqual([]);
    }
    expect(leaseOf(driver.state, 'a')).toBe(2);
  });

  it('does not flip back by itself: what was superseded is never restored, not even over nothing', () => {
    const driver = withSessions(2);
    driver.apply(write(1, 1, [start('a')]));
    driver.apply(write(2, 1, [start('a')]));
    driver.apply(close(2));
    expect(driver.state.view('default', 'web', 'a')).toBeUndefined();
    const restored = driver.apply(write(1, 2, [restore('a', 1), restore('b', 0)]));
    expect(outcomesOf(restored.result)).toEqual([
      { status: 'refused', incarnation: 0, reason: 'SUPERSEDED' },
      { status: 'registered', incarnation: 4, reason: '' },
    ]);
    // Only its user starts it again, and from then on it is the session's as before.
    expect(outcomesOf(driver.apply(write(1, 3, [start('a')])).result)[0]?.status).toBe('registered');
    expect(driver.state.session(1)?.lost).toEqual([]);
    expect(outcomesOf(driver.apply(write(1, 4, [restore('a', 0)])).result)[0]?.status).toBe('unchanged');
  });

  it('lets a process restore after its session before this one, but not over another', () => {
    const driver = withSessions(2, new Driver({ eventsPerRevisionMax: 1 }));
    driver.apply(write(1, 1, [start('a')]));
    driver.apply(write(1, 2, [start('b')]));
    driver.apply(write(1, 3, [start('c')]));
    driver.apply({ kind: 'expire-lease', leaseId: 1, epoch: 1, term: 1 });
    // `a` is gone, `c` waits to be reaped, and `b` has been started by somebody else.
    driver.apply(register(nameOf('b')));
    const results = [restore('a', 1), restore('b', 2), restore('c', 3)].map((operation, i) => {
      return must(outcomesOf(driver.apply(write(2, i + 1, [operation])).result)[0], 'outcome');
    });
    expect(results.map(({ status }) => status)).toEqual(['registered', 'refused', 'replaced']);
    expect(results[1]).toMatchObject({ reason: 'SUPERSEDED', incarnation: 5 });
    expect(driver.state.lease(1)).toBeUndefined();
    expect(driver.state.session(2)).toMatchObject({ instances: 2 });
  });

  it('takes nothing over by a restore without an incarnation of its own', () => {
    const driver = withSessions(1);
    driver.apply(register(nameOf('a')));
    const { result } = driver.apply(write(1, 1, [restore('a', 0)]));
    expect(outcomesOf(result)).toEqual([{ status: 'refused', incarnation: 1, reason: 'SUPERSEDED' }]);
  });
});

describe('instances lost', () => {
  it('to a register or a batch of others are told with what took over, those deregistered without', () => {
    const driver = withSessions(1);
    driver.apply(
      write(
        1,
        1,
        ['a', 'b', 'c', 'd'].map((id) => start(id)),
      ),
    );
    const changes = [
      driver.apply(register(nameOf('a'))),
      driver.apply(register(nameOf('b'), { lifetime: { kind: 'ttl', ttlMs: 1_000 } })),
      driver.apply(batch(['c'])),
      driver.apply(deregister('d')),
    ].flatMap(({ sessions }) => sessions);
    const lost = [
      { name: nameOf('a'), cause: 'superseded', incarnation: 2 },
      { name: nameOf('b'), cause: 'superseded', incarnation: 3 },
      { name: nameOf('c'), cause: 'superseded', incarnation: 4 },
      { name: nameOf('d'), cause: 'deregistered', incarnation: 0 },
    ];
    expect(changes).toEqual(lost.map((one) => ({ kind: 'lost', sessionId: 1, lost: one })));
    expect(driver.state.session(1)?.lost).toEqual(lost);
    expect([...driver.flush().keys()].filter((key) => key.startsWith('h/'))).toHaveLength(4);
    const { state } = reload(driver.flush(), driver.state.position);
    expect(state.session(1)).toEqual(driver.state.session(1));
  });

  it('are no more than its updates: what an operator changes stays the session’s', () => {
    const driver = withSessions(1);
    driver.apply(write(1, 1, [start('a')]));
    const { sessions } = driver.apply({ kind: 'update', name: nameOf('a'), spec: specBytes('x'), incarnation: 1 });
    expect(sessions).toEqual([]);
    expect(driver.state.session(1)).toMatchObject({ instances: 1, lost: [] });
  });

  it('are remembered up to the bound; beyond it nothing is restored over nothing', () => {
    const driver = withSessions(1, new Driver({ lostPerSessionMax: 2 }));
    driver.apply(write(1, 1, [start('a'), start('b'), start('c')]));
    driver.apply(deregister('a'));
    driver.apply(deregister('c'));
    expect(driver.state.session(1)).toMatchObject({ moreLost: false, lost: [{}, {}] });
    const beyond = driver.apply(deregister('b'));
    expect(beyond.sessions).toMatchObject([{ kind: 'lost', lost: { name: nameOf('b') } }]);
    expect(driver.state.session(1)).toMatchObject({
      moreLost: true,
      lost: [{ name: { id: 'a' } }, { name: { id: 'c' } }],
    });
    const outcomes = outcomesOf(driver.apply(write(1, 2, [restore('b', 1), restore('never', 0), start('new')])).result);
    expect(outcomes.map(({ status }) => status)).toEqual(['refused', 'refused', 'registered']);
    const { state } = reload(driver.flush(), driver.state.position, driver.bounds);
    expect(state.session(1)).toEqual(driver.state.session(1));
  });
});

function batch(ids: readonly string[]): CommandBody {
  const items = ids.map((id) => {
    return { name: nameOf(id), spec: specBytes(`spec of ${id}`), ifAbsent: false, ifIncarnation: 0, keepEqual: false };
  });
  return { kind: 'batch-register', lifetime: { kind: 'persistent' }, items };
}

describe('the lease of a session', () => {
  it('takes only what comes through the session', () => {
    const driver = withSessions(1);
    const lifetime = { kind: 'lease', leaseId: 1 } as const;
    expectRefused(driver, register(nameOf('a'), { lifetime }), 'UNKNOWN_LEASE', 'lease_id');
    const items = [{ name: nameOf('a'), spec: specBytes(''), ifAbsent: false, ifIncarnation: 0, keepEqual: false }];
    expectRefused(driver, { kind: 'batch-register', lifetime, items }, 'UNKNOWN_LEASE', 'lease_id');
  });
});
