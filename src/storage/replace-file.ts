import type { Disk } from './disk.ts';
import { parentOf } from './disk-path.ts';

/** Ending of the file that is written before it takes the name of another. */
export const temporarySuffix = '.tmp';

/**
 * Replaces a small file so that, whatever happens, either the old content or the new one is there: a temporary file is
 * written and synced, renamed, and the directory synced. Durable when it resolves. One at a time for one path.
 */
export async function replaceFile(disk: Disk, path: string, content: Uint8Array): Promise<void> {
  const temporary = path + temporarySuffix;
  await disk.writeWhole(temporary, content);
  await disk.rename(temporary, path);
  await disk.syncDirectory(parentOf(path));
}

/** Removes what a crash in `replaceFile` left behind. */
export async function removeTemporary(disk: Disk, path: string): Promise<void> {
  if (await disk.exists(path + temporarySuffix)) await disk.remove(path + temporarySuffix);
}
