import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isOrderable, successorsOf } from './brute-force.ts';
import { checkLinearizable } from './check-linearizable.ts';
import { type RegisterInput, registerModel, type RegisterOutput } from './register-model.ts';
import { type TextInput, textModel, type TextOutput } from './text-model.ts';
import { HistoryError, type Operation } from './types.ts';

type RegisterOperation = Operation<RegisterInput, RegisterOutput>;

let clients = 0;

function write(start: number, end: number, value: number): RegisterOperation {
  const output = end === Infinity ? undefined : ({ kind: 'written' } as const);
  return { client: `c${clients++}`, key: 'x', start, end, input: { kind: 'write', value }, output };
}

function read(start: number, end: number, value: number | null): RegisterOperation {
  const output = { kind: 'value', value } as const;
  return { client: `c${clients++}`, key: 'x', start, end, input: { kind: 'read' }, output };
}

function cas(start: number, end: number, from: number, to: number, swapped: boolean): RegisterOperation {
  const output = end === Infinity ? undefined : ({ kind: 'swapped', swapped } as const);
  return { client: `c${clients++}`, key: 'x', start, end, input: { kind: 'cas', from, to }, output };
}

const verdictOf = (...history: RegisterOperation[]): boolean | 'unknown' =>
  checkLinearizable(history, registerModel).ok;

describe('checkLinearizable', () => {
  it('takes an empty history', () => {
    expect(checkLinearizable([], registerModel)).toEqual({ ok: true, effort: { steps: 0, configurations: 0 } });
  });

  it('lets overlapping reads see a write early, but not take it back', () => {
    expect(verdictOf(write(0, 100, 7), read(10, 20, 7), read(15, 30, null))).toBe(true);
    expect(verdictOf(write(0, 100, 7), read(10, 20, 7), read(25, 30, null))).toBe(false);
  });

  it('refuses a read of what was overwritten before, and of what nobody wrote', () => {
    expect(verdictOf(write(0, 1, 7), write(2, 3, 8), read(4, 5, 7))).toBe(false);
    expect(verdictOf(write(0, 1, 7), read(4, 5, 9))).toBe(false);
  });

  it('takes operations that touch at one instant as overlapping, and not those that are an instant apart', () => {
    expect(verdictOf(write(0, 5, 7), read(5, 6, null))).toBe(true);
    expect(verdictOf(write(0, 5, 7), read(6, 6, null))).toBe(false);
    expect(verdictOf(write(5, 5, 7), read(5, 5, null), write(5, 5, 8), read(5, 5, 8), read(5, 5, 7))).toBe(true);
  });

  it('lets an open operation take effect late, once, or never', () => {
    expect(verdictOf(write(0, Infinity, 7), read(10, 11, null), read(100, 101, 7))).toBe(true);
    expect(verdictOf(write(0, Infinity, 7), read(10, 11, null))).toBe(true);
    expect(verdictOf(write(0, Infinity, 7), read(1, 2, 7), write(3, 4, 8), read(5, 6, 7))).toBe(false);
    expect(verdictOf(write(5, Infinity, 7), read(1, 4, 7))).toBe(false);
    expect(verdictOf(write(0, Infinity, 1), cas(0, Infinity, 1, 2, true), read(5, 6, 2))).toBe(true);
  });

  it('tries no open operation behind its latest time', () => {
    const bounded = { ...write(0, Infinity, 7), latest: 50 };
    expect(verdictOf(bounded, read(10, 60, null), read(40, 70, 7))).toBe(true);
    expect(verdictOf(bounded, read(50, 60, null), read(61, 70, 7))).toBe(true);
    expect(verdictOf(bounded, read(51, 60, null), read(61, 70, 7))).toBe(false);
  });

  it('keeps keys apart, and names the one that is wrong', () => {
    const wrong = { ...read(2, 3, 7), key: 'y' };
    const verdict = checkLinearizable([write(0, 1, 7), wrong, read(2, 3, 7)], registerModel);
    expect(verdict).toMatchObject({ ok: false, key: 'y', ordered: [], stuck: [wrong] });
  });

  it('shows the longest order and what does not fit behind it', () => {
    const [first, second, third] = [write(0, 1, 7), read(2, 3, 7), { ...read(4, 6, 9), client: 'late' }];
    const verdict = checkLinearizable([third, first, second, read(8, 9, 7)], registerModel);
    expect(verdict).toMatchObject({ ok: false, ordered: [first, second], stuck: [third], state: 7 });
    expect(verdict.ok === false && verdict.text.split('\n')).toEqual([
      'x: not linearizable',
      'The longest order found has 2 operations:',
      `  [0 .. 1] ${first.client}: write 7 -> written`,
      `  [2 .. 3] ${second.client}: read -> 7`,
      'Behind them it is: 7',
      'None of these can come next, and one of them would have to:',
      '  [4 .. 6] late: read -> 9',
    ]);
  });

  it('refuses a history that cannot be one', () => {
    const good = write(0, 1, 7);
    const bad: RegisterOperation[] = [
      { ...good, start: Number.NaN },
      { ...good, start: -Infinity },
      { ...good, end: Number.NaN },
      { ...good, end: -1 },
      { ...good, end: Infinity },
      { ...good, output: undefined },
      { ...good, latest: 5 },
      { ...write(10, Infinity, 7), latest: 9 },
    ];
    for (const operation of bad) {
      expect(() => checkLinearizable([good, operation], registerModel)).toThrow(HistoryError);
      expect(() => checkLinearizable([good, operation], registerModel)).toThrow(/^operation 1: /);
    }
  });
});

