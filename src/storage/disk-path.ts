import { assert } from '../base/assert.ts';

/** Throws InvariantError unless `path` stays below the disk's root; '' is the root itself. */
export function assertRelativePath(path: string): void {
  if (path === '') return;
  const sound = path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && !part.includes('\0'));
  assert(sound, () => `not a path below the disk's root: ${JSON.stringify(path)}`);
}

/** The directory that holds `path`; '' is the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? '' : path.slice(0, slash);
}

/** The last part of `path`. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
