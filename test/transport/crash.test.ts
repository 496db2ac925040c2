import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

async function run(where: string): Promise<{ code: number | null; error: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'crash-child.ts'), where], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let error = '';
  child.stderr.on('data', (text: Buffer) => (error += text.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, error };
}

describe('a broken invariant in the owner', () => {
  it.each(['onBatch', 'onSnapshot', 'onForm', 'onConnected', 'onStreamEnded'])(
    'in %s ends the process, whoever called',
    async (where) => {
      const { code, error } = await run(where);
      expect(error).toContain(`broken in ${where}`);
      expect(code).not.toBe(0);
    },
  );

  it('that does not happen leaves a program that ends by itself', async () => {
    expect(await run('nowhere')).toEqual({ code: 0, error: '' });
  });
});
