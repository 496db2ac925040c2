import type { RaftCore } from '../raft/raft-core.ts';

const pieceEntries = 4_096;

/**
 * The greatest index, at most `upto`, behind which at least `share` (0 to 1) of the kept entries' bytes remain; 0 where
 * there is none.
 */
export function compactableIndex(core: RaftCore, share: number, upto: number): number {
  const { base, lastIndex, keptBytes } = core.status();
  const leave = keptBytes * share;
  let left = keptBytes;
  let result = 0;
  const end = Math.min(upto, lastIndex) + 1;
  // By pieces: a large log would be copied whole, although the search ends half way.
  for (let from = base.index + 1; from < end; from += pieceEntries) {
    for (const entry of core.entriesBetween(from, Math.min(from + pieceEntries, end))) {
      left -= entry.data.length;
      if (left < leave) return result;
      result = entry.index;
    }
  }
  return result;
}
