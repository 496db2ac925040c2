import type { Random } from '../base/random.ts';
import type { Membership } from './membership.ts';
import type { Entry, HardState, LogBase, MemberId } from './types.ts';

/** Settings of one core. All times are in ticks; the host decides how long a tick is (50 ms by default). */
export interface RaftConfig {
  readonly id: MemberId;
  /** Boot number of this start, greater than that of every earlier start of the same directory; >= 1. */
  readonly boot: number;
  readonly random: Random;
  /** Default 2. */
  readonly heartbeatTicks: number;
  /** A follower campaigns after [min, max) ticks of silence, drawn anew each time. Defaults 10 and 20. */
  readonly electionTicksMin: number;
  readonly electionTicksMax: number;
  /** Window per peer: unacknowledged append messages and their bytes. Defaults 64 and 8 MiB. */
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  /** Entry bytes of one append message; a single larger entry still goes alone. Default 1 MiB. */
  readonly appendBytesMax: number;
  /** Bytes proposed and not yet committed; more are refused as 'uncommitted-full'. Default 64 MiB. */
  readonly uncommittedBytesMax: number;
  /** Entry bytes handed out in one `Ready.committed`; a single larger entry still goes alone. Default 4 MiB. */
  readonly applyBytesMax: number;
  /** Read rounds of a leader under way at once; further reads wait for the next. Default 4. */
  readonly readRoundsMax: number;
  /** Reads waiting on one member; more are voided at once. Default 65,536. */
  readonly pendingReadsMax: number;
}

/** What a member found on its disk. */
export interface RaftInitial {
  readonly hardState: HardState;
  readonly base: LogBase;
  /** As of the base. Of no voters on a member that is about to join a cluster and has heard nothing of it yet. */
  readonly membership: Membership;
  /** Contiguous from base.index + 1, already durable. */
  readonly entries: readonly Entry[];
  /** Greatest commit index known to be on disk, base.index <= commit <= last index. */
  readonly commit: number;
  /** Applied by the state as loaded, base.index <= applied <= commit. */
  readonly applied: number;
}

export const raftDefaults = {
  heartbeatTicks: 2,
  electionTicksMin: 10,
  electionTicksMax: 20,
  inflightMessagesMax: 64,
  inflightBytesMax: 8 * 1024 * 1024,
  appendBytesMax: 1024 * 1024,
  uncommittedBytesMax: 64 * 1024 * 1024,
  applyBytesMax: 4 * 1024 * 1024,
  readRoundsMax: 4,
  pendingReadsMax: 65_536,
} as const;
