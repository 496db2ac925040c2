import { describe, expect, it } from 'vitest';
import { SessionSlots } from '../../src/api/session-slots.ts';

describe('SessionSlots', () => {
  it('lets as many in as it has room for, and the others in their order', async () => {
    const slots = new SessionSlots(2);
    const entered: number[] = [];
    const enter = (i: number): Promise<void> => slots.enter().then(() => void entered.push(i));
    const all = [enter(1), enter(2), enter(3), enter(4)];
    await Promise.all(all.slice(0, 2));
    expect(entered).toEqual([1, 2]);
    slots.leave();
    await all[2];
    expect(entered).toEqual([1, 2, 3]);
    expect(slots.inFlight).toBe(2);
    slots.leave();
    await all[3];
    slots.leave();
    slots.leave();
    expect(slots.inFlight).toBe(0);
  });

  it('refuses those that wait where asked to, and lets in who comes behind them', async () => {
    const slots = new SessionSlots(1);
    await slots.enter();
    const refused = [slots.enter(), slots.enter()].map((entered) => entered.catch((error: unknown) => error));
    slots.refuseWaiting();
    for (const error of await Promise.all(refused)) {
      expect(error).toMatchObject({ reason: 'NO_LEADER', retryable: true });
    }
    const next = slots.enter();
    slots.leave();
    await next;
    expect(slots.inFlight).toBe(1);
  });

  it('is full at the bound on bytes, and not before', () => {
    const slots = new SessionSlots(1, 100);
    slots.addBytes(99);
    expect(slots.full).toBe(false);
    slots.addBytes(1);
    expect(slots.full).toBe(true);
    slots.addBytes(-1);
    expect(slots.full).toBe(false);
    expect(() => slots.addBytes(-100)).toThrow('more bytes taken away than queued');
  });

  it('keeps no place for those that have left while they waited', async () => {
    const slots = new SessionSlots(1);
    await slots.enter();
    const left = {};
    const stays = {};
    const gone = slots.enter(left);
    const next = slots.enter(stays);
    expect(slots.waiting).toBe(2);
    slots.forget(left);
    expect(await gone).toBe(false);
    expect(slots.waiting).toBe(1);
    slots.leave();
    expect(await next).toBe(true);
    slots.forget(stays);
    expect([slots.waiting, slots.inFlight]).toEqual([0, 1]);
    slots.leave();
    expect(slots.inFlight).toBe(0);
  });
});
