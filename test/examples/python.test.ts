import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../tidy/project.ts';
import { expectSurvival } from './survival.ts';

const cwd = join(root, 'examples/python');
const python = join(cwd, '.venv/bin/python');

it('the example in Python survives the loss of any member', async (context) => {
  if (spawnSync(python, ['-c', 'import grpc, grpc_tools, google.rpc.status_pb2']).status !== 0) {
    context.skip('needs Python 3.10 with grpcio: run the first command of examples/python/README.md');
  }
  const generated = spawnSync(python, ['generate.py'], { cwd, encoding: 'utf8' });
  expect(generated).toMatchObject({ stderr: '', status: 0 });
  await expectSurvival({ file: python, args: ['main.py'], cwd });
}, 240_000);
