import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkRevisionOrder, type RevisionOperation, type RevisionRule } from './revision-order.ts';
import { HistoryError } from './types.ts';

function answer(
  kind: RevisionOperation['kind'],
  start: number,
  end: number,
  revision: number,
  client = 'c',
): RevisionOperation {
  return { client, start, end, revision, kind, text: 'key' };
}

function ruleOf(history: readonly RevisionOperation[], staleNeverBack = false): RevisionRule | 'none' {
  const verdict = checkRevisionOrder(history, { staleNeverBack });
  return verdict.ok ? 'none' : verdict.rule;
}

describe('checkRevisionOrder', () => {
  it('wants a higher revision of each change that began after an answer', () => {
    expect(ruleOf([answer('change', 0, 1, 5), answer('change', 2, 3, 6)])).toBe('none');
    expect(ruleOf([answer('change', 0, 1, 6), answer('change', 2, 3, 5)])).toBe('change-after');
    expect(ruleOf([answer('read', 0, 1, 5, 'a'), answer('change', 2, 3, 5, 'b')])).toBe('change-after');
    expect(ruleOf([answer('stale', 0, 1, 5, 'a'), answer('change', 2, 3, 5, 'b')])).toBe('change-after');
    expect(ruleOf([answer('change', 0, 2, 6), answer('change', 2, 3, 5)])).toBe('none');
  });

  it('wants at least that revision of each read that began after an answer', () => {
    expect(ruleOf([answer('change', 0, 1, 5, 'a'), answer('read', 2, 3, 5, 'b')])).toBe('none');
    expect(ruleOf([answer('change', 0, 1, 5, 'a'), answer('read', 2, 3, 4, 'b')])).toBe('read-after');
    expect(ruleOf([answer('change', 0, 1, 5, 'a'), answer('stale', 2, 3, 4, 'b')])).toBe('none');
  });

  it('wants one change a revision', () => {
    expect(ruleOf([answer('change', 0, 9, 5), answer('change', 0, 9, 5)])).toBe('unique');
    expect(ruleOf([answer('change', 0, 9, 5), answer('read', 0, 9, 5)])).toBe('none');
  });

  it('shows no client an older revision than before, where that is promised', () => {
    const back = [answer('stale', 0, 1, 5), answer('stale', 2, 3, 4)];
    expect(ruleOf(back)).toBe('none');
    expect(ruleOf(back, true)).toBe('back');
    expect(ruleOf([answer('stale', 0, 1, 5), answer('stale', 2, 3, 4, 'other')], true)).toBe('none');
  });

  it('takes a change whose answer was lost as one that never ended', () => {
    expect(ruleOf([answer('change', 0, Infinity, 9), answer('read', 5, 6, 3)])).toBe('none');
    expect(ruleOf([answer('read', 0, 1, 9), answer('change', 5, Infinity, 9)])).toBe('change-after');
  });

  it('names both operations', () => {
    const [first, second] = [answer('change', 0, 1, 6, 'a'), answer('read', 2, 3, 5, 'b')];
    expect(checkRevisionOrder([second, first])).toMatchObject({ ok: false, first, second });
    const verdict = checkRevisionOrder([first, second]);
    expect(!verdict.ok && verdict.text).toContain('[0 .. 1] a: change at revision 6: key');
  });

  it('refuses what cannot be', () => {
    const bad = [
      answer('read', Number.NaN, 1, 1),
      answer('read', 2, 1, 1),
      answer('read', 0, Infinity, 1),
      answer('read', 0, 1, -1),
      answer('read', 0, 1, 0.5),
    ];
    for (const operation of bad) expect(() => checkRevisionOrder([operation])).toThrow(HistoryError);
  });

  it('says the same as each pair looked at', () => {
    const seen = { true: 0, false: 0 };
    const operation = fc
      .record({
        client: fc.constantFrom('a', 'b'),
        start: fc.nat(6),
        length: fc.nat(5),
        revision: fc.nat(5),
        kind: fc.constantFrom('change' as const, 'read' as const, 'stale' as const),
      })
      .map(({ client, start, length, revision, kind }) => answer(kind, start, start + length, revision, client));
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 5 }), fc.boolean(), (history, staleNeverBack) => {
        const expected = history.every((one, i) =>
          history.every((other, j) => i === j || isPairRight(one, other, staleNeverBack)),
        );
        seen[`${expected}`] += 1;
        expect(checkRevisionOrder(history, { staleNeverBack }).ok).toBe(expected);
      }),
      { numRuns: 3_000 },
    );
    expect(Math.min(seen.true, seen.false)).toBeGreaterThan(300);
  });
});

function isPairRight(one: RevisionOperation, other: RevisionOperation, staleNeverBack: boolean): boolean {
  if (one.kind === 'change' && other.kind === 'change' && one.revision === other.revision) return false;
  if (one.end >= other.start) return true;
  if (other.kind === 'change') return other.revision > one.revision;
  if (other.kind === 'read') return other.revision >= one.revision;
  const isBound = staleNeverBack && one.client === other.client;
  return !isBound || other.revision >= one.revision;
}
