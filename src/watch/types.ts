import type { ViewMatcher } from '../filter/types.ts';
import type { ChangeEvent } from '../state-machine/types.ts';

/** What one watch asks for, checked by the api. */
export interface WatchSpec {
  /** Chosen by the client, unique on its stream. */
  readonly watchId: number;
  readonly namespace: string;
  /** '' = every service of the namespace whose name begins with `servicePrefix`. */
  readonly service: string;
  /** '' with a `service`, and for all. */
  readonly servicePrefix: string;
  /** `matchAll` of src/filter for every instance. */
  readonly matcher: ViewMatcher;
  /** Go on behind this revision; 0 = begin with a snapshot. */
  readonly resumeRevision: number;
  /** End after the snapshot, or once everything behind `resumeRevision` is sent. */
  readonly once: boolean;
  /** 0 = no progress marks. */
  readonly progressIntervalMs: number;
  /** The caller has passed a read barrier: the first snapshot says so in its header. */
  readonly linearizable: boolean;
}

/** Where a stream's bytes go. `send` takes one encoded WatchResponse and keeps the buffer, which others share. */
export interface WatchSink {
  /**
   * False: taken, but send no more until `WatchStream.drained()` is called, which is never from inside `send`. It does
   * not throw; where the client is gone it may call `close()`.
   */
  send(response: Uint8Array): boolean;
}

/** All watches of one client stream. Methods are called on the loop that applies; none blocks. */
export interface WatchStream {
  /**
   * Starts a watch at the state as applied now (the caller has done the read barrier where a linearizable snapshot is
   * asked for). Throws RollcallError: INVALID_FIELD for an id in use, OVERLOADED above `watchesPerStreamMax`,
   * MEMBER_BEHIND for a resume point that is not applied yet, NOT_SERVING after the hub has stopped.
   */
  create(spec: WatchSpec): void;
  /** Ends one watch with an ENDED batch; nothing where it is unknown. */
  cancel(watchId: number): void;
  /**
   * The client has applied everything up to `revision`. Kept with the watch; nothing where it is unknown. Throws
   * RollcallError INVALID_FIELD for a revision above what the watch was sent.
   */
  ack(watchId: number, revision: number): void;
  /**
   * Ends one watch with an ENDED batch that carries the error, also one that is not known. Throws RollcallError
   * OVERLOADED where the client does not read and `endingsPerStreamMax` such batches wait already.
   */
  fail(watchId: number, reason: string, message: string): void;
  drained(): void;
  /** Forgets everything; sends nothing. */
  close(): void;
  has(watchId: number): boolean;
  readonly watches: number;
  /** Ended watches whose last batch the sink has not taken. */
  readonly endings: number;
  /** Called whenever the last watch of the stream has ended and its last batch is sent. */
  onEmpty(listener: () => void): void;
  /** Bytes waiting for the sink, bounded by `backlogBytesMax` and at most 2 KiB for each of the `endings`. */
  readonly backlogBytes: number;
}

/** What happened in one turn, as the replica tells it: applied changes and the revision reached. */
export interface WatchTurn {
  /** In order; all events of one revision are next to each other. */
  readonly events: readonly ChangeEvent[];
  readonly revision: number;
}

/** Counts for metrics and status. */
export interface WatchCounts {
  readonly streams: number;
  readonly watches: number;
  /** Encoded batches that wait for slow readers, summed over streams; the memory is less, as streams share buffers. */
  readonly backlogBytes: number;
  /** Snapshots and coalesced changes that are held for readers, or for the next watch of the same service. */
  readonly snapshotBytes: number;
  /** What is kept of changes for those who do not read fast enough: keys. */
  readonly changedKeysBytes: number;
  /** Watches of which only the position is kept now, until their clients read again. */
  readonly behind: number;
  /** Since the start. */
  readonly resets: number;
  readonly coalesced: number;
  /** Responses, in fact: a batch of several parts counts as often. */
  readonly batches: number;
}
