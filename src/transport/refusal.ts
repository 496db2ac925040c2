import type { StatusCode } from '../base/errors.ts';

/**
 * Why a member ends a peer's stream or call. The reason stands first in the status message, so that the other side can
 * name it.
 */
const refusalCodes = {
  /** This member has no identity yet: the cluster still forms here. */
  'not-ready': 'UNAVAILABLE',
  stopping: 'UNAVAILABLE',
  malformed: 'INVALID_ARGUMENT',
  'wrong-addressee': 'FAILED_PRECONDITION',
  'wrong-cluster': 'FAILED_PRECONDITION',
  /** The caller uses this member's own id. */
  'own-member-id': 'FAILED_PRECONDITION',
  'unknown-member': 'FAILED_PRECONDITION',
  /** The cluster has removed the caller for good. */
  removed: 'FAILED_PRECONDITION',
  'wrong-directory': 'FAILED_PRECONDITION',
  /** The caller's boot is lower than one seen, or was seen of another start: it runs on an old copy of a directory. */
  'old-copy': 'FAILED_PRECONDITION',
  /** The caller has heard a later start of this member, or another of this boot: this member runs on an old copy. */
  'receiver-old-copy': 'FAILED_PRECONDITION',
  /** A later batch of a stream names another sender than its first. */
  'changed-identity': 'FAILED_PRECONDITION',
  /** The same peer opened a newer stream. */
  replaced: 'ABORTED',
  'no-first-batch': 'DEADLINE_EXCEEDED',
  /** The message is for an earlier life of this member (snapshots only; a batch is dropped instead). */
  'earlier-life': 'FAILED_PRECONDITION',
  /** Another snapshot is coming in. */
  'snapshot-busy': 'RESOURCE_EXHAUSTED',
  /** The member's owner did not take the snapshot. */
  'snapshot-refused': 'UNAVAILABLE',
} as const satisfies Record<string, StatusCode>;

export type RefusalReason = keyof typeof refusalCodes;

/**
 * Why a batch was passed over while its stream stays. `late-boot`: from an earlier life of the sender.
 * `earlier-life`: to an earlier life of this member. `other-start`: from or to another start with the same boot.
 */
export type DropReason = 'late-boot' | 'earlier-life' | 'other-start';

const detailsLengthMax = 300;

/** The end of a peer's stream or call, by name. */
export class PeerRefusal extends Error {
  override readonly name = 'PeerRefusal';
  readonly reason: RefusalReason;
  readonly code: StatusCode;
  /** Who refuses, as an encoded PeerIdentity, where the caller is to be sure of it; goes with the status. */
  readonly refuser: Uint8Array | undefined;

  constructor(reason: RefusalReason, text: string, refuser?: Uint8Array) {
    super(`${reason}: ${printable(text)}`);
    this.reason = reason;
    this.code = refusalCodes[reason];
    this.refuser = refuser;
  }
}

/** Text of a peer in plain ASCII and of bounded length, fit for a status message and a log line. */
export function printable(text: string): string {
  const plain = text.replaceAll(/[^\x20-\x7e]/g, '?');
  return plain.length <= detailsLengthMax ? plain : `${plain.slice(0, detailsLengthMax)}...`;
}

/** Counts refusals and drops by reason, since the transport was made. */
export class RefusalCounter {
  readonly #counts = new Map<RefusalReason | DropReason, number>();

  add(reason: RefusalReason | DropReason): void {
    this.#counts.set(reason, this.of(reason) + 1);
  }

  of(reason: RefusalReason | DropReason): number {
    return this.#counts.get(reason) ?? 0;
  }

  /** Those that happened, by name. */
  all(): ReadonlyMap<RefusalReason | DropReason, number> {
    return new Map([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