describe('the limits', () => {
  const history = [write(0, 10, 1), write(0, 10, 2), write(0, 10, 3), read(11, 12, 1), read(13, 14, 1)];
  const unlimited = { stepsPerKeyMax: 1_000, configurationsPerKeyMax: 1_000 };
  const { effort } = checkLinearizable(history, registerModel, unlimited);

  it('decides with just as many steps as are needed, and does not with one less', () => {
    const enough = { ...unlimited, stepsPerKeyMax: effort.steps };
    expect(checkLinearizable(history, registerModel, enough).ok).toBe(true);
    const short = checkLinearizable(history, registerModel, { ...enough, stepsPerKeyMax: effort.steps - 1 });
    expect(short).toMatchObject({ ok: 'unknown', key: 'x', limit: 'stepsPerKeyMax' });
    expect(short.ok === 'unknown' && short.why).toContain(`within ${effort.steps - 1} (stepsPerKeyMax)`);
  });

  it('decides with just as many configurations as are needed, and does not with one less', () => {
    const enough = { ...unlimited, configurationsPerKeyMax: effort.configurations };
    expect(checkLinearizable(history, registerModel, enough).ok).toBe(true);
    const short = { ...unlimited, configurationsPerKeyMax: effort.configurations - 1 };
    expect(checkLinearizable(history, registerModel, short)).toMatchObject({
      ok: 'unknown',
      limit: 'configurationsPerKeyMax',
    });
  });

  it('never calls a wrong history unknown for the sake of another key', () => {
    const wrong = { ...read(0, 1, 5), key: 'y' };
    const short = { ...unlimited, stepsPerKeyMax: effort.steps - 1 };
    expect(checkLinearizable([...history, wrong], registerModel, short)).toMatchObject({ ok: false, key: 'y' });
  });
});

describe('against every order tried', () => {
  const times = fc.tuple(fc.nat(8), fc.nat(4), fc.nat(4));
  const runs = { numRuns: 3_000 };

  function timed<Input, Output>(
    [start, length, open]: readonly [number, number, number],
    input: Input,
    output: Output,
    latest: number,
  ): Operation<Input, Output> {
    const base = { client: 'c', key: 'x', start, input };
    if (open > 0) return { ...base, end: start + length, output };
    const bounded = latest > 2 ? { latest: start + latest } : {};
    return { ...base, end: Infinity, output: undefined, ...bounded };
  }

  const value = fc.integer({ min: 1, max: 3 });
  const registerCall = fc.oneof(
    fc.tuple(
      fc.constant({ kind: 'read' } as const),
      fc.option(value).map((is) => ({ kind: 'value', value: is }) as const),
    ),
    fc.tuple(
      value.map((is) => ({ kind: 'write', value: is }) as const),
      fc.constant({ kind: 'written' } as const),
    ),
    fc.tuple(
      fc.tuple(value, value).map(([from, to]) => ({ kind: 'cas', from, to }) as const),
      fc.boolean().map((swapped) => ({ kind: 'swapped', swapped }) as const),
    ),
  );

  it('says the same of a register', () => {
    const seen = { true: 0, false: 0 };
    const operation = fc
      .tuple(times, registerCall, fc.nat(8))
      .map(([time, [input, output], latest]) => timed<RegisterInput, RegisterOutput>(time, input, output, latest));
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 6 }), (history) => {
        const expected = isOrderable(history, null, successorsOf(registerModel));
        seen[`${expected}`] += 1;
        expect(checkLinearizable(history, registerModel).ok).toBe(expected);
      }),
      runs,
    );
    expect(Math.min(seen.true, seen.false)).toBeGreaterThan(runs.numRuns / 10);
  });

  it('says the same of texts', () => {
    const seen = { true: 0, false: 0 };
    const text = fc.constantFrom('a', 'b');
    const call = fc.oneof(
      fc.tuple(
        fc.constant({ kind: 'get' } as const),
        fc.constantFrom('', 'a', 'b', 'ab', 'ba').map((is) => ({ kind: 'text', text: is }) as const),
      ),
      fc.tuple(
        fc.tuple(fc.constantFrom('put' as const, 'append' as const), text).map(([kind, is]) => ({ kind, text: is })),
        fc.constant({ kind: 'done' } as const),
      ),
    );
    const operation = fc
      .tuple(times, call, fc.nat(8))
      .map(([time, [input, output], latest]) => timed<TextInput, TextOutput>(time, input, output, latest));
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 6 }), (history) => {
        const expected = isOrderable(history, '', successorsOf(textModel));
        seen[`${expected}`] += 1;
        expect(checkLinearizable(history, textModel).ok).toBe(expected);
      }),
      runs,
    );
    expect(Math.min(seen.true, seen.false)).toBeGreaterThan(runs.numRuns / 10);
  });
});
