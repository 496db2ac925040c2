import { importsOf } from './project.ts';
import type { SourceFile } from './source-text.ts';

/** The files of src/ that package.json starts or exports: `dist/cli/launcher.cjs` comes from src/cli/launcher.cts. */
export function entryFiles(packageJson: string): string[] {
  return [...packageJson.matchAll(/"(?:\.\/)?dist\/([^"*]+)\.(c?)js"/g)].map(
    ([, name = '', common = '']) => `src/${name}.${common}ts`,
  );
}

/**
 * Complaints about files of src/ that no entry needs. A file whose only importer is the test that mirrors it is dead
 * all the same; other tests and scripts may be the only users of an in-memory twin.
 */
export function deadFiles(files: readonly SourceFile[], entries: readonly string[]): string[] {
  const used = new Set(entries);
  for (const file of files) {
    for (const { target } of importsOf(file)) {
      if (target !== undefined && target !== file.path && mirrored(file.path) !== target) used.add(target);
    }
  }
  return files
    .map((file) => file.path)
    .filter((path) => path.startsWith('src/') && !used.has(path))
    .map((path) => `${path}: nothing imports it`);
}

/** `src/a/b.ts` for `test/a/b.test.ts`. */
function mirrored(path: string): string {
  return path.replace(/^test\//, 'src/').replace(/(?:\.\w+)?\.test\.ts$/, '.ts');
}
