/** Bounds and times of the transport. Sizes are in bytes, times in milliseconds. */
export interface TransportLimits {
  /** Encoded bytes waiting for one peer, those handed to the connection and not yet written among them. */
  readonly queueBytesMax: number;
  /** Messages and forwarded calls waiting for one peer: small ones cost more memory than their bytes say. */
  readonly queueItemsMax: number;
  /** What goes together into one batch on the wire; a single larger message goes alone. */
  readonly batchBytesMax: number;
  /** Longest message on the wire, either way. */
  readonly messageBytesMax: number;
  /** Handed to the connection and not yet written: what waits behind it can still be put together. */
  readonly unwrittenBytesMax: number;
  /** From dialing to being accepted. */
  readonly connectMsMax: number;
  /** An attempt that is not accepted within this after its peer showed up is made anew: it may lead elsewhere. */
  readonly wokenDialMsMax: number;
  /** From a probe being asked for to its answer, looking up the name among it. */
  readonly probeMsMax: number;
  /** The ends of both streams of a peer within so long are told as one. */
  readonly sameEndMsMax: number;
  /** From a caller's stream being opened to its first batch. */
  readonly firstBatchMsMax: number;
  /**
   * Wait before dialing again: doubled from the one to the other, half of it drawn at random. A stream that lasted for
   * the longer of them is dialed again within a quarter of the shorter one, once.
   */
  readonly backoffMsMin: number;
  readonly backoffMsMax: number;
  /** A snapshot that has not moved on for so long is given up, on both sides. */
  readonly snapshotStallMsMax: number;
  /** From the last byte of a snapshot to the answer that it is installed. */
  readonly snapshotAnswerMsMax: number;
  readonly snapshotChunkBytesMax: number;
  /** From accepting a connection to its first call (gRPC only). */
  readonly silentMsMax: number;
  /** A connection that is silent for the first is asked, and closed after the second without an answer (gRPC only). */
  readonly keepaliveMs: number;
  readonly keepaliveAnswerMsMax: number;
}

export const transportDefaults: TransportLimits = {
  queueBytesMax: 32 * 1024 * 1024,
  queueItemsMax: 65_536,
  batchBytesMax: 1024 * 1024,
  messageBytesMax: 8 * 1024 * 1024,
  unwrittenBytesMax: 1024 * 1024,
  connectMsMax: 2_000,
  wokenDialMsMax: 200,
  probeMsMax: 100,
  sameEndMsMax: 250,
  firstBatchMsMax: 5_000,
  backoffMsMin: 20,
  backoffMsMax: 500,
  snapshotStallMsMax: 30_000,
  snapshotAnswerMsMax: 300_000,
  snapshotChunkBytesMax: 256 * 1024,
  silentMsMax: 5_000,
  // Half a minute of TCP would be too long for a peer that went without a word.
  keepaliveMs: 2_000,
  keepaliveAnswerMsMax: 4_000,
};

/** Longest id and address from a peer, in UTF-16 units; configuration allows shorter ones only. */
export const idLengthMax = 256;
export const addressLengthMax = 512;
/** Most members in a form state. */
export const formMembersMax = 64;
/** Most messages, and most forwarded calls, in one batch from a peer. */
export const batchItemsMax = 65_536;
