// Compiles src/ to dist/ and puts beside it what the compiler does not carry over: the generated protobuf code.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const compiled = spawnSync(
  process.execPath,
  [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
  {
    cwd: root,
    stdio: 'inherit',
  },
);
if (compiled.status !== 0) process.exit(compiled.status ?? 1);
const generated = join(root, 'src/gen');
if (existsSync(generated)) cpSync(generated, join(root, 'dist/gen'), { recursive: true });
chmodSync(join(root, 'dist/cli/launcher.cjs'), 0o755);
