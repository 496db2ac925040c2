import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mutantNames, mutantText, plant } from './mutant-hunt.ts';

// Hunting them takes minutes (`scripts/explore.ts --mutants all`); that each still fits the sources is seen here.
describe('planted faults of the core', () => {
  let directory = '';

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rollcall-plant-'));
    cpSync(join(import.meta.dirname, '../../../src/raft'), join(directory, 'src/raft'), { recursive: true });
  });

  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  it('are ten at least', () => {
    expect(mutantNames().length).toBeGreaterThanOrEqual(10);
  });

  it.each(mutantNames())('%s says what is wrong, and applies', (name) => {
    expect(mutantText(name)).toMatch(/^[A-Z].*\.\n/s);
    expect(() => plant(name, directory)).not.toThrow();
    // Once more, it does not fit any longer: the first time has changed something.
    expect(() => plant(name, directory)).toThrow('does not apply');
  });
});
