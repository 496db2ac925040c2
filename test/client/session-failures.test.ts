import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deadAddress, statusOf, until } from './fake-member.ts';
import type { BookStream, Script } from './session-book.ts';
import { SessionHarness, web } from './session-harness.ts';

let h: SessionHarness;

beforeEach(() => {
  h = new SessionHarness();
});

afterEach(() => h.stop());

const key = { namespace: 'default', service: 'web', id: '1' };
const isWrite: (request: Parameters<Script>[0]) => boolean = ({ write }) => write !== undefined && write !== null;

/** The connection breaks, as for a member that is killed. */
function cut({ stream }: BookStream): void {
  stream.emit('error', statusOf({ reason: 'NOT_SERVING' }));
}

describe('a session whose stream breaks', { timeout: 60_000 }, () => {
  it('goes on over the next member, and nothing is lost or told as lost', async () => {
    const a = await h.member();
    const b = await h.member();
    const session = h.session([a, b]);
    const { incarnation } = await h.settled(session.register(web('1')), 'the registration');
    const { sessionId } = session;
    a.kill();
    await h.settled(session.register(web('2')), 'the next registration');
    expect([session.sessionId, session.incarnationOf(key), session.size]).toEqual([sessionId, incarnation, 2]);
    expect(h.book.opens.map((open) => [open.sessionId, open.ttlMs, open.attachment])).toEqual([
      [0, 3_000, 0],
      [sessionId, 0, 2],
    ]);
    expect(session.told).toMatchObject({ states: ['live'], lost: [], restored: [], ended: [] });
    expect(session.told.trouble.map(({ reason }) => reason)).toEqual(['BROKEN']);
  });

  it.each([
    ['was not applied', false],
    ['was applied and not answered', true],
  ])('has a write that %s applied once, with its first result', async (_, isApplied) => {
    const a = await h.member((request, at) => {
      if (!isWrite(request)) return false;
      if (isApplied) at.carryOut(request);
      cut(at);
      return true;
    });
    const b = await h.member();
    const session = h.session([a, b]);
    const answer = await h.settled(session.register(web('1')), 'the registration');
    expect(h.book.instances.get('default/web/1')).toMatchObject({ incarnation: answer.incarnation });
    expect(h.book.revision).toBe(answer.incarnation);
    expect(answer.replaced).toBe(false);
    expect(h.book.writes.map(({ sequence }) => sequence)).toEqual([1, 1]);
    await h.settled(session.register(web('2')), 'the next registration');
    expect(h.book.writes.at(-1)?.sequence).toBe(2);
  });

  it('is found again where the answer to its opening was lost', async () => {
    let lost = 0;
    const a = await h.member((request, at) => {
      if (request.open === undefined || request.open === null || lost++ > 0) return false;
      at.carryOut(request);
      cut(at);
      return true;
    });
    const session = h.session([a]);
    const startMs = h.clock.monotonicMs();
    await h.until(() => session.state === 'live', 'the session');
    const [first, second] = h.book.opens;
    expect(second).toEqual(first);
    expect(h.book.sessions.size).toBe(1);
    // It lives from the first try on.
    expect(session.remainingMs).toBeLessThanOrEqual(startMs + 3_000 - h.clock.monotonicMs());
  });

  it('asks for a new one where members have forgotten the request by which they would find it', async () => {
    const a = await h.member((request, at) => {
      if (h.clock.monotonicMs() > 46_000) return false;
      cut(at);
      return request.open !== undefined;
    });
    const session = h.session([a]);
    await h.until(() => session.state === 'live', 'the session', 100);
    const ids = h.book.opens.map(({ requestId }) => requestId);
    expect(new Set(ids).size).toBe(2);
    expect(ids.at(-1)).not.toBe(ids[0]);
  });

  it('leaves a member that says nothing for a third of the time to live', async () => {
    let silent = false;
    const a = await h.member(() => silent);
    const b = await h.member();
    const session = h.session([a, b]);
    await h.settled(session.register(web('1')), 'the registration');
    silent = true;
    const pings = h.book.pings;
    await h.until(() => h.book.pings > pings, 'an unanswered ping');
    const sinceMs = h.clock.monotonicMs();
    await h.until(() => b.streams === 1, 'the other member is asked');
    expect(h.clock.monotonicMs() - sinceMs).toBeGreaterThan(900);
    expect(h.clock.monotonicMs() - sinceMs).toBeLessThan(1_500);
    await h.until(() => (session.remainingMs ?? 0) > 2_000, 'the session goes on');
    expect(session.told).toMatchObject({ states: ['live'], lost: [], restored: [] });
    expect(session.told.trouble[0]?.message).toMatch(/fell silent/);
  });

  it('leaves a member that does not answer the opening', async () => {
    const a = await h.member(() => true);
    const b = await h.member();
    const session = h.session([a, b], { ttlMs: 30_000 });
    await h.until(() => session.state === 'live', 'the session', 20);
    expect(session.told.trouble[0]?.message).toMatch(/did not answer within 30\d\d ms/);
    expect(h.clock.monotonicMs()).toBeLessThan(4_000);
  });

  it('gives members that have much to do longer each time', async () => {
    const times: number[] = [];
    const deaf: Script = () => {
      times.push(h.clock.monotonicMs());
      return true;
    };
    h.session([await h.member(deaf), await h.member(deaf)]);
    await h.until(() => times.length === 5, 'five openings', 20);
    const waits = times.slice(1).map((ms, i) => ms - (times[i] ?? 0));
    for (const [i, waitedMs] of waits.entries()) expect(waitedMs).toBeGreaterThanOrEqual(1_000 * 2 ** i);
    expect(waits[3]).toBeLessThan(10_000);
  });

  it('asks every member at once, and then with pauses', async () => {
    const times: number[] = [];
    const refuse: Script = (_, at) => {
      times.push(h.clock.monotonicMs());
      cut(at);
      return true;
    };
    const members = [await h.member(refuse), await h.member(refuse), await h.member(refuse)];
    h.session(members);
    await h.until(() => times.length >= 15, 'five rounds');
    expect(members.map(({ streams }) => streams).every((streams) => streams >= 4)).toBe(true);
    expect((times[2] ?? 0) - (times[0] ?? 0)).toBeLessThan(400);
    expect((times[14] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(1_000);
  });

  it('goes on elsewhere where no leader confirms it, or on the only member there is', async () => {
    let hasLeader = false;
    const leaderless: Script = ({ ping }, at) => {
      if (hasLeader || ping === undefined || ping === null) return false;
      at.send({ pong: { pingId: ping.pingId ?? 0, renewed: false } });
      return true;
    };
    const a = await h.member(leaderless);
    const b = await h.member();
    const moving = h.session([a, b]);
    await h.until(() => b.streams === 1, 'the other member is asked');
    expect(moving.told.trouble.map(({ reason }) => reason)).toEqual(['NO_LEADER']);
    const alone = h.session([a]);
    await h.until(() => alone.state === 'uncertain', 'its time runs out');
    hasLeader = true;
    await h.until(() => alone.state === 'live', 'the leader');
    expect(alone.told.states).toEqual(['live', 'uncertain', 'live']);
    expect([alone.told.trouble[0]?.reason, a.streams]).toEqual(['NO_LEADER', 2]);
    expect(alone.told).toMatchObject({ restored: [], ended: [] });
  });

  it.each<[string, (at: BookStream) => void]>([
    ['opens twice', (at) => at.send({ opened: { sessionId: at.sessionId, ttlMs: 10_000 } })],
    ['answers a write that was not sent', (at) => at.send({ written: { sequence: 7, results: [] } })],
    ['answers with too few results', (at) => at.send({ written: { sequence: 1, results: [] } })],
    ['answers with what is no answer', (at) => at.send({ written: { sequence: 1, results: [{ status: 5 }] } })],
    ['answers with an unknown status', (at) => at.send({ written: { sequence: 1, results: [{ status: 99 as 1 }] } })],
    ['answers a ping that was not sent', (at) => at.send({ pong: { pingId: 77, renewed: true } })],
    ['sends what is no message', (at) => void at.stream.write(Buffer.from('ff', 'hex'))],
    ['ends the stream', (at) => void at.stream.end()],
  ])('leaves a member that %s', async (_, misbehave) => {
    const a = await h.member((request, at) => {
      if (isWrite(request)) misbehave(at);
      return isWrite(request);
    });
    const b = await h.member();
    const session = h.session([a, b]);
    await h.settled(session.register(web('1')), 'the registration');
    expect(session.told.trouble).toHaveLength(1);
    expect(session.told.trouble[0]?.reason).toMatch(/BAD_ANSWER|BROKEN/);
    expect([session.size, b.streams]).toEqual([1, 1]);
  });

  it.each<[string, Parameters<BookStream['send']>[0]]>([
    ['something else than opened', { pong: { pingId: 1, renewed: true } }],
    ['another session', { opened: { sessionId: 9_999, ttlMs: 10_000 } }],
    ['no session', { opened: { sessionId: 0, ttlMs: 10_000 } }],
    ['writes that were never sent', { opened: { sessionId: 101, ttlMs: 10_000, lastSequence: 5 } }],
  ])('leaves a member that answers the opening with %s', async (_, answer) => {
    const a = await h.member();
    const b = await h.member((_request, at) => {
      at.send(answer);
      return true;
    });
    const c = await h.member();
    const session = h.session([a, b, c]);
    await h.settled(session.register(web('1')), 'the registration');
    expect(session.sessionId).toBe(101);
    a.kill();
    await h.settled(session.register(web('2')), 'the next registration');
    expect([b.streams, c.streams, session.told.trouble[1]?.reason]).toEqual([1, 1, 'BAD_ANSWER']);
  });

  it('fails fast where it is to, and where the members refuse the opening itself', async () => {
    const dead = [await deadAddress(), await deadAddress()];
    const fast = h.open(h.client(dead, { failFast: true }));
    expect(await h.failureOf(fast.register(web('1')))).toMatchObject({ reason: 'UNREACHABLE', mayHaveApplied: false });
    expect(fast.told.ended.map((error) => error?.reason)).toEqual(['UNREACHABLE']);
    const old = await h.member((_, at) => {
      at.fail('UNKNOWN_METHOD');
      return true;
    });
    const refused = h.session([old]);
    expect(await h.failureOf(refused.register(web('1')))).toMatchObject({ reason: 'UNKNOWN_METHOD' });
    expect(await h.failureOf(refused.register(web('1')))).toMatchObject({ reason: 'UNKNOWN_METHOD' });
    expect([refused.state, refused.told.ended.length]).toEqual(['ended', 1]);
    const patient = h.open(h.client(dead));
    const late = await h.failureOf(patient.register(web('1'), { timeoutMs: 500 }));
    expect(late).toMatchObject({ reason: 'UNREACHABLE', mayHaveApplied: false });
    expect(patient.state).toBe('connecting');
  });
});

describe('a session that has ended while it was cut off', { timeout: 60_000 }, () => {
  it('is followed by a new one that has everything back, over its own incarnations alone', async () => {
    const a = await h.member();
    const session = h.session([a]);
    await h.settled(Promise.all([session.register(web('1')), session.register(web('2'))]), 'the registrations');
    await h.settled(session.update(web('2', { weight: 9 })), 'the update');
    const { sessionId } = session;
    const [one, two] = ['1', '2'].map((id) => session.incarnationOf({ service: 'web', id }));
    h.book.expire(sessionId);
    await h.until(() => session.told.restored.length > 0, 'the restoration');
    const restores = h.book.writes
      .at(-1)
      ?.operations?.map(({ register }) => [register?.mode, register?.ownIncarnation]);
    expect(restores).toEqual([
      [1, one],
      [1, two],
    ]);
    expect(session.told.restored).toEqual([{ instances: 2, lost: 0 }]);
    expect(session.told.states).toEqual(['live', 'connecting', 'live']);
    expect(session.told.trouble.map(({ reason }) => reason)).toEqual(['UNKNOWN_SESSION']);
    expect(session.sessionId).not.toBe(sessionId);
    expect(h.book.held(session.sessionId)).toEqual(['default/web/1', 'default/web/2']);
    expect(h.book.instances.get('default/web/2')?.spec.weight).toBe(9);
    expect(session.incarnationOf(key)).toBe(h.book.instances.get('default/web/1')?.incarnation);
  });

  it('does not take back what another process has registered meanwhile, nor later, but by register', async () => {
    const session = h.session([await h.member()]);
    await h.settled(Promise.all([session.register(web('1')), session.register(web('2'))]), 'the registrations');
    h.book.take('default/web/1', 'another');
    const other = h.book.instances.get('default/web/1')?.incarnation;
    h.book.expire(session.sessionId);
    await h.until(() => session.told.restored.length > 0, 'the restoration');
    expect(session.told.lost).toEqual([{ key, cause: 'superseded', incarnation: other }]);
    expect(session.told.restored).toEqual([{ instances: 1, lost: 1 }]);
    h.book.expire(session.sessionId);
    await h.until(() => session.told.restored.length > 1, 'the next restoration');
    expect(session.told.restored[1]).toEqual({ instances: 1, lost: 0 });
    expect(h.book.instances.get('default/web/1')?.incarnation).toBe(other);
    expect(await h.settled(session.register(web('1')), 'the registration')).toMatchObject({ replaced: true });
  });

  it('ends where it is not to be restored', async () => {
    const session = h.session([await h.member()], { restore: false });
    await h.settled(session.register(web('1')), 'the registration');
    h.book.expire(session.sessionId);
    await h.until(() => session.state === 'ended', 'the end');
    expect(session.told.ended.map((error) => error?.reason)).toEqual(['UNKNOWN_SESSION']);
    expect(await h.failureOf(session.register(web('1')))).toMatchObject({ reason: 'UNKNOWN_SESSION' });
    expect([session.told.restored, h.book.opens.length]).toEqual([[], 1]);
  });

  it('repeats an explicit start whose outcome nobody knows only over nothing', async () => {
    let held = true;
    const a = await h.member((request) => held && isWrite(request));
    const session = h.session([a]);
    const calls = ['1', '2'].map((id) => session.register(web(id)));
    const refused = h.failureOf(calls[1] ?? Promise.resolve());
    await h.until(() => h.book.writes.length === 1, 'the write');
    // The one was free again when the session had ended, the other another has by now.
    h.book.instances.set('default/web/2', { sessionId: 0, incarnation: 999, spec: {} });
    h.book.expire(session.sessionId);
    held = false;
    h.book.streams[0]?.fail('UNKNOWN_SESSION');
    expect(await h.settled(calls[0] ?? Promise.reject(new Error('no call')), 'the start')).toMatchObject({
      replaced: false,
    });
    expect(await refused).toMatchObject({ reason: 'SUPERSEDED', mayHaveApplied: true });
    expect(h.book.instances.get('default/web/2')?.incarnation).toBe(999);
    expect(h.book.held(session.sessionId)).toEqual(['default/web/1']);
  });

  it('lets what the caller asked meanwhile decide about an instance', async () => {
    let open = true;
    const a = await h.member((request, at) => {
      if (open || request.open === undefined || request.open === null) return false;
      at.fail('NO_LEADER');
      return true;
    });
    const session = h.session([a]);
    const ids = ['1', '2', '3'];
    await h.settled(Promise.all(ids.map((id) => session.register(web(id)))), 'the registrations');
    open = false;
    h.book.expire(session.sessionId);
    await h.until(() => session.state === 'connecting', 'the end of the session');
    h.book.instances.set('default/web/1', { sessionId: 0, incarnation: 999, spec: {} });
    const calls = [
      session.register(web('1', { version: '2' })),
      session.deregister({ service: 'web', id: '2' }),
      session.update(web('3', { version: '3' })),
    ];
    open = true;
    const [one, two, three] = await h.settled(Promise.all(calls), 'the calls');
    expect(one).toMatchObject({ replaced: true });
    expect(two).toMatchObject({ existed: false });
    expect(three).toMatchObject({ changed: true });
    expect(h.book.held(session.sessionId)).toEqual(['default/web/1', 'default/web/3']);
    expect(session.told).toMatchObject({ lost: [], restored: [{ instances: 1, lost: 0 }] });
    expect(session.size).toBe(2);
  });

  it('is restored again where the new session ends before everything is back', async () => {
    let drop = 0;
    const a = await h.member((request, at) => {
      if (!isWrite(request) || drop === 0) return false;
      drop -= 1;
      at.carryOut(request);
      h.book.expire(at.sessionId);
      at.fail('UNKNOWN_SESSION');
      return true;
    });
    const session = h.session([a]);
    await h.settled(Promise.all([session.register(web('1')), session.register(web('2'))]), 'the registrations');
    drop = 2;
    h.book.expire(session.sessionId);
    await h.until(() => session.told.restored.length > 0, 'the restoration');
    expect(session.told.restored).toEqual([{ instances: 2, lost: 0 }]);
    expect(h.book.held(session.sessionId)).toEqual(['default/web/1', 'default/web/2']);
    expect(session.told.states).toEqual(['live', 'connecting', 'live']);
  });
});

describe('a process that was stopped for longer than the time to live', { timeout: 60_000 }, () => {
  it('does not know whether it is registered, asks, and goes on with the session that still lives', async () => {
    const a = await h.member();
    const session = h.session([a]);
    await h.settled(session.register(web('1')), 'the registration');
    const { sessionId } = session;
    const writes = h.book.writes.length;
    h.clock.jump(60_000);
    expect(session.state).toBe('uncertain');
    await h.until(() => session.state === 'live', 'the answer');
    expect([session.sessionId, h.book.writes.length]).toEqual([sessionId, writes]);
    expect(session.told).toMatchObject({ restored: [], lost: [], ended: [] });
  });

  it('registers nothing blindly: it learns first that the session has ended, and who has its ids', async () => {
    const a = await h.member();
    const session = h.session([a]);
    await h.settled(Promise.all([session.register(web('1')), session.register(web('2'))]), 'the registrations');
    h.clock.jump(60_000);
    h.book.expire(session.sessionId);
    h.book.instances.set('default/web/1', { sessionId: 0, incarnation: 999, spec: {} });
    a.endStreams({ reason: 'NOT_SERVING' });
    await h.until(() => session.told.restored.length > 0, 'the restoration');
    expect(h.book.opens.map(({ sessionId }) => sessionId !== 0)).toEqual([false, true, false]);
    expect(session.told.lost).toEqual([{ key, cause: 'superseded', incarnation: 999 }]);
    expect(h.book.instances.get('default/web/1')?.incarnation).toBe(999);
  });

  it('hears the answer that lies in its socket before it gives the member up', async () => {
    const withheld: (() => void)[] = [];
    let withholds = false;
    const a = await h.member((request, at) => {
      if (!withholds || request.ping === undefined || request.ping === null) return false;
      withheld.push(() => at.send(...at.carryOut(request)));
      return true;
    });
    const b = await h.member();
    const session = h.session([a, b]);
    await h.settled(session.register(web('1')), 'the registration');
    withholds = true;
    await h.until(() => withheld.length > 0, 'a ping');
    h.clock.holdTurns();
    h.clock.jump(1_200);
    h.clock.advance(1_200);
    expect(h.clock.heldTurns).toBe(1);
    const before = session.remainingMs ?? 0;
    withholds = false;
    for (const answer of withheld) answer();
    await until(() => (session.remainingMs ?? 0) > before, 'the answer');
    h.clock.releaseTurns();
    await h.until(() => (session.remainingMs ?? 0) > 2_000, 'the session goes on');
    expect([b.streams, session.told.trouble]).toEqual([0, []]);
  });
});
