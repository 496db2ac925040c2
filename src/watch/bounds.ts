export interface WatchBounds {
  readonly watchesPerStreamMax: number;
  /** ENDED batches that may wait for a client that does not read. */
  readonly endingsPerStreamMax: number;
  /** Encoded batches that wait for one stream's sink. Beyond, a watch gets a reset in their place. */
  readonly backlogBytesMax: number;
  /** One WatchResponse, unless a single event is larger. */
  readonly partBytesMax: number;
  /** All snapshots that are held, of all watches together. */
  readonly snapshotBytesMax: number;
  /** Of those, how much is kept when nobody is being sent it, for the next watch of the same service. */
  readonly snapshotCacheBytesMax: number;
  /** A reader that takes nothing of its begun snapshot for so long loses it when others need the room. */
  readonly snapshotStallMs: number;
  /** Bytes of snapshots and resumed deltas that are made in one turn of the loop: about 4 ms for 1 MiB. */
  readonly turnWorkBytesMax: number;
}

export const watchBounds: WatchBounds = {
  watchesPerStreamMax: 1_000,
  endingsPerStreamMax: 2_000,
  backlogBytesMax: 4 * 1024 * 1024,
  partBytesMax: 1024 * 1024,
  snapshotBytesMax: 256 * 1024 * 1024,
  snapshotCacheBytesMax: 16 * 1024 * 1024,
  snapshotStallMs: 10_000,
  turnWorkBytesMax: 1024 * 1024,
};
