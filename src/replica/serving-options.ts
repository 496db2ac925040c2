import type { Clock } from '../base/clock.ts';
import type { MemberId } from '../raft/types.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import type { MembershipRecord } from '../storage/entry-log.ts';
import type { FormState } from '../transport/types.ts';
import type { MembershipNews } from './consensus.ts';
import type { ConsensusPort } from './consensus-port.ts';
import type { ReplicaObserver } from './events.ts';
import type { Recovered } from './recovery.ts';
import type { ReplicaTimes } from './times.ts';
import type { AppliedTurn } from './types.ts';

/** What the serving parts of a member are put together from. */
export interface ServingOptions {
  readonly memberId: MemberId;
  readonly clusterId: string;
  /** As found at the start. */
  readonly membership: MembershipRecord;
  /** Where this member is configured to be reached by its peers; '' where that is not known. */
  readonly ownAddress: string;
  /** This member as it tells others of itself. */
  readonly formState: () => FormState;
  /** Another membership is in force, or committed. */
  readonly onMembership: (news: MembershipNews) => void;
  readonly clock: Clock;
  readonly consensus: ConsensusPort;
  readonly observer: ReplicaObserver;
  readonly times: ReplicaTimes;
  readonly recovered: Recovered;
  readonly createState: () => Registry;
  readonly flushIntervalMs: number;
  readonly logKeepBytes: number;
  readonly unflushedBytesMax: number;
  readonly onApplied: (turn: AppliedTurn) => void;
  readonly onReplaced: (revision: number) => void;
}
