import { apiBounds } from '../api/bounds.ts';

const kib = 1024;

/**
 * Everything that a client may make a member hold or do before a use case sees it. grpc-js has no bound of its own for
 * most of these; each one here is handed to it, or kept by this folder.
 */
export interface GrpcLimits {
  /**
   * A request message. Above the API's own bound, so that a request a little too large is refused by name; beyond this
   * it is RESOURCE_EXHAUSTED before it is read. Default 1 MiB + 64 KiB.
   */
  readonly receiveBytesMax: number;
  /** An answer: a page with its header and token. Default 4 MiB + 64 KiB. */
  readonly sendBytesMax: number;
  /** Calls open at once on one connection; more are refused by HTTP/2. Default 128. */
  readonly streamsPerConnectionMax: number;
  /** Names and values of one call's metadata as HTTP/2 counts them (32 bytes more an entry). Default 16 KiB. */
  readonly headerListBytesMax: number;
  /** What HTTP/2 may hold for one connection, MB (10^6). Default 32. */
  readonly sessionMemoryMb: number;
  /** Silence on a connection before a ping, and how long its answer may take. Defaults 20 s, 10 s. */
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  /** A connection is asked to leave (GOAWAY) at this age, within 10 %, and cut after the grace. Defaults 1 h, 60 s. */
  readonly connectionAgeMs: number;
  readonly connectionAgeGraceMs: number;
  /** A connection without any call is closed after this. Default 15 min. */
  readonly connectionIdleMs: number;
  /** From accept to the client's first HTTP/2 frame. Default 5 s. */
  readonly firstFrameTimeoutMs: number;
  /** Connections in all, and from one IP address. Defaults 5,000 and 1,000. */
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** Connections that the kernel holds until they are accepted, so that a reconnect storm loses none. Default 4,096. */
  readonly acceptBacklogMax: number;
  /** KeepAlive requests of one stream that are not answered yet; the stream is not read beyond. Default 64. */
  readonly keepAliveUnansweredMax: number;
  /** Lease ids handed to the use case at once. Default 8,192. */
  readonly renewBatchIdsMax: number;
  /** From a client's half-close of a session's stream to its end, which a reset takes back. Default 100 ms. */
  readonly sessionCloseDelayMs: number;
  /** Answers of one session's stream that HTTP/2 has not taken; the stream is not read beyond. Default 64. */
  readonly sessionUnsentMax: number;
  /**
   * The same with what a session is told unasked: beyond, its stream ends with OVERLOADED, and the next is told what
   * the session remembers to have lost. Many times what is lost in one turn of the loop. Default 10,000.
   */
  readonly sessionUnsentEndMax: number;
  /**
   * Bytes of one watch stream that wait inside grpc-js and HTTP/2, each stream's own copies: 1,000 that stop reading
   * hold these and one response each. About what HTTP/2 lets through at once. Default 64 KiB.
   */
  readonly watchQueueBytesMax: number;
  /** Message of an error as it is sent, UTF-16 units. Default 1,024. */
  readonly statusMessageUnitsMax: number;
}

export const grpcLimits: GrpcLimits = {
  receiveBytesMax: apiBounds.requestBytesMax + 64 * kib,
  sendBytesMax: apiBounds.pageBytesMax + 64 * kib,
  streamsPerConnectionMax: 128,
  headerListBytesMax: 16 * kib,
  sessionMemoryMb: 32,
  keepaliveTimeMs: 20_000,
  keepaliveTimeoutMs: 10_000,
  connectionAgeMs: 3_600_000,
  connectionAgeGraceMs: 60_000,
  connectionIdleMs: 900_000,
  firstFrameTimeoutMs: 5_000,
  connectionsMax: 5_000,
  connectionsPerAddressMax: 1_000,
  acceptBacklogMax: 4_096,
  keepAliveUnansweredMax: 64,
  renewBatchIdsMax: 8_192,
  sessionCloseDelayMs: 100,
  sessionUnsentMax: 64,
  sessionUnsentEndMax: 10_000,
  watchQueueBytesMax: 64 * kib,
  statusMessageUnitsMax: 1_024,
};
