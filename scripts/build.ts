// Compiles src/ to dist/, puts beside it the generated protobuf code, which the compiler leaves alone, and removes what
// has no source any more. A second build compiles only what changed.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const source = join(root, 'src');
const target = join(root, 'dist');

function compile(): void {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const run = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
  if (run.status !== 0) process.exit(run.status ?? 1);
}

/** `cli/launcher.cjs.map` and `cli/launcher.cjs` come from `cli/launcher.cts`. */
function sourceOf(output: string): string {
  return output.replace(/\.map$/, '').replace(/\.(c?)js$/, '.$1ts');
}

function removeOrphans(): void {
  for (const output of readdirSync(target, { recursive: true, encoding: 'utf8' })) {
    if (!/\.c?js(?:\.map)?$/.test(output) || output.startsWith('gen')) continue;
    if (!existsSync(join(source, sourceOf(output)))) rmSync(join(target, output));
  }
}

compile();
removeOrphans();
cpSync(join(source, 'gen'), join(target, 'gen'), { recursive: true });
chmodSync(join(target, 'cli/launcher.cjs'), 0o755);
