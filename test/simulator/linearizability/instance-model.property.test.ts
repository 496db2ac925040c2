import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isOrderable, type Successors } from './brute-force.ts';
import { checkInstances } from './check-instances.ts';
import { checkLinearizable } from './check-linearizable.ts';
import { instanceModelFor } from './instance-model.ts';
import { applyPlain, byItself, type PlainInstance, plainNothing } from './plain-instance.ts';
import type { InstanceInput, InstanceOperation, InstanceOutput } from './types.ts';

const incarnation = fc.nat(5);
const content = fc.integer({ min: 1, max: 6 });
const session = fc.constantFrom('s', 't');

const input: fc.Arbitrary<InstanceInput> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ kind: 'read' } as const) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('register' as const),
      content,
      lifetime: fc.constantFrom({ kind: 'persistent' } as const, { kind: 'lease' } as const),
      condition: fc.oneof(
        fc.constantFrom({ kind: 'none' } as const, { kind: 'if-absent' } as const),
        incarnation.map((is) => ({ kind: 'if-incarnation', incarnation: is + 1 }) as const),
      ),
    }),
  },
  fc.record({
    kind: fc.constant('register' as const),
    content,
    lifetime: fc.constant({ kind: 'persistent' } as const),
    condition: fc.constant({ kind: 'keep-equal' } as const),
  }),
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('register' as const),
      content,
      lifetime: session.map((is) => ({ kind: 'session', session: is }) as const),
      condition: fc.oneof(
        fc.constant({ kind: 'none' } as const),
        incarnation.map((is) => ({ kind: 'restore', ownIncarnation: is }) as const),
      ),
    }),
  },
  incarnation.chain((is) => content.map((what) => ({ kind: 'update', content: what, incarnation: is + 1 }) as const)),
  fc.record({ kind: fc.constant('update' as const), content, incarnation, session }),
  incarnation.map((is) => ({ kind: 'deregister', incarnation: is }) as const),
  fc.record({ kind: fc.constant('deregister' as const), incarnation, session }),
);

const call = fc.record({
  input,
  before: fc.nat(12),
  after: fc.nat(12),
  chance: fc.nat(11),
  isOpen: fc.nat(4).map((is) => is === 0),
  isTelling: fc.boolean(),
});

const history = fc.record({
  calls: fc.array(call, { minLength: 1, maxLength: 6 }),
  swapped: fc.option(fc.tuple(fc.nat(5), fc.nat(5))),
});

/** What one instance could have answered, with two answers perhaps swapped. */
function operationsOf({ calls, swapped }: typeof history extends fc.Arbitrary<infer Is> ? Is : never) {
  let state = plainNothing;
  const operations = calls.map(
    ({ input: asked, before, after, chance, isOpen, isTelling }, index): InstanceOperation => {
      const at = index * 5;
      const times = { client: `c${index}`, key: 'x', start: at - before, input: asked };
      const possible = byItself(state);
      const [answer, next] = applyPlain(possible[chance] ?? state, asked, index + 1);
      if (!isOpen || chance % 2 === 0) state = next;
      if (isOpen) return { ...times, end: Infinity, output: undefined };
      const output = isTelling || answer.kind !== 'refused' ? answer : { kind: answer.kind, reason: answer.reason };
      return { ...times, end: at + after, output };
    },
  );
  const [one, other] = (swapped ?? []).map((index) => operations[index]);
  if (one?.output === undefined || other?.output === undefined) return operations;
  return operations.map((operation) => {
    if (operation === one) return { ...operation, output: other.output };
    return operation === other ? { ...operation, output: one.output } : operation;
  });
}

const incarnationsMax = 7;

/** All that may follow: what happens by itself first, and each incarnation that may have been given out. */
const successors: Successors<InstanceInput, InstanceOutput, PlainInstance> = (state, asked, output) => {
  const next = new Map<string, PlainInstance>();
  for (const now of byItself(state)) {
    for (const given of incarnationsAbove(state.floor)) {
      const [answer, after] = applyPlain(now, asked, given);
      if (output === undefined || isAnswer(answer, output)) next.set(JSON.stringify(after), after);
    }
  }
  return [...next.values()];
};

/** One that no answer tells, and all that one may tell. */
function incarnationsAbove(floor: number): readonly number[] {
  const told = Array.from({ length: incarnationsMax }, (_, index) => index + 1);
  return [floor + 0.5, ...told.filter((is) => is > floor)];
}

function isAnswer(answer: InstanceOutput, told: InstanceOutput): boolean {
  if (answer.kind !== 'refused' || told.kind !== 'refused') return isDeepStrictEqual(answer, told);
  return answer.reason === told.reason && (told.incarnation ?? answer.incarnation) === answer.incarnation;
}

describe('the model of an instance, against each thing that may happen', () => {
  it('says the same, also where reads tell of what was never answered', () => {
    const seen = { true: 0, false: 0 };
    // More of them by hand: each looks at every order of up to six operations.
    const numRuns = Number(process.env['ROLLCALL_PROPERTY_RUNS'] ?? '600');
    fc.assert(
      fc.property(history, (drawn) => {
        const operations = operationsOf(drawn);
        const expected = isOrderable(operations, plainNothing, successors);
        seen[`${expected}`] += 1;
        const model = instanceModelFor(operations);
        expect(checkLinearizable(operations, model).ok).toBe(expected);
        expect(checkInstances(operations).ok).toBe(expected);
      }),
      { numRuns },
    );
    expect(Math.min(seen.true, seen.false)).toBeGreaterThan(numRuns / 10);
  });
});
