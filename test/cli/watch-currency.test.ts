import { describe, expect, it } from 'vitest';
import { Currency } from '../../src/cli/watch-currency.ts';

describe('the currency of a watch', () => {
  it('is told where nothing is confirmed for longer than 20 s, once, and once when it is back', () => {
    const told: string[] = [];
    const currency = new Currency((text) => told.push(text.replace(/since .*/, 'since')));
    currency.look(1_000_000);
    currency.confirmed(0, 7, 1_000_000);
    currency.look(1_020_000);
    expect(told).toEqual([]);
    for (const nowMs of [1_020_001, 1_021_000, 1_090_000]) currency.look(nowMs);
    // From a member that has lost its leader too.
    currency.confirmed(90_000, 7, 1_091_000);
    expect(told).toEqual(['what is shown may be old: the registry has not confirmed it since']);
    currency.confirmed(1_000, 8, 1_092_000);
    currency.confirmed(0, 9, 1_093_000);
    expect(told.slice(1)).toEqual(['what is shown is current again, at revision 8']);
  });

  it('says so where the member cannot say how old it is', () => {
    const texts: string[] = [];
    const currency = new Currency((text) => texts.push(text));
    currency.confirmed(Number.MAX_SAFE_INTEGER, 7, 1_000);
    expect(texts).toEqual(['what is shown may be old: the member has heard no leader since it started']);
    currency.confirmed(20, 8, 2_000);
    expect(texts[1]).toBe('what is shown is current again, at revision 8');
  });
});
