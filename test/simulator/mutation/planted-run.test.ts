import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { boundedRun } from './bounded-run.ts';
import { plantedBug } from './planted-bugs.ts';
import { medianOf, plantedTable, runPlantedBugs } from './planted-run.ts';
import type { PlantedResult } from './planted-run.ts';
import { repositoryRoot } from './repository-copy.ts';
import { replayCommand, simulatorCommand, simulatorFinding } from './simulator-run.ts';

let root = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rollcall-planted-test-'));
  mkdirSync(join(root, 'src'));
  mkdirSync(join(root, 'scripts'));
  symlinkSync(join(repositoryRoot, 'node_modules'), join(root, 'node_modules'), 'dir');
});

afterEach(() => rmSync(root, { recursive: true }));

function bugOf(name: string, before: string, after: string): ReturnType<typeof plantedBug> {
  const head = `Title: ${name}\nBreaks: R1.\nSeen by: a read.\n\n`;
  return plantedBug(name, `${head}--- a/src/a.ts\n+++ b/src/a.ts\n@@ -1 +1 @@\n-${before}\n+${after}\n`);
}

/** Finds `wrong` and `weak` in src/a.ts, goes on without an end at `hang`, and fails without a word at `crash`. */
const simulator = `
  const text = require('node:fs').readFileSync('src/a.ts', 'utf8');
  if (text.includes('hang')) setInterval(() => {}, 1000);
  if (text.includes('crash')) process.exit(7);
  if (text.includes('wrong') || text.includes('weak')) {
    const seed = process.argv[process.argv.indexOf('--first-seed') + 1];
    console.log('progress');
    console.log('BREACH seed=' + seed + ' profile=mixed checker=reader acknowledged write lost');
    process.exitCode = 1;
  }
`;
const command = JSON.stringify([process.execPath, '-e', simulator, '--']);

describe('runPlantedBugs', () => {
  it('tells for each bug by which checker it was found, not found, or why nobody knows', async () => {
    writeFileSync(join(root, 'src/a.ts'), 'right\n');
    const copies = copiesNow();
    const said: string[] = [];
    const results = await runPlantedBugs({
      bugs: [
        bugOf('found', 'right', 'wrong'),
        bugOf('missed', 'right', 'right as well'),
        bugOf('broken', 'right', 'crash'),
        bugOf('stale', 'something else', 'wrong'),
      ],
      minutesEach: 0.1,
      firstSeed: 5,
      lanes: 2,
      simulator: command,
      root,
      say: (line) => said.push(line),
    });
    expect(results.map(({ bug, finding }) => [bug.name, finding])).toEqual([
      ['found', { checker: 'reader', seed: '5', profile: 'mixed' }],
      ['missed', undefined],
      ['broken', undefined],
      ['stale', undefined],
    ]);
    expect(results.map(({ trouble }) => trouble)).toEqual([
      undefined,
      undefined,
      expect.stringContaining('ended with exit code 7 and named no breach'),
      'stale: the hunk of src/a.ts line 1 no longer applies',
    ]);
    expect(said).toHaveLength(4);
    expect(plantedTable(results)).toContain('1 of 4 found; median none, since too few were found');
    expect(copiesNow()).toEqual(copies);
  });
});

describe('a breach that the sources have without the bug', () => {
  it('counts for nothing', async () => {
    writeFileSync(join(root, 'src/a.ts'), 'weak\n');
    const [result] = await runPlantedBugs({
      bugs: [bugOf('found', 'weak', 'wrong')],
      minutesEach: 0.1,
      firstSeed: 1,
      lanes: 1,
      simulator: command,
      root,
      say: () => undefined,
    });
    expect(result?.finding).toBeUndefined();
    expect(result?.trouble).toBe('seed 1 breaches (reader) without the bug as well; it was found by reader');
  });
});

function copiesNow(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith(`rollcall-mutant-${process.pid}-`));
}

describe('boundedRun', () => {
  it('kills the whole group at the limit', async () => {
    const child = "require('node:child_process').spawn('sleep', ['1000'], { stdio: 'inherit' }); console.log('up');";
    const outcome = await boundedRun([process.execPath, '-e', `${child} setInterval(() => {}, 1000);`], {
      directory: root,
      limitMs: 1_000,
    });
    // It ends only when nobody holds its output open, so the grandchild is gone too.
    expect(outcome).toMatchObject({ exitCode: undefined, timedOut: true, standardOutput: 'up\n' });
  });

  it('tells exit code and both outputs, and passes lines on as they come', async () => {
    const lines: string[] = [];
    const script = "console.log('one'); process.stdout.write('two'); console.error('three'); process.exitCode = 3;";
    const outcome = await boundedRun([process.execPath, '-e', script], {
      directory: root,
      limitMs: 10_000,
      onLine: (line) => lines.push(line),
    });
    expect(outcome).toMatchObject({
      exitCode: 3,
      timedOut: false,
      standardOutput: 'one\ntwo',
      standardError: 'three\n',
    });
    expect(lines).toEqual(['one', 'two']);
  });

  it('rejects where the program is not there', async () => {
    await expect(boundedRun([join(root, 'none')], { directory: root, limitMs: 1_000 })).rejects.toThrow(/ENOENT/);
  });
});

describe('the command of the simulator', () => {
  it('gets its options behind the injected words', () => {
    const options = '--until-breach --minutes 3 --first-seed 7 --workers 1';
    expect(simulatorCommand('["a","b"]', 3, 7).join(' ')).toBe(`a b ${options}`);
    const finding = { seed: '9', checker: 'c', profile: 'leases' };
    expect(replayCommand('["a"]', finding).join(' ')).toBe('a --seed 9 --profile leases --quiet');
    expect(simulatorCommand(undefined, 1, 1)).toContain('scripts/simulate.ts');
    expect(() => simulatorCommand('"a"', 1, 1)).toThrow(/expected a JSON list/);
  });

  it('means a breach only with exit code 1 and its line', () => {
    const outcome = { timedOut: false, elapsedMs: 1, standardOutput: 'BREACH seed=3 checker=c d', standardError: '' };
    expect(simulatorFinding({ ...outcome, exitCode: 1 })).toEqual({ seed: '3', checker: 'c', profile: 'mixed' });
    expect(simulatorFinding({ ...outcome, exitCode: 0 })).toBeUndefined();
    expect(() => simulatorFinding({ ...outcome, exitCode: 2 })).toThrow(/exit code 2/);
    expect(() => simulatorFinding({ ...outcome, exitCode: 1, standardOutput: '' })).toThrow(/named no breach/);
    expect(() => simulatorFinding({ ...outcome, exitCode: undefined, timedOut: true })).toThrow(/did not end/);
  });
});

describe('plantedTable', () => {
  it('has the slowest first, and the median with what was not found as endless', () => {
    const bug = bugOf('a', 'b', 'c');
    const of = (seconds: number, checker?: string): PlantedResult => {
      return {
        bug,
        finding: checker === undefined ? undefined : { checker, seed: '1', profile: 'mixed' },
        trouble: undefined,
        seconds,
      };
    };
    const table = plantedTable([of(1, 'one'), of(3, 'three'), of(180)]).split('\n');
    expect(table.slice(2, 5).map((row) => row.split('|')[3]?.trim())).toEqual(['**not found**', 'three', 'one']);
    expect(table.at(-1)).toBe('2 of 3 found; median 3.0 s');
  });

  it('takes the middle of an even number', () => {
    expect([medianOf([4, 1, 3, 2]), medianOf([5]), medianOf([])]).toEqual([2.5, 5, Infinity]);
  });
});
