import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { ClientError } from '../../src/client/client-error.ts';
import type { Session } from '../../src/client/session-types.ts';
import { statusOf } from './fake-member.ts';
import type { Script } from './session-book.ts';
import type { Told } from './session-harness.ts';
import { SessionHarness, web } from './session-harness.ts';

const idOf = (random: SeededRandom): string => String(random.below('id', 6));

/** Members that break streams before and behind a write, hold answers back, end sessions and let others take ids. */
function troublesome(h: SessionHarness, random: SeededRandom, isOver: () => boolean): Script {
  return (request, at) => {
    const draw = isOver() ? 99 : random.below('trouble', 100);
    const takeOne = (by: 'another' | 'nobody'): void => {
      const [key] = h.book.held(at.sessionId);
      if (key !== undefined) at.send(h.book.take(key, by));
    };
    if (draw < 8) return at.stream.emit('error', statusOf({ reason: 'NOT_SERVING' }));
    if (draw < 16) {
      if (request.write === undefined || request.write === null) return false;
      at.carryOut(request);
      return at.stream.emit('error', statusOf({ reason: 'OUTCOME_UNKNOWN' }));
    }
    if (draw < 19) h.book.expire(at.sessionId);
    else if (draw < 24 && at.sessionId !== 0) takeOne('another');
    else if (draw < 29 && at.sessionId !== 0) takeOne('nobody');
    return false;
  };
}

async function run(seed: number): Promise<void> {
  const h = new SessionHarness();
  try {
    const random = new SeededRandom(seed);
    let isOver = false;
    const script = troublesome(h, random, () => isOver);
    const session: Session & { readonly told: Told } = h.session([await h.member(script), await h.member(script)]);
    const calls: Promise<unknown>[] = [];
    const failures: unknown[] = [];
    const call = (promise: Promise<unknown>): void => {
      calls.push(promise.catch((error: unknown) => failures.push(error)));
    };
    for (let i = 0; i < 60; i++) {
      const id = idOf(random);
      const kind = random.below('kind', 3);
      if (kind === 0) call(session.deregister({ service: 'web', id }));
      else if (kind === 1) call(session.update(web(id, { version: String(i) })));
      else call(session.register(web(id, { version: String(i) })));
      if (random.below('pause', 3) === 0) await h.until(() => random.below('go-on', 4) === 0, 'a moment');
    }
    await h.settled(Promise.all(calls), 'all calls');
    isOver = true;
    for (const error of failures) expect(error).toBeInstanceOf(ClientError);
    // Two more writes and a sign of life: what is on the way has arrived by then.
    await h.settled(session.register(web('last')), 'a registration');
    const { pings } = h.book;
    await h.until(() => h.book.pings > pings + 1 && session.state === 'live', 'a quiet session', 20);
    await h.settled(session.register(web('last')), 'a registration');
    const truth = new Map(h.book.held(session.sessionId).map((key) => [key, h.book.instances.get(key)?.incarnation]));
    expect(session.size).toBe(truth.size);
    for (const [key, incarnation] of truth) {
      const [namespace = '', service = '', id = ''] = key.split('/');
      expect(session.incarnationOf({ namespace, service, id })).toBe(incarnation);
    }
    const { sessionId } = session;
    await h.settled(session.close(), 'the end');
    expect(h.book.held(sessionId)).toEqual([]);
    expect(h.clock.timers).toBe(0);
  } finally {
    h.stop();
  }
}

describe('a session among members that fail in every way at once', { timeout: 60_000 }, () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('answers every call and holds what the members say that it does (seed %i)', run);
});
