// `npm test`: everything that must hold before a change goes in, stage by stage, stopping at the first that fails.
// Arguments go to the last stage: `npm test -- test/raft`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

type Stage = { readonly name: string; readonly command: string; readonly args: readonly string[] };

const root = join(import.meta.dirname, '..');
const node = process.execPath;

function tool(path: string): string {
  return join(root, 'node_modules', path);
}

const tsx = ['--import', 'tsx'];
const stages: readonly Stage[] = [
  { name: 'lint', command: node, args: [tool('oxlint/bin/oxlint'), '--type-aware', '--deny-warnings'] },
  { name: 'format', command: node, args: [tool('@biomejs/biome/bin/biome'), 'format', '.'] },
  { name: 'types', command: node, args: [tool('typescript/bin/tsc'), '--noEmit', '-p', '.'] },
  { name: 'build', command: node, args: [...tsx, 'scripts/build.ts'] },
  { name: 'generated code', command: node, args: [...tsx, 'scripts/generate.ts', '--check'] },
  { name: 'reference of the interface', command: node, args: [...tsx, 'scripts/docs-api.ts', '--check'] },
  { name: 'tests', command: node, args: [tool('vitest/vitest.mjs'), 'run', ...process.argv.slice(2)] },
];

function seconds(fromMs: number): string {
  return `${((performance.now() - fromMs) / 1000).toFixed(1)} s`;
}

const startMs = performance.now();
let failed: string | undefined;
for (const [index, { name, command, args }] of stages.entries()) {
  const stageStartMs = performance.now();
  process.stdout.write(`\n== ${index + 1}/${stages.length} ${name}\n`);
  const run = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (run.status !== 0) {
    failed = `${name} (${run.error?.message ?? run.signal ?? `exit code ${run.status}`})`;
    break;
  }
  process.stdout.write(`== ${name}: ok, ${seconds(stageStartMs)}\n`);
}
if (failed === undefined) {
  process.stdout.write(`\nall ${stages.length} stages passed in ${seconds(startMs)}\n`);
} else {
  process.stderr.write(`\nFAILED at ${failed} after ${seconds(startMs)}\n`);
  process.exitCode = 1;
}
