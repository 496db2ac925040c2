import type { ApplyOutcome, ChangeEvent, CommandResult, LostInstance } from './types.ts';

/** Where the state stands. */
export interface StatePosition {
  readonly index: number;
  readonly term: number;
  readonly revision: number;
  /** Sum of the milliseconds that entries carried: the clock of every duration in apply. */
  readonly replicatedTimeMs: number;
}

/** The changed keys as of exactly one applied index; taken once per flush. */
export interface FrozenChanges {
  readonly position: StatePosition;
  readonly stateHash: string;
  /** Number of keys and bytes held until `releaseFrozen`. */
  readonly keys: number;
  readonly bytes: number;
  /** Keys with their new value, undefined for removed. */
  changes(): Iterable<{ readonly key: string; readonly value: Uint8Array | undefined }>;
}

export interface LeaseInfo {
  readonly leaseId: number;
  readonly epoch: number;
  readonly ttlMs: number;
  readonly ended: boolean;
  readonly instances: number;
}

export interface SessionInfo {
  readonly sessionId: number;
  readonly attachment: number;
  readonly lastSequence: number;
  readonly ttlMs: number;
  readonly instances: number;
  /** In key byte order, at most `lostPerSessionMax`. */
  readonly lost: readonly LostInstance[];
  /** More were lost than are remembered. */
  readonly moreLost: boolean;
}

export interface ServiceSummary {
  readonly namespace: string;
  readonly service: string;
  readonly instances: number;
  readonly modifyRevision: number;
}

/**
 * The replicated registry. Pure and synchronous: equal entries give equal state, results and hash on every member.
 * Reads between two `apply` calls see exactly one revision.
 */
export interface Registry {
  readonly position: StatePosition;
  /** 32 hex digits over the whole state as of `position`. */
  stateHash(): string;
  /**
   * Applies the entry that follows `position.index`. Empty data changes nothing but the position. Throws
   * InvariantError where the bytes are not what this version writes (the member halts: design, Versions).
   */
  apply(entry: { readonly index: number; readonly term: number; readonly data: Uint8Array }): ApplyOutcome;

  /** Loading from a store: begin, add in key byte order, finish. Only on a new object. */
  beginLoad(position: { readonly index: number; readonly term: number; readonly revision: number }): void;
  addLoaded(key: string, value: Uint8Array): void;
  finishLoad(): { readonly stateHash: string };

  /** Changed since the last freeze. At most one frozen set at a time; release it when durable (on failure: crash). */
  freeze(): FrozenChanges;
  releaseFrozen(): void;
  /** Bytes of keys and values changed and not yet released. */
  readonly unflushedBytes: number;

  /** Encoded InstanceViews of one service in byte order of ids, from `afterId` (exclusive, '' = start). */
  views(
    namespace: string,
    service: string,
    afterId: string,
    countMax: number,
    bytesMax: number,
  ): { readonly views: readonly Uint8Array[]; readonly lastId: string; readonly more: boolean };
  /** All ids of a service with their views are reachable by `views`; this is one of them. */
  view(namespace: string, service: string, id: string): Uint8Array | undefined;
  incarnationOf(namespace: string, service: string, id: string): number | undefined;
  /** Has instances, or the history still remembers one. */
  isKnown(namespace: string, service: string): boolean;
  services(
    namespace: string,
    prefix: string,
    afterService: string,
    countMax: number,
  ): { readonly services: readonly ServiceSummary[]; readonly more: boolean };
  lease(leaseId: number): LeaseInfo | undefined;
  /** Live leases, ascending by id, those above `afterLeaseId`; at most `countMax`. Changes may come between calls. */
  liveLeases(afterLeaseId: number, countMax: number): readonly LeaseInfo[];
  /** Undefined where it has ended. */
  session(sessionId: number): SessionInfo | undefined;
  /** Ended leases that still hold instances (to be reaped). */
  endedLeases(): Iterable<LeaseInfo>;
  counts(): {
    readonly services: number;
    readonly instances: number;
    readonly leases: number;
    readonly sessions: number;
  };

  /** The oldest revision from which changes are still known: history holds (floor, position.revision]. */
  readonly historyFloor: number;
  /**
   * Changes in (from, to] of one service, or of a whole namespace where service is ''. Requires from >= historyFloor
   * and to <= position.revision. In order, whole revisions.
   */
  changes(namespace: string, service: string, from: number, to: number): Iterable<ChangeEvent>;
}

export type { ApplyOutcome, ChangeEvent, CommandResult };
