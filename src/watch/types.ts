/** What one watch asks for, checked by the api. */
export interface WatchSpec {
  /** Chosen by the client, unique on its stream. */
  readonly watchId: number;
  readonly namespace: string;
  /** '' = every service of the namespace. */
  readonly service: string;
  /** Go on behind this revision; 0 = begin with a snapshot. */
  readonly resumeRevision: number;
  /** End after the snapshot. */
  readonly once: boolean;
  /** 0 = no progress marks. */
  readonly progressIntervalMs: number;
}

/** Where a stream's bytes go. `send` takes one encoded WatchResponse and keeps the buffer. */
export interface WatchSink {
  /** False: taken, but send no more until `WatchStream.drained()` is called. */
  send(response: Uint8Array): boolean;
}

/** All watches of one client stream. Methods are called on the loop that applies; none blocks. */
export interface WatchStream {
  /**
   * Starts a watch at the state as applied now (the caller has done the read barrier where a linearizable snapshot is
   * asked for). Throws RollcallError: INVALID_FIELD for an id in use, OVERLOADED above `watchesPerStreamMax`.
   */
  create(spec: WatchSpec): void;
  /** Ends one watch with an ENDED batch; nothing where it is unknown. */
  cancel(watchId: number): void;
  /** Ends one watch with an ENDED batch that carries the error. */
  fail(watchId: number, reason: string, message: string): void;
  drained(): void;
  /** Forgets everything; sends nothing. */
  close(): void;
  readonly watches: number;
  /** Bytes waiting for the sink, bounded by `backlogBytesMax`. */
  readonly backlogBytes: number;
}
