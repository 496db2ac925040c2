import { unreachable } from '../../../src/base/assert.ts';
import type { Model } from './types.ts';

export type TextInput =
  | { readonly kind: 'get' }
  | { readonly kind: 'put'; readonly text: string }
  | { readonly kind: 'append'; readonly text: string };

export type TextOutput = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'done' };

/** A text under a key, empty at first, which is put, prolonged and read. */
export const textModel: Model<TextInput, TextOutput, string> = {
  initial: () => '',
  step(state, input, output) {
    if (input.kind === 'get') return output?.kind === 'text' && output.text === state ? state : undefined;
    if (output?.kind === 'text') return undefined;
    return input.kind === 'put' ? input.text : state + input.text;
  },
  identify: (state) => state,
  describe: (input, output) => `${describeInput(input)} -> ${describeOutput(output)}`,
  describeState: (state) => JSON.stringify(state),
};

function describeInput(input: TextInput): string {
  switch (input.kind) {
    case 'get':
      return 'get';
    case 'put':
    case 'append':
      return `${input.kind} ${JSON.stringify(input.text)}`;
    default:
      return unreachable(input);
  }
}

function describeOutput(output: TextOutput | undefined): string {
  if (output === undefined) return 'unknown';
  return output.kind === 'text' ? JSON.stringify(output.text) : 'done';
}
