// The bounds of what sessions hold of a member, as they are where nothing else is configured.
import { SeededRandom } from '../../src/base/random.ts';
import { describe, expect, it } from 'vitest';
import { apiBounds } from '../../src/api/bounds.ts';
import { SessionHub } from '../../src/api/session-hub.ts';
import { SessionRenewals } from '../../src/api/session-renewals.ts';
import { SessionSlots } from '../../src/api/session-slots.ts';
import type { SessionCall, SessionSink } from '../../src/api/types.ts';
import { RollcallError } from '../../src/base/errors.ts';
import type { RenewResult } from '../../src/replica/types.ts';
import type { CommandResult } from '../../src/state-machine/types.ts';
import { ReplicaDouble } from './replica-double.ts';

const sink: SessionSink = { send: () => undefined, end: () => undefined };
const caller = { actor: 'anonymous', origin: '127.0.0.1:9' };

/** Answers no write, and keeps what it is asked to renew. */
class SilentReplica extends ReplicaDouble {
  readonly renewals: (readonly number[])[] = [];

  override execute(): Promise<CommandResult> {
    return new Promise(() => undefined);
  }

  override renew(leaseIds: readonly number[]): Promise<readonly RenewResult[]> {
    this.renewals.push(leaseIds);
    return super.renew(leaseIds);
  }
}

describe('a member', () => {
  it('has sessionStreamsMax streams of sessions, and room again when one is over', () => {
    const replica = new SilentReplica();
    const onFatal = (error: unknown): never => {
      throw error;
    };
    const hub = new SessionHub({ replica, clock: replica.clock, random: new SeededRandom(1), onFatal });
    const open = (): SessionCall =>
      hub.open({ sessionId: 0, ttlMs: 5_000, requestId: '', attachment: 0 }, sink, caller);
    const first = open();
    for (let i = 1; i < apiBounds.sessionStreamsMax; i++) open();
    expect(hub.streams).toBe(apiBounds.sessionStreamsMax);
    expect(open).toThrow(RollcallError);
    expect(open).toThrow('50000 sessions are open on this member, which is the most; use another member');
    first.close();
    expect(hub.streams).toBe(apiBounds.sessionStreamsMax - 1);
    open();
  });

  it('has sessionWritesInFlightMax writes of sessions with the leader, the others wait', async () => {
    const slots = new SessionSlots();
    for (let i = 0; i < apiBounds.sessionWritesInFlightMax; i++) await slots.enter();
    let entered = false;
    const next = slots.enter().then(() => (entered = true));
    for (let i = 0; i < 10; i++) await Promise.resolve();
    expect(entered).toBe(false);
    slots.leave();
    await next;
    expect([entered, slots.inFlight]).toEqual([true, apiBounds.sessionWritesInFlightMax]);
  });

  it('is full with sessionBytesQueuedMax bytes of writes that wait', () => {
    const slots = new SessionSlots();
    slots.addBytes(apiBounds.sessionBytesQueuedMax - 1);
    expect(slots.full).toBe(false);
    slots.addBytes(1);
    expect(slots.full).toBe(true);
  });

  it('has sessionRenewalsMax sessions renewed in one batch', () => {
    const replica = new SilentReplica();
    const renewals = new SessionRenewals(replica, replica.clock);
    for (let id = 1; id <= apiBounds.sessionRenewalsMax + 1; id++) renewals.renew(id, () => undefined);
    replica.clock.advance(1);
    expect(replica.renewals.map((batch) => batch.length)).toEqual([apiBounds.sessionRenewalsMax, 1]);
  });
});
