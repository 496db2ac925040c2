import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from './repository-copy.ts';
import { applyDiff, parseDiff } from './unified-diff.ts';
import type { UnifiedDiff } from './unified-diff.ts';

/** One bug that is planted to see whether the simulator finds it. */
export interface PlantedBug {
  /** Of the file test/simulator/mutants/NAME.patch. */
  readonly name: string;
  readonly title: string;
  /** Which promise it breaks. */
  readonly breaks: string;
  /** What a checker can notice of it. */
  readonly seenBy: string;
  readonly diff: UnifiedDiff;
}

/** The one that must always be found quickly: where it is not, the simulator itself is broken. */
export const canaryName = 'canary';

/** A planted bug is a slip, not another design. */
export const changedLinesMax = 14;

export const plantedBugsDirectory = join(repositoryRoot, 'test/simulator/mutants');

/** All planted bugs by name. Throws an Error that names the file where one has no head or is no diff of src/. */
export function plantedBugs(directory = plantedBugsDirectory): PlantedBug[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith('.patch'))
    .sort()
    .map((file) => plantedBug(file.slice(0, -'.patch'.length), readFileSync(join(directory, file), 'utf8')));
}

export function plantedBug(name: string, text: string): PlantedBug {
  const diff = parseDiff(name, text);
  for (const { path } of diff.files) {
    if (!/^src\/[\w./-]+\.ts$/.test(path)) throw new Error(`${name}: ${path} is no source of src/`);
  }
  const lines = Math.max(diff.linesRemoved, diff.linesAdded);
  if (lines > changedLinesMax) throw new Error(`${name}: ${lines} changed lines, at most ${changedLinesMax}`);
  const part = (label: string): string => {
    const found = new RegExp(`(?:^|\\n)${label}: ([^]+?)(?=\\n[A-Z][a-z ]+: |$)`).exec(diff.head)?.[1];
    if (found === undefined) throw new Error(`${name}: its head has no line "${label}: ..."`);
    return found.replaceAll(/\s+/g, ' ').trim();
  };
  return { name, title: part('Title'), breaks: part('Breaks'), seenBy: part('Seen by'), diff };
}

/** The sources as the bug leaves them, by path. Throws where the bug does not apply to those of `root`. */
export function brokenSources(bug: PlantedBug, root = repositoryRoot): Map<string, string> {
  return applyDiff(bug.name, bug.diff, (path) => {
    const file = join(root, path);
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  });
}
