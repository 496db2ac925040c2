import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until, v1 } from './fake-member.ts';
import { SessionHarness, web } from './session-harness.ts';

let h: SessionHarness;

beforeEach(() => {
  h = new SessionHarness();
});

afterEach(() => h.stop());

describe('a session', { timeout: 60_000 }, () => {
  it('registers, changes and removes instances over one stream, and says what it holds', async () => {
    const a = await h.member();
    const session = h.session([a]);
    expect([session.state, session.sessionId, session.remainingMs]).toEqual(['connecting', 0, undefined]);
    const first = await h.settled(session.register(web('1')), 'the registration');
    expect(first).toMatchObject({ replaced: false, header: { member: 'a', revision: first.incarnation } });
    const again = await h.settled(session.register(web('1', { zone: 'z' })), 'the registration');
    expect(again).toMatchObject({ replaced: true });
    expect([session.size, session.incarnationOf({ service: 'web', id: '1' })]).toEqual([1, again.incarnation]);
    const same = await h.settled(session.update(web('1', { zone: 'z' })), 'the update');
    expect(same).toMatchObject({ changed: false, incarnation: again.incarnation });
    expect(await h.settled(session.update(web('1', { weight: 3 })), 'the update')).toMatchObject({ changed: true });
    expect(h.book.instances.get('default/web/1')?.spec.weight).toBe(3);
    const gone = await h.settled(session.deregister({ service: 'web', id: '1' }, { reason: 'done' }), 'the removal');
    expect(gone).toMatchObject({ existed: true });
    expect(h.book.writes.at(-1)?.operations?.[0]?.deregister).toMatchObject({ reason: 'done', incarnation: 0 });
    expect(await h.settled(session.deregister({ service: 'web', id: '1' }), 'the removal')).toMatchObject({
      existed: false,
    });
    expect([session.size, session.state, a.streams]).toEqual([0, 'live', 1]);
    expect(session.told.states).toEqual(['live']);
  });

  it('rejects what is refused with the reason of the member', async () => {
    const session = h.session([await h.member()]);
    expect(await h.failureOf(session.update(web('1')))).toMatchObject({
      reason: 'UNKNOWN_INSTANCE',
      code: 'NOT_FOUND',
      message: 'refused: UNKNOWN_INSTANCE',
      mayHaveApplied: false,
    });
    await h.settled(session.register(web('1')), 'the registration');
    h.book.take('default/web/1', 'another');
    expect(await h.failureOf(session.update(web('1')))).toMatchObject({ reason: 'SUPERSEDED' });
  });

  it('sends calls of one turn in one write, those of one instance in writes of their own, in order', async () => {
    const session = h.session([await h.member()]);
    const calls = [
      session.register(web('1')),
      session.update(web('1', { weight: 2 })),
      session.register(web('2')),
      session.deregister({ service: 'web', id: '1' }),
      session.register(web('3')),
    ];
    await h.settled(Promise.all(calls), 'all calls');
    const writes = h.book.writes.map(({ sequence, operations }) => [sequence, operations?.length]);
    expect(writes).toEqual([
      [1, 3],
      [2, 1],
      [3, 1],
    ]);
    expect([...h.book.instances.keys()].sort()).toEqual(['default/web/2', 'default/web/3']);
  });

  it('sends one write after the other, each of at most 1,000 operations and 900 KiB', async () => {
    let unanswered = 0;
    let most = 0;
    const a = await h.member((request, at) => {
      if (request.write === undefined || request.write === null) return false;
      most = Math.max(most, ++unanswered);
      const answers = at.carryOut(request);
      setTimeout(() => {
        unanswered -= 1;
        at.send(...answers);
      }, 5);
      return true;
    });
    const session = h.session([a]);
    const small = Array.from({ length: 2_500 }, (_, i) => session.register(web(`s${i}`)));
    await h.settled(Promise.all(small), 'the small ones');
    expect(h.book.writes.map(({ operations }) => operations?.length)).toEqual([1_000, 1_000, 500]);
    const metadata = { blob: 'x'.repeat(7_000) };
    const large = Array.from({ length: 300 }, (_, i) => session.register(web(`l${i}`, { metadata })));
    await h.settled(Promise.all(large), 'the large ones');
    const sizes = h.book.writes.slice(3).map((write) => v1.SessionWrite.encode(write).finish().length);
    expect(sizes).toHaveLength(3);
    expect(Math.max(...sizes)).toBeLessThan(900 * 1024);
    expect([most, session.size]).toEqual([1, 2_800]);
  });

  it('gives a sign of life within every third of the time to live, and counts from its sending', async () => {
    const session = h.session([await h.member()]);
    await h.until(() => session.state === 'live', 'the session');
    for (let seen = h.book.pings; seen < 4; seen = h.book.pings) {
      const sinceMs = h.clock.monotonicMs();
      await h.until(() => h.book.pings > seen, 'the next ping');
      expect(h.clock.monotonicMs() - sinceMs).toBeLessThan(1_300);
    }
    await h.until(() => (session.remainingMs ?? 0) > 2_900, 'a confirmation');
    expect(session.remainingMs).toBeLessThanOrEqual(3_000);
    expect(session.told.states).toEqual(['live']);
  });

  it('refuses what cannot be sent, before it is sent', async () => {
    const client = h.client(['127.0.0.1:1']);
    expect(() => client.openSession({ ttlMs: 999 })).toThrow(/ttlMs: is 999/);
    expect(() => client.openSession({ ttlMs: 86_400_001 })).toThrow(/ttlMs/);
    const session = client.openSession();
    const key = { service: 'web', id: '1' };
    expect(await h.failureOf(session.register(web('a b')))).toMatchObject({ field: 'id' });
    expect(await h.failureOf(session.register({ ...web('1'), service: '' }))).toMatchObject({ field: 'service' });
    expect(await h.failureOf(session.register({ ...web('1'), namespace: 'A' }))).toMatchObject({ field: 'namespace' });
    const metadata = { blob: 'x'.repeat(65_536) };
    expect(await h.failureOf(session.register(web('1', { metadata })))).toMatchObject({ field: 'instance' });
    expect(await h.failureOf(session.deregister(key, { reason: 'x'.repeat(257) }))).toMatchObject({ field: 'reason' });
    expect(await h.failureOf(session.deregister(key, { reason: '\ud800' }))).toMatchObject({ field: 'reason' });
    expect(await h.failureOf(session.register(web('1'), { timeoutMs: 0 }))).toMatchObject({ field: 'timeoutMs' });
  });

  it('rejects a call that is not answered in time, and says whether it may have applied', async () => {
    const a = await h.member((request) => request.write !== undefined && request.write !== null);
    const session = h.session([a]);
    const sent = h.failureOf(session.register(web('1'), { timeoutMs: 300 }));
    await h.until(() => h.book.writes.length === 1, 'the write');
    const waiting = await h.failureOf(session.register(web('2'), { timeoutMs: 50 }));
    expect(waiting).toMatchObject({ reason: 'TIMEOUT', code: 'DEADLINE_EXCEEDED', mayHaveApplied: false });
    expect(await sent).toMatchObject({ reason: 'TIMEOUT', mayHaveApplied: true });
  });

  it('drops the operation that a member cannot read, and carries the others out', async () => {
    const a = await h.member((request, at) => {
      const bad = (request.write?.operations ?? []).findIndex(({ register }) => register?.instance?.version === 'bad');
      if (bad === -1) return false;
      at.fail('INVALID_FIELD', `write.operations[${bad}].register.instance.version`);
      return true;
    });
    const session = h.session([a]);
    const calls = [
      session.register(web('1')),
      session.register(web('2', { version: 'bad' })),
      session.register(web('3')),
    ];
    const [first, bad, third] = await h.settled(Promise.allSettled(calls), 'all calls');
    expect(first).toMatchObject({ status: 'fulfilled' });
    expect(bad).toMatchObject({
      reason: { reason: 'INVALID_FIELD', field: 'instance.version', mayHaveApplied: false },
    });
    expect(third).toMatchObject({ status: 'fulfilled' });
    expect(h.book.writes.map(({ sequence }) => sequence)).toEqual([1, 1]);
    expect(session.told).toMatchObject({ lost: [], ended: [] });
  });

  it('finds the operation at fault one by one where the member does not name it', async () => {
    const a = await h.member((request, at) => {
      const operations = request.write?.operations ?? [];
      if (!operations.some(({ register }) => register?.instance?.version === 'bad')) return false;
      at.fail('MALFORMED_MESSAGE');
      return true;
    });
    const session = h.session([a]);
    const calls = ['1', '2', '3', '4'].map((id) => session.register(web(id, { version: id === '3' ? 'bad' : '' })));
    const outcomes = await h.settled(Promise.allSettled(calls), 'all calls');
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    await h.settled(Promise.all([session.register(web('5')), session.register(web('6'))]), 'later calls');
    expect(h.book.writes.at(-1)?.operations).toHaveLength(2);
  });
});

