import type { Model, Operation } from './types.ts';

const shownBefore = 12;
const shownStuck = 20;

interface Stuck<Input, Output, State> {
  readonly ordered: readonly Operation<Input, Output>[];
  readonly stuck: readonly Operation<Input, Output>[];
  readonly state: State;
}

/** What cannot be, in lines for a person: the end of the longest order found, and what does not fit behind it. */
export function explain<Input, Output, State>(
  key: string,
  { ordered, stuck, state }: Stuck<Input, Output, State>,
  model: Model<Input, Output, State>,
): string {
  const line = (operation: Operation<Input, Output>): string => `  ${describe(operation, model)}`;
  const left = ordered.length > shownBefore ? `, the last ${shownBefore} of them` : '';
  const more = stuck.length > shownStuck ? [`  and ${stuck.length - shownStuck} more`] : [];
  return [
    `${key}: not linearizable`,
    `The longest order found has ${ordered.length} operations${left}:`,
    ...ordered.slice(-shownBefore).map(line),
    `Behind them it is: ${model.describeState(state)}`,
    'None of these can come next, and one of them would have to:',
    ...stuck.slice(0, shownStuck).map(line),
    ...more,
  ].join('\n');
}

/** One operation on a line. */
export function describe<Input, Output, State>(
  { client, start, end, input, output }: Operation<Input, Output>,
  model: Model<Input, Output, State>,
): string {
  const until = end === Infinity ? 'never answered' : `${end}`;
  return `[${start} .. ${until}] ${client}: ${model.describe(input, output)}`;
}
