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
});
