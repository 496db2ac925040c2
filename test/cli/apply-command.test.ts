// `rollcall apply` where not all of what is declared can be applied.
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { jsonDocuments } from '../../src/cli/json-documents.ts';
import type { RollcallProcess } from './rollcall-process.ts';
import { Scratch, startDev } from './rollcall-process.ts';
import { cli } from './run-cli.ts';

const scratch = new Scratch();
let dev: RollcallProcess;

beforeAll(async () => {
  const { process: started, address } = await startDev();
  dev = started;
  vi.stubEnv('ROLLCALL_SERVER', address);
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await dev.kill();
  scratch.remove();
});

function declared(service: string, count: number, last: string = ''): string {
  const lines = Array.from({ length: count }, (_, i) => {
    const id = `i${String(i).padStart(4, '0')}`;
    const more = i === count - 1 ? last : '';
    return `- { service: ${service}, id: ${id}, endpoints: [main=http://10.0.0.8:80]${more} }\n`;
  });
  const file = scratch.file(`${service}.yaml`);
  writeFileSync(file, `instances:\n${lines.join('')}`);
  return file;
}

/** Longer than members take, which only they know. */
const refusedTag = `, tags: [${'t'.repeat(129)}]`;

it('tells what it has applied and where it stopped, and goes on from there when it is run again', async () => {
  const file = declared('table', 1_002, refusedTag);
  const failed = await cli('apply', '-f', file);
  expect(failed.exitCode).toBe(exitCodes.usage);
  expect(failed.stdout.trimEnd().split('\n')).toHaveLength(1_000);
  expect(failed.stdout).toMatch(/^registered +table\/i0000: incarnation 1$/m);
  expect(failed.stderr).toContain('1000 registered, 0 replaced, 0 unchanged, 2 instances not applied');
  // By its place in the file, not by that in the batch.
  expect(failed.stderr).toMatch(/table\.yaml:1003: instances\[1001\]\.tags\[0\]: /);
  declared('table', 1_002);
  const again = await cli('apply', '-f', file);
  expect([again.exitCode, again.stderr.trimEnd()]).toEqual([0, '2 registered, 0 replaced, 1000 unchanged']);
}, 60_000);

it('prints a document of what is applied and one of the failure', async () => {
  const { exitCode, stdout, stderr } = await cli(
    'apply',
    '-f',
    declared('json', 1_001, refusedTag),
    '--output',
    'json',
  );
  expect(exitCode).toBe(exitCodes.usage);
  const applied = jsonDocuments['rollcall.apply.v1'].parse(JSON.parse(stdout));
  expect([applied.registered, applied.instances.length]).toEqual([1_000, 1_000]);
  const error = jsonDocuments['rollcall.error.v1'].parse(JSON.parse(stderr));
  expect(error).toMatchObject({ reason: 'INVALID_FIELD', field: 'instances[1000].tags[0]', mayHaveApplied: false });
  // Of a batch that is refused nothing is applied, and nothing is told as applied.
  const none = await cli('apply', '-f', declared('none', 3, refusedTag), '--output', 'json');
  expect([none.exitCode, none.stdout]).toEqual([exitCodes.usage, '']);
  const { stdout: found } = await cli('discover', 'none', '--output', 'json');
  expect(JSON.parse(found)).toMatchObject({ known: false, instances: [] });
}, 60_000);
