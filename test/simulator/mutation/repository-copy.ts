import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { applyDiff } from './unified-diff.ts';
import type { UnifiedDiff } from './unified-diff.ts';

/** The root of the repository that this file belongs to. */
export const repositoryRoot = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** All that tests and scripts need to run; node_modules is reached by a symbolic link. */
const copied = [
  'src',
  'test',
  'scripts',
  'proto',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'vitest.config.ts',
] as const;

/**
 * A copy of the repository in a temporary directory, in which sources may be broken on purpose. Made and changed
 * synchronously; `remove()` takes it away.
 */
export class RepositoryCopy {
  readonly directory: string;
  readonly #onExit = (): void => rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });

  /** @param root What is copied; default: this repository. */
  constructor(root = repositoryRoot) {
    this.directory = mkdtempSync(join(tmpdir(), `rollcall-mutant-${process.pid}-`));
    process.once('exit', this.#onExit);
    for (const name of copied) {
      const source = join(root, name);
      if (existsSync(source)) cpSync(source, join(this.directory, name), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(this.directory, 'node_modules'), 'dir');
  }

  /** Breaks the copy as the diff says. Throws, and changes nothing, where the diff does not fit. */
  apply(name: string, diff: UnifiedDiff): void {
    const changed = applyDiff(name, diff, (path) => (existsSync(this.#at(path)) ? this.read(path) : undefined));
    for (const [path, text] of changed) this.write(path, text);
  }

  read(path: string): string {
    return readFileSync(this.#at(path), 'utf8');
  }

  write(path: string, text: string): void {
    writeFileSync(this.#at(path), text);
  }

  remove(): void {
    process.off('exit', this.#onExit);
    this.#onExit();
  }

  #at(path: string): string {
    return join(this.directory, path);
  }
}
