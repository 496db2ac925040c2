// What no tool checks for us: who may import whom, calls that only the edge may make, length, leftovers. Each check is
// itself tested in test/tidy/*.test.ts by text that it must refuse.
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { bannedCalls } from './tidy/banned-calls.ts';
import { deadFiles, entryFiles } from './tidy/dead-files.ts';
import { dependencyFaults } from './tidy/dependencies.ts';
import { floorBreaches, readFloors } from './tidy/floors.ts';
import { readSources, readText, repositoryPaths } from './tidy/project.ts';
import { tooLong } from './tidy/shape.ts';
import { bannedWordsIn, lockfileHosts } from './tidy/words.ts';

const manifest = z.object({
  dependencies: z.record(z.string(), z.string()),
  devDependencies: z.record(z.string(), z.string()),
});

describe('the repository is tidy', () => {
  const sources = readSources();
  const architecture = readText('docs/ARCHITECTURE.md');
  const floors = readFloors(architecture);

  it('reads the sources', () => {
    expect(sources.map((file) => file.path)).toContain('src/base/assert.ts');
  });

  it('imports lower floors only', () => {
    expect(floorBreaches(sources, floors)).toEqual([]);
  });

  it('leaves clock, randomness, process and console to those who own them', () => {
    expect(bannedCalls(sources, floors)).toEqual([]);
  });

  it('keeps files, functions and lines short', () => {
    expect(tooLong(sources)).toEqual([]);
  });

  it('holds no leftovers and no paths or hosts of one machine', () => {
    expect(repositoryPaths().flatMap((path) => bannedWordsIn(path, readText(path)))).toEqual([]);
    expect(lockfileHosts(readText('package-lock.json'))).toEqual([]);
  });

  it('has no file that nothing imports', () => {
    expect(deadFiles(sources, entryFiles(readText('package.json')))).toEqual([]);
  });

  it('pins, uses and explains each dependency', () => {
    expect(dependencyFaults(sources, manifest.parse(JSON.parse(readText('package.json'))), architecture)).toEqual([]);
  });
});
