export interface WatchBounds {
  readonly watchesPerStreamMax: number;
  /** ENDED batches that may wait for a client that does not read. */
  readonly endingsPerStreamMax: number;
  /** Encoded batches that wait for one stream's sink. Beyond, a watch keeps its position only, and is told less. */
  readonly backlogBytesMax: number;
  /** The same over all streams, each batch counted once however many wait for it. */
  readonly backlogsBytesMax: number;
  /** One WatchResponse, unless a single event is larger. */
  readonly partBytesMax: number;
  /**
   * The same for what is made because a watch asks: snapshots and what it missed. A part is a copy in the sink of each
   * stream, so that 1,000 streams that stop reading hold 128 MiB of them at most.
   */
  readonly catchUpPartBytesMax: number;
  /** What a slow reader missed is told change by change up to this; beyond, each instance once. */
  readonly plainCatchUpBytesMax: number;
  /** Changed keys that are kept for slow readers, of all services together. */
  readonly changedKeysBytesMax: number;
  /** So long may coalesced changes that were made for one slow reader be sent to others. */
  readonly changesReuseMs: number;
  /** All snapshots and coalesced changes that are held, of all watches together. */
  readonly snapshotBytesMax: number;
  /** Of those, how much is kept when nobody is being sent it, for the next watch of the same service. */
  readonly snapshotCacheBytesMax: number;
  /** A reader that takes nothing of its begun snapshot for so long loses it when others need the room. */
  readonly snapshotStallMs: number;
  /** Bytes of snapshots and of what was missed that are made in one turn of the loop: 2 to 5 ms. */
  readonly turnWorkBytesMax: number;
}

const kib = 1024;
const mib = 1024 * kib;

export const watchBounds: WatchBounds = {
  watchesPerStreamMax: 1_000,
  endingsPerStreamMax: 2_000,
  backlogBytesMax: 4 * mib,
  backlogsBytesMax: 64 * mib,
  partBytesMax: mib,
  catchUpPartBytesMax: 128 * kib,
  plainCatchUpBytesMax: 64 * kib,
  changedKeysBytesMax: 64 * mib,
  changesReuseMs: 1_000,
  snapshotBytesMax: 256 * mib,
  snapshotCacheBytesMax: 16 * mib,
  snapshotStallMs: 10_000,
  turnWorkBytesMax: 512 * kib,
};
