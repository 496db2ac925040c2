// The requests of corpus.txt: kept for good, sent as they are and with changes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CorpusEntry } from '../../scripts/fuzz/cases.ts';

export const corpus: readonly CorpusEntry[] = readFileSync(join(import.meta.dirname, 'corpus.txt'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => entryOf(line));

function entryOf(line: string): CorpusEntry {
  const [method, name, messages] = line.split(' | ');
  if (method === undefined || name === undefined || messages === undefined) throw new Error(`corpus: ${line}`);
  return { method, name, messages: messages.split(' ').map((text) => bytesOf(text, name)) };
}

/** `0a0b(2200)*3;` is 0a0b220022002200; `-` is no byte at all. */
function bytesOf(text: string, name: string): Buffer {
  if (text === '-') return Buffer.alloc(0);
  const parts = [...text.matchAll(/\(([0-9a-f]+)\)\*(\d+);|([0-9a-f]+)/g)];
  if (parts.map(([whole]) => whole).join('') !== text) throw new Error(`corpus: ${name}: ${text} is not hex`);
  return Buffer.concat(
    parts.map(([, repeated, count, plain]) =>
      repeated === undefined
        ? Buffer.from(plain ?? '', 'hex')
        : Buffer.alloc((repeated.length / 2) * Number(count), Buffer.from(repeated, 'hex')),
    ),
  );
}
