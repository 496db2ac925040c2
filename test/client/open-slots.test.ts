import { describe, expect, it } from 'vitest';
import { OpenSlots } from '../../src/client/open-slots.ts';

describe('turns to open a stream', () => {
  it('are as many as allowed at a time, the others in their order, and none is lost', () => {
    const slots = new OpenSlots(2);
    const turns: number[] = [];
    const entered = [0, 1, 2, 3, 4].map((who) => slots.enter(() => turns.push(who)));
    expect(turns).toEqual([0, 1]);
    // Who gives up while it waits is passed over.
    entered[2]?.leave();
    entered[0]?.leave();
    entered[0]?.leave();
    expect(turns).toEqual([0, 1, 3]);
    entered[1]?.leave();
    expect(turns).toEqual([0, 1, 3, 4]);
    entered[3]?.leave();
    entered[4]?.leave();
    for (const who of [5, 6, 7]) slots.enter(() => turns.push(who));
    expect(turns).toEqual([0, 1, 3, 4, 5, 6]);
  });
});
