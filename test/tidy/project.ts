import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { must } from '../../src/base/assert.ts';
import type { SourceFile } from './source-text.ts';
import { lineOf, sourceFile } from './source-text.ts';

export const root = join(import.meta.dirname, '../..');

/** Where one file names another, or a package. */
export type Import = {
  readonly specifier: string;
  /** The file meant, from the root of the repository; undefined for a package or a module of Node. */
  readonly target: string | undefined;
  readonly line: number;
};

const skippedFolders: ReadonlySet<string> = new Set([
  'node_modules',
  'dist',
  '.git',
  '.rollcall',
  'coverage',
  // Of the examples in Python and Go: installed and generated.
  '.venv',
  '__pycache__',
  'build',
  'rollcallv1',
]);

/** Paths, from the root, of all files that belong to the repository, sorted. */
export function repositoryPaths(): string[] {
  const found: string[] = [];
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = posix.join(folder, entry.name);
      if (entry.isDirectory() && !skippedFolders.has(entry.name)) visit(path);
      else if (entry.isFile()) found.push(path);
    }
  };
  visit('');
  return found.sort();
}

export function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** All TypeScript that people wrote: src without the generated code, test, scripts. */
export function readSources(): SourceFile[] {
  return repositoryPaths()
    .filter((path) => /^(?:src|test|scripts)\/.*\.c?ts$/.test(path) && !isGenerated(path))
    .map((path) => sourceFile(path, readText(path)));
}

export function isGenerated(path: string): boolean {
  return path.startsWith('src/gen/');
}

/** The folder of src/ that a path lies in, such as `raft`; undefined outside src/. */
export function sourceFolder(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

const importForms = [
  /\b(?:import|export)\b[^'";=()]*?\bfrom\s*['"](?<from>[^'"]+)['"]/,
  /\bimport\s*\(?\s*['"](?<bare>[^'"]+)['"]/,
  /\bnew URL\(\s*['"](?<url>\.[^'"]+)['"]/,
];
const importPattern = new RegExp(importForms.map((form) => form.source).join('|'), 'g');

/** All imports of a file: static, type-only, dynamic, re-exports, and `new URL('./worker.ts', ...)`. */
export function importsOf(file: SourceFile): Import[] {
  return [...file.codeWithStrings.matchAll(importPattern)]
    .filter((match) => file.code.startsWith(match[0].slice(0, 3), match.index))
    .map((match) => {
      const groups = must(match.groups, 'groups of the import pattern');
      const specifier = must(groups['from'] ?? groups['bare'] ?? groups['url'], 'import specifier');
      const isRelative = specifier.startsWith('.');
      const target = isRelative ? posix.join(dirname(file.path), specifier) : undefined;
      return { specifier, target, line: lineOf(file.text, match.index) };
    });
}
