import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Directories of a member are for its owner alone. */
const directoryMode = 0o700;

/**
 * Makes a directory and those above it that are missing; nothing where it is there. One level at a time, because the
 * recursive mkdir of Node never returns where a parent is there and takes no entries, as below /proc.
 *
 * @param path Absolute.
 */
export async function makeDirectories(path: string): Promise<void> {
  if (await made(path)) return;
  await makeDirectories(dirname(path));
  if (!(await made(path))) throw new Error(`cannot create ${path}: its parent takes no directories`);
}

/** False where the parent is missing. */
async function made(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: directoryMode });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return true;
    // At the root there is no further parent to make.
    if (code === 'ENOENT' && dirname(path) !== path) return false;
    throw error;
  }
}
