import type { Model, Operation } from './types.ts';

/** What a state may become by one operation: all of it, also what happens by itself before. */
export type Successors<Input, Output, State> = (
  state: State,
  input: Input,
  output: Output | undefined,
) => readonly State[];

export function successorsOf<Input, Output, State>(
  model: Model<Input, Output, State>,
): Successors<Input, Output, State> {
  return (state, input, output) => {
    const next = model.step(state, input, output);
    return next === undefined ? [] : [next];
  };
}

/**
 * The simplest second version of the checker, for one key and few operations: every order of the answered operations,
 * with every choice of the open ones at every place, tried to its end.
 */
export function isOrderable<Input, Output, State>(
  operations: readonly Operation<Input, Output>[],
  initial: State,
  successors: Successors<Input, Output, State>,
): boolean {
  if (operations.every(({ end }) => end === Infinity)) return true;
  return operations.some((next) => {
    const rest = operations.filter((other) => other !== next);
    const isTooLate = rest.some((other) => endOf(other) < next.start);
    if (isTooLate) return false;
    const inTime = rest.filter((other) => (other.latest ?? Infinity) >= next.start);
    return successors(initial, next.input, next.output).some((state) => isOrderable(inTime, state, successors));
  });
}

function endOf({ end }: Operation<unknown, unknown>): number {
  return end;
}
