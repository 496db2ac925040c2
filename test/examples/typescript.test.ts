import { join } from 'node:path';
import { it } from 'vitest';
import { root } from '../tidy/project.ts';
import { expectSurvival } from './survival.ts';

it('the example in TypeScript survives the loss of any member', async () => {
  const main = join(root, 'examples/typescript/main.ts');
  await expectSurvival({ file: process.execPath, args: ['--import', 'tsx', main], cwd: root });
}, 240_000);
