import type { ReplicaStatus } from '../replica/types.ts';

/** Why a member does not serve. */
export type NotServingReason = 'forming' | 'stopping' | 'failed' | 'fenced' | 'no-leader' | 'apply-lag';

/** What /healthz says; nothing in it comes from what clients have registered. */
export interface HealthReport {
  readonly serving: boolean;
  /** Undefined while serving. */
  readonly reason: NotServingReason | undefined;
  /** For people: what is missing. */
  readonly message: string;
  readonly member: string;
  readonly role: string;
  readonly leader: string;
  readonly term: number;
  readonly revision: number;
  readonly commit: number;
  readonly applied: number;
}

/** Committed entries that a member may have left to apply and still count as serving. */
export const applyLagEntriesMax = 10_000;

/** Whether a member serves linearizable calls as far as it knows itself, and if not, why. */
export function healthOf(status: ReplicaStatus): HealthReport {
  const { memberId, role, leader, term, revision, commit, applied } = status;
  const trouble = troubleOf(status);
  return {
    serving: trouble === undefined,
    reason: trouble?.reason,
    message: trouble?.message ?? 'serving',
    member: memberId,
    role,
    leader,
    term,
    revision,
    commit,
    applied,
  };
}

interface Trouble {
  readonly reason: NotServingReason;
  readonly message: string;
}

function troubleOf(status: ReplicaStatus): Trouble | undefined {
  const { phase, waitingFor, fenced, leader, commit, applied } = status;
  if (phase === 'forming') {
    return { reason: 'forming', message: waitingFor === '' ? 'starting' : `waits for ${waitingFor}` };
  }
  if (phase === 'stopping') return { reason: 'stopping', message: 'stopping; another member serves' };
  if (phase === 'failed') return { reason: 'failed', message: 'the member cannot go on; its log says why' };
  if (fenced)
    return { reason: 'fenced', message: "this member's state differs from the majority's; it serves nothing" };
  if (leader === '') return { reason: 'no-leader', message: 'no leader is known; stale reads only' };
  const lag = commit - applied;
  if (lag <= applyLagEntriesMax) return undefined;
  return { reason: 'apply-lag', message: `${lag} committed entries are not applied yet` };
}
