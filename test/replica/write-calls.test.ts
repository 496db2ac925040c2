import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { RollcallError } from '../../src/base/errors.ts';
import type { ForwardAnswer, ForwardRequest } from '../../src/replica/forward-codec.ts';
import { stopping } from '../../src/replica/refusals.ts';
import { type CallOutcome, toExecuteOutcome, WriteCalls, writeBounds } from '../../src/replica/write-calls.ts';
import { decodeBatch, encodeCommand } from '../../src/state-machine/command-codec.ts';
import type { CommandResult } from '../../src/state-machine/types.ts';

const timeoutTicks = 10;
const result: CommandResult = { kind: 'lease-granted', revision: 1, leaseId: 1, ttlMs: 1_000 };

function command(ttlMs: number): Uint8Array {
  return encodeCommand({
    actor: 'x',
    origin: 'y',
    reason: '',
    requestId: '',
    body: { kind: 'grant-lease', ttlMs },
  });
}

describe('WriteCalls', () => {
  let clock: ManualClock;
  let proposals: { id: number; data: Uint8Array }[];
  let asks: { to: string; request: ForwardRequest; onAnswer: (answer: ForwardAnswer | undefined) => void }[];
  let connected: boolean;
  let outcomes: string[];
  let calls: WriteCalls;

  beforeEach(() => {
    clock = new ManualClock();
    proposals = [];
    asks = [];
    connected = true;
    outcomes = [];
    calls = new WriteCalls({
      clock,
      memberId: 'a',
      timeoutTicks,
      propose: (id, data) => proposals.push({ id, data }),
      ask: (to, request, onAnswer) => {
        if (connected) asks.push({ to, request, onAnswer });
        return connected;
      },
    });
  });

  const record =
    (name: string) =>
    (outcome: CallOutcome): void => {
      outcomes.push(`${name}: ${outcome.ok ? outcome.result.kind : outcome.error.reason}`);
    };

  function proposeOne(name: string): number {
    calls.leaderChanged('a');
    calls.add(command(1_000), 'client', record(name));
    calls.dispatch();
    return proposals.at(-1)?.id ?? -1;
  }

  it('gathers what waits into one entry and answers each call with its own result', () => {
    calls.leaderChanged('a');
    calls.add(command(1_000), 'client', record('one'));
    calls.add(command(2_000), 'client', record('two'));
    calls.dispatch();
    expect(proposals).toHaveLength(1);
    calls.proposed({ id: proposals[0]?.id ?? 0, result: { accepted: true, index: 5, term: 2 } });
    const refused: CommandResult = { kind: 'refused', revision: 1, reason: 'UNKNOWN_LEASE', message: '', field: '' };
    calls.applied(5, 2, [result, refused]);
    expect(outcomes).toEqual(['one: lease-granted', 'two: refused']);
    expect(calls.open).toBe(0);
  });

  it('proposes nothing that nobody waits for any more', () => {
    calls.leaderChanged('a');
    calls.add(command(1_000), 'client', record('late'), clock.monotonicMs() + 100);
    calls.add(command(1_000), 'client', record('in time'), clock.monotonicMs() + 101);
    clock.advance(100);
    calls.dispatch();
    expect(outcomes).toEqual(['late: NOT_PROPOSED']);
    expect(proposals.map(({ data }) => decodeBatch(data).commands.length)).toEqual([1]);
  });

  it('hands on how long the caller still waits, and ends what the leader found too late', () => {
    calls.leaderChanged('b');
    calls.add(command(1_000), 'client', record('a'), clock.monotonicMs() + 100);
    calls.add(command(1_000), 'client', record('b'));
    clock.advance(40);
    calls.dispatch();
    const request = asks[0]?.request;
    if (request?.kind !== 'execute') throw new Error('nothing was handed on');
    expect(request.commands.map(({ remainingMs }) => remainingMs)).toEqual([60, Number.POSITIVE_INFINITY]);
    clock.advance(60);
    const late = { ok: false, error: new RollcallError('NOT_PROPOSED', 'too late', { retryAfterMs: 50 }) } as const;
    asks[0]?.onAnswer({ kind: 'executed', outcomes: [late, late] });
    calls.tick(1);
    // The other goes on: nobody said when its caller leaves.
    expect(outcomes).toEqual(['a: NOT_PROPOSED']);
    expect(asks).toHaveLength(2);
  });

  it('cuts entries at the bound on commands', () => {
    calls.leaderChanged('a');
    for (let i = 0; i <= writeBounds.batchCommandsMax; i++) calls.add(command(1_000), 'client', record('call'));
    calls.dispatch();
    expect(proposals.map(({ data }) => decodeBatch(data).commands.length)).toEqual([writeBounds.batchCommandsMax, 1]);
  });

  it('holds back what comes while as many entries as allowed are under way', () => {
    calls.leaderChanged('a');
    for (let i = 0; i < writeBounds.proposalsInFlightMax; i++) {
      calls.add(command(1_000), 'client', record('first'));
      calls.dispatch();
    }
    calls.add(command(1_000), 'client', record('late'));
    calls.dispatch();
    expect(proposals).toHaveLength(writeBounds.proposalsInFlightMax);
    calls.proposed({ id: proposals[0]?.id ?? 0, result: { accepted: true, index: 1, term: 1 } });
    calls.applied(1, 1, [result]);
    calls.dispatch();
    expect(proposals).toHaveLength(writeBounds.proposalsInFlightMax + 1);
  });

  it('stamps batches with the time since the last one, and the first of a leader with none', () => {
    clock.advance(1_000);
    proposeOne('one');
    clock.advance(70);
    calls.add(command(1_000), 'client', record('two'));
    calls.dispatch();
    calls.leaderChanged('b');
    calls.leaderChanged('a');
    clock.advance(500);
    calls.add(command(1_000), 'client', record('three'));
    calls.dispatch();
    expect(proposals.map(({ data }) => decodeBatch(data).elapsedMs)).toEqual([0, 70, 0]);
  });

  it('hands calls to the leader and decodes its answers', () => {
    calls.leaderChanged('b');
    calls.add(command(1_000), 'client', record('one'));
    calls.dispatch();
    expect(asks).toMatchObject([{ to: 'b', request: { kind: 'execute' } }]);
    asks[0]?.onAnswer({ kind: 'executed', outcomes: [toExecuteOutcome({ ok: true, result })] });
    expect(outcomes).toEqual(['one: lease-granted']);
  });

  it('says OUTCOME_UNKNOWN where the answer of the leader is lost', () => {
    calls.leaderChanged('b');
    calls.add(command(1_000), 'client', record('one'));
    calls.dispatch();
    asks[0]?.onAnswer(undefined);
    expect(outcomes).toEqual(['one: OUTCOME_UNKNOWN']);
  });

  it('waits for another leader where the one asked did not take the call', () => {
    calls.leaderChanged('b');
    calls.add(command(1_000), 'client', record('one'));
    calls.dispatch();
    asks[0]?.onAnswer({ kind: 'executed', outcomes: [notProposed()] });
    calls.dispatch();
    expect(asks).toHaveLength(1);
    expect(outcomes).toEqual([]);
    calls.leaderChanged('c');
    calls.dispatch();
    expect(asks[1]?.to).toBe('c');
  });

  it('says NO_LEADER at the deadline where nothing was proposed', () => {
    calls.add(command(1_000), 'client', record('one'));
    calls.dispatch();
    calls.tick(timeoutTicks - 1);
    expect(outcomes).toEqual([]);
    calls.tick(timeoutTicks);
    expect(outcomes).toEqual(['one: NO_LEADER']);
  });

  it('says OUTCOME_UNKNOWN at the deadline where it may be in the log', () => {
    const id = proposeOne('one');
    calls.proposed({ id, result: { accepted: true, index: 5, term: 2 } });
    calls.tick(timeoutTicks);
    expect(outcomes).toEqual(['one: OUTCOME_UNKNOWN']);
    calls.applied(5, 2, [result]);
    expect(outcomes).toHaveLength(1);
  });

  it('proposes again what another leader has overwritten: it can never be applied any more', () => {
    const id = proposeOne('one');
    calls.proposed({ id, result: { accepted: true, index: 5, term: 2 } });
    calls.applied(5, 3, [result]);
    expect(outcomes).toEqual([]);
    calls.tick(1);
    expect(proposals).toHaveLength(2);
  });

  it('has room for new proposals although old ones of an earlier time of leading are never applied', () => {
    calls.leaderChanged('a');
    for (let i = 0; i < writeBounds.proposalsInFlightMax; i++) {
      calls.add(command(1_000), 'client', record('old'));
      calls.dispatch();
      calls.proposed({ id: proposals.at(-1)?.id ?? 0, result: { accepted: true, index: 100 + i, term: 1 } });
    }
    calls.leaderChanged('b');
    calls.leaderChanged('a');
    calls.add(command(1_000), 'client', record('new'));
    calls.dispatch();
    expect(proposals).toHaveLength(writeBounds.proposalsInFlightMax + 1);
    calls.proposed({ id: proposals.at(-1)?.id ?? 0, result: { accepted: true, index: 100, term: 3 } });
    calls.applied(100, 3, [result]);
    expect(outcomes).toEqual(['new: lease-granted']);
  });

  it('never hands on what a peer handed to it', () => {
    calls.leaderChanged('b');
    calls.add(command(1_000), 'peer', record('one'));
    calls.dispatch();
    expect(asks).toEqual([]);
    expect(outcomes).toEqual(['one: NOT_PROPOSED']);
  });

  it('keeps a call while the leader is not connected', () => {
    connected = false;
    calls.leaderChanged('b');
    calls.add(command(1_000), 'client', record('one'));
    calls.dispatch();
    connected = true;
    calls.tick(1);
    expect(asks).toHaveLength(1);
    expect(outcomes).toEqual([]);
  });

  it('refuses the call above its bound as OVERLOADED, and takes one again once there is room', () => {
    for (let i = 0; i < writeBounds.callsMax; i++) calls.add(command(1_000), 'client', () => undefined);
    calls.add(command(1_000), 'client', record('too many'));
    expect(outcomes).toEqual(['too many: OVERLOADED']);
    calls.tick(timeoutTicks);
    calls.add(command(1_000), 'client', record('again'));
    expect(calls.open).toBe(1);
  });

  it('says OUTCOME_UNKNOWN where a snapshot replaced what would have told', () => {
    const id = proposeOne('one');
    calls.proposed({ id, result: { accepted: true, index: 5, term: 2 } });
    calls.replaced(4);
    expect(outcomes).toEqual([]);
    calls.replaced(5);
    expect(outcomes).toEqual(['one: OUTCOME_UNKNOWN']);
  });

  it('tells a full log apart from a lost leadership', () => {
    const id = proposeOne('one');
    calls.proposed({ id, result: { accepted: false, reason: 'uncommitted-full' } });
    expect(outcomes).toEqual(['one: OVERLOADED']);
    const second = proposeOne('two');
    calls.leaderChanged('b');
    calls.proposed({ id: second, result: { accepted: false, reason: 'not-leader' } });
    calls.tick(1);
    expect(asks[0]?.to).toBe('b');
  });

  it('hands a call on again where the leader that it was handed to is stopping: it took nothing', () => {
    calls.leaderChanged('b');
    calls.add(command(1_000), 'client', record('one'));
    calls.dispatch();
    asks[0]?.onAnswer({ kind: 'executed', outcomes: [{ ok: false, error: stopping() }] });
    calls.tick(1);
    expect(asks).toHaveLength(2);
    expect(outcomes).toEqual([]);
  });

  it('says OUTCOME_UNKNOWN where the answer of the leader cannot be read', () => {
    calls.leaderChanged('b');
    calls.add(command(1_000), 'client', record('one'));
    calls.dispatch();
    asks[0]?.onAnswer({ kind: 'executed', outcomes: [{ ok: true, result: new Uint8Array([250, 1, 2]) }] });
    expect(outcomes).toEqual(['one: OUTCOME_UNKNOWN']);
  });

  it('counts the bytes of calls that are handed on as well, and gives them back with the outcome', () => {
    calls.leaderChanged('b');
    const large = new Uint8Array(writeBounds.callBytesMax);
    calls.add(large, 'client', record('large'));
    calls.dispatch();
    calls.add(new Uint8Array(1), 'client', record('above'));
    expect(outcomes).toEqual(['above: OVERLOADED']);
    asks[0]?.onAnswer(undefined);
    calls.add(new Uint8Array(1), 'client', record('after'));
    expect(outcomes).toEqual(['above: OVERLOADED', 'large: OUTCOME_UNKNOWN']);
  });

  it('keeps an own proposal open past the deadline of calls, until its entry or the leadership decides', () => {
    calls.leaderChanged('a');
    for (const name of ['applied', 'lost']) {
      calls.add(command(1_000), 'own', record(name));
      calls.dispatch();
    }
    proposals.forEach(({ id }, i) => calls.proposed({ id, result: { accepted: true, index: 5 + i, term: 2 } }));
    for (let tick = 1; tick <= 3 * timeoutTicks; tick++) calls.tick(tick);
    expect(outcomes).toEqual([]);
    calls.applied(5, 2, [result]);
    calls.leaderChanged('b');
    expect(outcomes).toEqual(['applied: lease-granted', 'lost: OUTCOME_UNKNOWN']);
  });

  it('ends every call when the member stops', () => {
    const id = proposeOne('proposed');
    calls.proposed({ id, result: { accepted: true, index: 5, term: 2 } });
    calls.leaderChanged('');
    calls.leaderChanged('a');
    proposeOne('handed to the core');
    calls.leaderChanged('');
    calls.add(command(1_000), 'client', record('waiting'));
    calls.endAll(stopping());
    expect(outcomes.toSorted()).toEqual([
      'handed to the core: OUTCOME_UNKNOWN',
      'proposed: OUTCOME_UNKNOWN',
      'waiting: NOT_SERVING',
    ]);
    expect(calls.open).toBe(0);
  });
});

function notProposed(): Extract<ForwardAnswer, { kind: 'executed' }>['outcomes'][number] {
  const fromPeer: { outcome: CallOutcome | undefined } = { outcome: undefined };
  const other = new WriteCalls({
    clock: new ManualClock(),
    memberId: 'b',
    timeoutTicks,
    propose: () => undefined,
    ask: () => false,
  });
  other.leaderChanged('c');
  other.add(command(1_000), 'peer', (outcome) => {
    fromPeer.outcome = outcome;
  });
  other.dispatch();
  if (fromPeer.outcome === undefined) throw new Error('no outcome');
  return toExecuteOutcome(fromPeer.outcome);
}
