import type { MemberId } from '../raft/types.ts';
import type { MembershipRecord } from '../storage/entry-log.ts';
import type { Identity } from '../storage/identity.ts';
import type { ConsensusStatus } from './consensus-port.ts';
import type { Recovered } from './recovery.ts';
import type { Serving } from './serving.ts';
import type { ReplicaStatus } from './types.ts';

export interface StatusSources {
  readonly memberId: MemberId;
  readonly identity: Identity | undefined;
  readonly membership: MembershipRecord | undefined;
  readonly phase: ReplicaStatus['phase'];
  readonly waitingFor: string;
  readonly serving: Serving | undefined;
  readonly recovered: Recovered | undefined;
  readonly consensus: ConsensusStatus;
  readonly diskFreeBytes: number;
  readonly uptimeMs: number;
}

/** Puts the status together from the parts that are there already. */
export function statusOf(sources: StatusSources): ReplicaStatus {
  const { serving, recovered, identity } = sources;
  const { core, logBytes, peers } = sources.consensus;
  const position = serving?.state.position;
  const progress = new Map(core?.peers.map((peer) => [peer.id, peer]));
  return {
    clusterId: identity?.clusterId ?? '',
    memberId: sources.memberId,
    directoryId: identity?.directoryId ?? '',
    boot: recovered?.consensus.boot ?? 0,
    phase: sources.phase,
    waitingFor: sources.waitingFor,
    role: core?.role ?? 'follower',
    leader: core?.leader ?? '',
    term: core?.term ?? 0,
    commit: core?.commit ?? 0,
    applied: position?.index ?? 0,
    lastIndex: core?.lastIndex ?? 0,
    durableIndex: core?.durableIndex ?? 0,
    flushedIndex: serving?.flushedIndex ?? 0,
    firstKeptIndex: core === undefined ? 0 : core.base.index + 1,
    revision: position?.revision ?? 0,
    stateHash: serving?.state.stateHash() ?? '',
    fenced: serving?.fenced ?? false,
    diskFreeBytes: sources.diskFreeBytes,
    logBytes,
    uptimeMs: sources.uptimeMs,
    peers: peers.map((peer) => ({
      ...peer,
      matchIndex: progress.get(peer.memberId)?.match ?? 0,
      replicationState: progress.get(peer.memberId)?.state ?? '',
    })),
  };
}
