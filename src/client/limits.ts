const mib = 1024 * 1024;

/** Bounds and times of a client. Each default can be read here; those marked so can be set in ClientOptions. */
export const clientLimits = {
  /** Addresses given to one client. */
  addressesMax: 64,
  /** A whole call with its retries; settable. */
  callTimeoutMs: 10_000,
  callTimeoutMsMax: 600_000,
  /**
   * One attempt, where the call has time for another; settable. Above two election timeouts (2 s), within which a
   * member that is alive answers: what takes longer hangs.
   */
  attemptTimeoutMs: 3_000,
  /**
   * Less time than this is none for an attempt at a write that is known not to be applied: cut off, it would make that
   * unknown.
   */
  writeAttemptMsMin: 500,
  /**
   * From the first sending of a write to its last. Members remember a request id for 60 s: a repeat behind that would
   * be a second write.
   */
  repeatWriteMsMax: 45_000,
  backoffMsMin: 50,
  backoffMsMax: 2_000,
  /** Unary calls at once; more are refused here. As many as one member takes. */
  callsInFlightMax: 2_048,
  /** An answer: above a page of 4 MiB with its header. */
  receiveBytesMax: 8 * mib,
  /** Pages of one answer. */
  pagesMax: 10_000,

  /** Watches of one client: as many as a member takes on one stream. */
  watchesMax: 1_000,
  /** Events that wait for the reader of one watch; beyond, they are merged into one reset. */
  watchQueueEventsMax: 10_000,
  /** How often a quiet watch is told that nothing changed. */
  progressIntervalMs: 5_000,
  /** Between two acknowledgements of the watches of a client. */
  ackIntervalMs: 100,
  /** A stream that broke sooner counts as one more failure in a row. */
  streamLastedMsMin: 1_000,
  /** A stream without a word for so long is given up. */
  watchSilenceMs: 15_000,
  /** A member whose progress marks are older than this has lost its leader: another one is asked. */
  watchAgeMsMax: 15_000,

  /** Sessions of one client: with `sessionStreamsPerConnection` they all find room on one member. */
  sessionsMax: 10_000,
  /** Below the 128 streams that a member takes on one connection, since one that ends counts until both know. */
  sessionStreamsPerConnection: 100,
  /** Time to live of a session; settable. */
  sessionTtlMs: 10_000,
  sessionTtlMsMin: 1_000,
  sessionTtlMsMax: 86_400_000,
  /** Instances of one session. */
  sessionInstancesMax: 100_000,
  /** Operations of one session that are not answered; more are refused here. */
  sessionQueuedMax: 100_000,
  sessionQueuedBytesMax: 64 * mib,
  /** One write: as many operations as a member takes, and bytes below its bound of 1 MiB for a message. */
  sessionWriteOperationsMax: 1_000,
  sessionWriteBytesMax: 900 * 1024,
  /** Of one instance as it is sent, as a member bounds it. */
  specBytesMax: 64 * 1024,
  /**
   * How long the answer to `open` may take: a third of the TTL, within these. A member answers within two election
   * timeouts (2 s), a little later where it has waited for its turn.
   */
  sessionOpenAnswerMsMin: 1_000,
  sessionOpenAnswerMsMax: 3_000,
  /** It may take twice as long after each that was not answered, up to this. */
  sessionOpenAnswerMsLongest: 30_000,
  /** Openings of one client that wait for their answers; further sessions wait for their turn. */
  sessionOpeningsMax: 256,
  /** A sign of life is given, and its answer must be there, within a third of the TTL, and within this. */
  sessionPingMsMax: 30_000,
  sessionPongMsMax: 10_000,
  /** How long the answer to a half-close may take before it is tried on another member. */
  sessionCloseAnswerMs: 5_000,
  /** Sessions that lost one member together come back spread over this. */
  sessionReopenSpreadMs: 50,

  /** Leases of one keeper. */
  leasesMax: 100_000,
  leaseIdsPerRequestMax: 1_000,
  /** Requests of one stream without an answer; more wait here. */
  keepAliveUnansweredMax: 32,
  /** How long an answer may take: a third of the shortest TTL, within these. */
  keepAliveAnswerMsMin: 500,
  keepAliveAnswerMsMax: 3_000,
} as const;