describe('the end of a session', { timeout: 60_000 }, () => {
  it('carries out what was asked, deregisters everything and waits for it on close', async () => {
    const session = h.session([await h.member()]);
    await h.settled(session.register(web('1')), 'the registration');
    const { sessionId } = session;
    const calls = [session.register(web('2')), session.deregister({ service: 'web', id: '1' }, { reason: 'bye' })];
    const closed = session.close();
    expect(await h.failureOf(session.register(web('3')))).toMatchObject({ reason: 'CLOSED' });
    await h.settled(Promise.all([closed, session.close()]), 'the end');
    expect((await Promise.all(calls)).length).toBe(2);
    expect([h.book.closed, h.book.instances.size]).toEqual([[sessionId], 0]);
    expect([session.state, session.size, session.sessionId, session.told.ended]).toEqual(['ended', 0, 0, [undefined]]);
    await session.close();
    expect(await h.failureOf(session.deregister({ service: 'web', id: '1' }))).toMatchObject({ reason: 'CLOSED' });
    expect(h.clock.timers).toBe(0);
  });

  it('ends at once where no session was opened yet', async () => {
    const session = h.session([await h.member(() => true)]);
    const call = h.failureOf(session.register(web('1')));
    await session.close();
    expect(await call).toMatchObject({ reason: 'CLOSED', mayHaveApplied: false });
    expect(session.told.ended).toEqual([undefined]);
  });

  it('closes over the next member where its own breaks or falls silent behind the half-close', async () => {
    const a = await h.member();
    const b = await h.member();
    const session = h.session([a, b]);
    await h.settled(session.register(web('1')), 'the registration');
    // The half-close finds nobody.
    h.book.streams[0]?.stream.removeAllListeners('end');
    const { sessionId } = session;
    await h.settled(session.close(), 'the end');
    expect([h.book.closed, h.book.instances.size, b.streams]).toEqual([[sessionId], 0, 1]);
  });

  it('is over where the session had ended before', async () => {
    const a = await h.member();
    const session = h.session([a]);
    await h.settled(session.register(web('1')), 'the registration');
    h.book.expire(session.sessionId);
    await h.settled(session.close(), 'the end');
    expect([session.told.ended, session.told.lost, h.book.opens.length]).toEqual([[undefined], [], 1]);
  });

  it('is given up at its deadline', async () => {
    const a = await h.member();
    const session = h.session([a]);
    await h.settled(session.register(web('1')), 'the registration');
    a.kill();
    const error = await h.failureOf(session.close({ timeoutMs: 200 }));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', mayHaveApplied: true });
    expect(session.state).toBe('ended');
    expect(h.clock.timers).toBe(0);
  });

  it('deregisters nothing when it is abandoned, nor when the client is closed', async () => {
    const a = await h.member();
    const client = h.client([a.address]);
    const left = h.open(client);
    const cut = h.open(client);
    await h.settled(Promise.all([left.register(web('1')), cut.register(web('2'))]), 'the registrations');
    left.abandon();
    await until(() => a.openStreams === 1, 'the stream ends');
    expect([left.state, left.told.ended]).toEqual(['ended', [undefined]]);
    const pending = cut.register(web('3'));
    client.close();
    expect(await h.failureOf(pending)).toMatchObject({ reason: 'CLOSED' });
    await until(() => a.openStreams === 0, 'all streams end');
    // Longer than a half-close takes to be carried out.
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect([h.book.closed, [...h.book.instances.keys()].sort()]).toEqual([[], ['default/web/1', 'default/web/2']]);
    expect(() => client.openSession()).toThrow(/closed/);
    expect(h.clock.timers).toBe(0);
  });
});

