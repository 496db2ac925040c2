import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Script } from './session-book.ts';
import { SessionHarness, web } from './session-harness.ts';

let h: SessionHarness;

beforeEach(() => {
  h = new SessionHarness();
});

afterEach(() => h.stop());

const key = { namespace: 'default', service: 'web', id: '1' };
const isWrite: (request: Parameters<Script>[0]) => boolean = ({ write }) => write !== undefined && write !== null;

describe('what a session has lost', { timeout: 60_000 }, () => {
  it('is told once, with who has it, and never taken back', async () => {
    const a = await h.member();
    const session = h.session([a]);
    await h.settled(session.register(web('1')), 'the registration');
    const notice = h.book.take('default/web/1', 'another');
    const incarnation = h.book.revision;
    h.book.streams[0]?.send(notice, notice);
    await h.until(() => session.told.lost.length > 0, 'the loss');
    // A new stream tells it again.
    a.endStreams({ reason: 'NOT_SERVING' });
    await h.until(() => h.book.streams.length === 2, 'the next stream');
    await h.settled(session.register(web('2')), 'the registration');
    expect(session.told.lost).toEqual([{ key, cause: 'superseded', incarnation }]);
    expect([session.size, h.book.instances.get('default/web/1')?.incarnation]).toEqual([1, incarnation]);
  });

  it('is asked for where a notice does not say which incarnation it means', async () => {
    const session = h.session([await h.member()]);
    await h.settled(Promise.all([session.register(web('1')), session.register(web('2'))]), 'the registrations');
    h.book.streams[0]?.send(h.book.take('default/web/1', 'nobody'));
    await h.until(() => session.told.lost.length > 0, 'the loss');
    expect(session.told.lost).toEqual([{ key, cause: 'deregistered', incarnation: 0 }]);
    // It was there again when the notice came: the member that told was behind.
    h.book.streams[0]?.send({ lost: { key: { ...key, id: '2' }, cause: 2 } });
    const writes = h.book.writes.length;
    await h.until(() => h.book.writes.length > writes, 'the question');
    await h.settled(session.register(web('3')), 'the registration');
    expect([session.told.lost.length, session.size]).toEqual([1, 2]);
    expect(h.book.instances.get('default/web/2')?.incarnation).toBe(session.incarnationOf({ service: 'web', id: '2' }));
  });

  it.each([
    ['overtakes the answer', 'another', true],
    ['overtakes the answer', 'nobody', true],
    ['is older than the registration', 'another', false],
    ['is older than the registration', 'nobody', false],
  ] as const)('is told right where the notice %s (taken by %s)', async (_, by, isLater) => {
    let seen = 0;
    const a = await h.member((request, at) => {
      if (!isWrite(request) || seen++ !== 1) return false;
      // The second registration: something happened to the id right before or right behind it.
      const before = isLater ? undefined : h.book.take('default/web/1', by);
      const answers = at.carryOut(request);
      at.send(before ?? h.book.take('default/web/1', by), ...answers);
      return true;
    });
    const session = h.session([a]);
    await h.settled(session.register(web('1')), 'the registration');
    await h.settled(session.register(web('1', { version: '2' })), 'the registration');
    await h.settled(session.register(web('2')), 'the next registration');
    await h.settled(session.register(web('3')), 'the next registration');
    const expected = { key, cause: by === 'another' ? 'superseded' : 'deregistered' };
    expect(session.told.lost).toMatchObject(isLater ? [expected] : []);
    expect(session.size).toBe(isLater ? 2 : 3);
  });

  it('is found out by asking for each instance where more was lost than can be told', async () => {
    const a = await h.member();
    const session = h.session([a]);
    await h.settled(Promise.all(['1', '2', '3'].map((id) => session.register(web(id)))), 'the registrations');
    h.book.take('default/web/1', 'nobody');
    h.book.take('default/web/2', 'another');
    const record = h.book.sessions.get(session.sessionId);
    if (record === undefined) throw new Error('no session');
    record.lost.length = 0;
    record.moreLost = true;
    a.endStreams({ reason: 'NOT_SERVING' });
    await h.until(() => session.told.lost.length === 2, 'the losses');
    expect(session.told.lost.map(({ cause }) => cause).sort()).toEqual(['deregistered', 'superseded']);
    expect([session.size, h.book.held(session.sessionId)]).toEqual([1, ['default/web/3']]);
  });
});

describe('a session that is taken', { timeout: 60_000 }, () => {
  it('ends where another process goes on with it on the present stream', async () => {
    const session = h.session([await h.member(), await h.member()]);
    await h.settled(session.register(web('1')), 'the registration');
    const pending = session.register(web('2'));
    h.book.streams[0]?.fail('SESSION_TAKEN');
    const error = await h.failureOf(pending);
    expect(error).toMatchObject({ reason: 'SESSION_TAKEN', code: 'ABORTED' });
    expect([session.state, session.told.ended.map((each) => each?.reason)]).toEqual(['ended', ['SESSION_TAKEN']]);
    expect([h.book.opens.length, h.clock.timers]).toEqual([1, 0]);
  });

  it('goes on where only the stream that it has left itself is', async () => {
    let silent = false;
    const a = await h.member(() => silent);
    const b = await h.member();
    const session = h.session([a, b]);
    await h.settled(session.register(web('1')), 'the registration');
    silent = true;
    await h.until(() => b.streams === 1, 'the next member');
    h.book.streams[0]?.fail('SESSION_TAKEN');
    await h.settled(session.register(web('2')), 'the next registration');
    expect(session.told).toMatchObject({ states: ['live'], ended: [] });
  });
});
