/**
 * Bounds of requests and answers (docs/ARCHITECTURE.md, Bounds). Each is refused by the field's name; lengths are bytes
 * of UTF-8, which for the names of restricted alphabets is characters.
 */
export const apiBounds = {
  requestBytesMax: 1024 * 1024,
  /** A whole answer, with its header and page token. */
  pageBytesMax: 4 * 1024 * 1024,
  /** Of one instance as the client sent it. The known fields at their bounds take less than half. */
  specBytesMax: 64 * 1024,

  namespaceBytesMax: 128,
  serviceBytesMax: 128,
  idBytesMax: 256,
  endpointsMax: 16,
  endpointNameBytesMax: 64,
  protocolBytesMax: 32,
  /** RFC 1123 section 2.1 and RFC 1035 section 2.3.4, without the final dot. */
  hostNameBytesMax: 253,
  hostLabelBytesMax: 63,
  portMax: 65_535,
  versionBytesMax: 128,
  weightMax: 1_000_000,
  tagsMax: 64,
  tagBytesMax: 128,
  metadataPairsMax: 64,
  metadataKeyBytesMax: 128,
  /** Keys and values together. */
  metadataBytesMax: 8 * 1024,
  localityBytesMax: 64,

  ttlMsMin: 1_000,
  ttlMsMax: 86_400_000,
  requestIdBytesMax: 64,
  reasonBytesMax: 256,
  leaseIdsMax: 1_000,
  listPageSizeMax: 1_000,
  pageTokenBytesMax: 1_024,
  progressIntervalMsMin: 100,
  batchItemsMax: 1_000,
  memberIdBytesMax: 128,
  /** host:port of a member. */
  memberAddressBytesMax: 256,

  filterTagsMax: 16,
  filterMetadataMax: 16,
  /** Of one condition. */
  filterValuesMax: 16,
  filterZonesMax: 16,
  filterRegionsMax: 16,
  filterStatusesMax: 4,
  versionRangeBytesMax: 256,
  /** Of a filter as the client sent it: a watch keeps it for as long as it is open. */
  filterBytesMax: 16 * 1024,
  /** Instances that a member looks at for one page of a discover with a filter: 1.7 us each with many conditions. */
  discoverScanViewsMax: 4_000,

  /** Calls that a member works on at once; more are refused with OVERLOADED. */
  callsInFlightMax: 2_048,
  /** What a refused caller is asked to wait. */
  overloadedRetryAfterMs: 100,

  /** Operations of one write of a session; each may change one instance, and a revision has 1,000 events at most. */
  sessionOperationsMax: 1_000,
  /** Streams of sessions on one member. */
  sessionStreamsMax: 50_000,
  /** Writes of one session that are taken and not answered; at this many its stream is not read. */
  sessionWritesQueuedMax: 8,
  /** Signs of life of one session that are not answered; more end its stream with OVERLOADED. */
  sessionPingsQueuedMax: 64,
  /** Writes of all sessions of a member that are with the leader at once; the others wait for their turn. */
  sessionWritesInFlightMax: 512,
  /** Bytes of all writes that wait: above it no stream is read that has one waiting already. */
  sessionBytesQueuedMax: 64 * 1024 * 1024,
  /** Sessions whose signs of life go to the leader in one batch. */
  sessionRenewalsMax: 1_000,
} as const;
