const mib = 1024 * 1024;

/** What `rollcall apply` takes at once, and sends at once. */
export const applyBounds = {
  /** Of all files together. */
  bytesMax: 64 * mib,
  instancesMax: 100_000,
  /** Of one call, as members have it. */
  batchInstancesMax: 1_000,
  /** The same in bytes of JSON, which are never fewer than those of the message; less what is around them. */
  batchBytesMax: mib - 64 * 1024,
  /** Problems of files that are named; the rest is counted. */
  problemsShown: 20,
} as const;
