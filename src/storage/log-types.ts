/**
 * The log's own view of entries. Structurally the same as src/raft/types.ts, so that neither the disk format depends on
 * the core nor the core on the disk.
 */
export type { Entry, HardState, LogBase } from '../raft/types.ts';
