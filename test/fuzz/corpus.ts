import type { CorpusEntry } from '../../scripts/fuzz/cases.ts';

export const corpus: readonly CorpusEntry[] = [
  { name: 'register, acceptable', method: 'Register', messages: [Buffer.from('0a0512017822', 'hex')] },
];
