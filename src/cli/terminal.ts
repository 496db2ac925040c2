import { createInterface } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import type { Screen } from './context.ts';

const usualColumns = 80;
const usualRows = 24;

/** Resolves with the line that is typed; with an empty one at Ctrl-C and where the input ends. */
export function askOnTerminal(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  return new Promise((resolve) => {
    lines.once('close', () => resolve(''));
    lines.once('SIGINT', () => {
      process.stderr.write('\n');
      lines.close();
    });
    lines.question(question, (answer) => {
      resolve(answer);
      lines.close();
    });
  });
}

export function screenOf(input: ReadStream, output: WriteStream): Screen {
  return {
    // A terminal that does not know its size says 0.
    size: () => ({ columns: output.columns || usualColumns, rows: output.rows || usualRows }),
    onKey: (listener) => {
      const take = (bytes: Buffer): void => {
        for (const key of bytes.toString('utf8')) listener(key);
      };
      input.setRawMode(true);
      input.on('data', take);
      input.resume();
      return () => {
        input.off('data', take);
        input.setRawMode(false);
        input.pause();
      };
    },
  };
}