describe('many sessions', { timeout: 60_000 }, () => {
  it('live for 10 s each unless something else is said', async () => {
    const a = await h.member();
    h.client([a.address]).openSession();
    await h.until(() => h.book.opens.length === 1, 'the opening');
    expect(h.book.opens[0]).toMatchObject({ ttlMs: 10_000, sessionId: 0, attachment: 0 });
  });

  it('go over as many connections as they need, which end with them', async () => {
    const a = await h.member();
    const client = h.client([a.address]);
    const sessions = Array.from({ length: 250 }, () => h.open(client));
    await h.settled(Promise.all(sessions.map((session, i) => session.register(web(String(i))))), 'all registrations');
    const connections = new Set(h.book.streams.map(({ stream }) => stream.getPeer()));
    expect([connections.size, a.openStreams, new Set(sessions.map(({ sessionId }) => sessionId)).size]).toEqual([
      3, 250, 250,
    ]);
    await h.settled(Promise.all(sessions.map((session) => session.close())), 'the ends');
    expect(h.book.instances.size).toBe(0);
    await until(() => a.openStreams === 0, 'all streams end');
  });

  it('open 256 at a time, and the next as soon as one is answered or gives up', async () => {
    const held: (() => void)[] = [];
    const a = await h.member((request, at) => {
      if (request.open === undefined || request.open === null || held.length > 300) return false;
      held.push(() => at.send(...at.carryOut(request)));
      return true;
    });
    const client = h.client([a.address]);
    const sessions = Array.from({ length: 300 }, () => h.open(client, { ttlMs: 30_000 }));
    await until(() => held.length === 256, 'the first');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(held).toHaveLength(256);
    for (const answer of held.slice(0, 20)) answer();
    for (const session of sessions.slice(20, 30)) session.abandon();
    await until(() => held.length === 286, 'the next');
    for (const answer of held.slice(30)) answer();
    await until(() => held.length === 300, 'the last');
    for (const answer of held.slice(286)) answer();
    await until(() => sessions.filter(({ state }) => state === 'live').length === 290, 'all that were not abandoned');
  });

  it('are refused above 10,000', () => {
    const client = h.client(['127.0.0.1:1']);
    for (let i = 0; i < 10_000; i++) client.openSession();
    expect(() => client.openSession()).toThrow(/at most 10000/);
    client.close();
  });
});
