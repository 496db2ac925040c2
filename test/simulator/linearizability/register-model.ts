import { unreachable } from '../../../src/base/assert.ts';
import type { Model } from './types.ts';

export type RegisterInput =
  | { readonly kind: 'read' }
  | { readonly kind: 'write'; readonly value: number }
  | { readonly kind: 'cas'; readonly from: number; readonly to: number };

/** null: nothing was written yet. */
type Value = number | null;

export type RegisterOutput =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'written' }
  | { readonly kind: 'swapped'; readonly swapped: boolean };

/** A register of one number, with compare and set. */
export const registerModel: Model<RegisterInput, RegisterOutput, Value> = {
  initial: () => null,
  step(state, input, output) {
    switch (input.kind) {
      case 'read':
        if (output === undefined) return undefined;
        return output.kind === 'value' && output.value === state ? state : undefined;
      case 'write':
        return output === undefined || output.kind === 'written' ? input.value : undefined;
      case 'cas': {
        const swapped = output === undefined || (output.kind === 'swapped' && output.swapped);
        if (!swapped) return output.kind === 'swapped' && state !== input.from ? state : undefined;
        return state === input.from ? input.to : undefined;
      }
      default:
        return unreachable(input);
    }
  },
  identify: (state) => state ?? 'nothing',
  describe: (input, output) => `${describeInput(input)} -> ${describeOutput(output)}`,
  describeState: (state) => (state === null ? 'nothing' : `${state}`),
};

function describeInput(input: RegisterInput): string {
  switch (input.kind) {
    case 'read':
      return 'read';
    case 'write':
      return `write ${input.value}`;
    case 'cas':
      return `change ${input.from} to ${input.to}`;
    default:
      return unreachable(input);
  }
}

function describeOutput(output: RegisterOutput | undefined): string {
  if (output === undefined) return 'unknown';
  switch (output.kind) {
    case 'value':
      return output.value === null ? 'nothing' : `${output.value}`;
    case 'written':
      return 'written';
    case 'swapped':
      return output.swapped ? 'changed' : 'was another';
    default:
      return unreachable(output);
  }
}
