import type { Clock } from '../base/clock.ts';
import { RollcallError } from '../base/errors.ts';
import type { RecordedMember, RecordedMembership } from '../replica/cluster-admin.ts';
import type { Replica, ReplicaStatus } from '../replica/types.ts';
import type { WatchHub } from '../watch/watch-hub.ts';
import type { ChangeMembershipRequest, ClusterApi, ClusterStatus, MemberStatus } from './types.ts';

export interface ClusterApiOptions {
  readonly replica: Replica;
  readonly hub: WatchHub;
  readonly sessionStreams: () => number;
  readonly clock: Clock;
  readonly version: string;
  /** This member's own, as others reach it. */
  readonly peerAddress: string;
  readonly clientAddress: string;
}

/** What one member knows of itself and of the others, and what operators order of the cluster. */
export class ReplicaClusterApi implements ClusterApi {
  readonly #options: ClusterApiOptions;

  constructor(options: ClusterApiOptions) {
    this.#options = options;
  }

  status(): ClusterStatus {
    const { replica, hub, version } = this.#options;
    const status = replica.status();
    const { instances, services, leases, sessions } = replica.state.counts();
    const recorded = new Map(this.#recorded().map((member) => [member.memberId, member]));
    const self = this.#self(status, recorded.get(status.memberId));
    const peers = this.#peers(status, recorded);
    const seen = new Set([self, ...peers].map(({ memberId }) => memberId));
    const unseen = [...recorded.values()].filter(({ memberId }) => !seen.has(memberId));
    const members = [self, ...peers, ...unseen.map((member) => neverSeen(member, status))];
    const { watches } = hub.counts();
    const sessionStreams = this.#options.sessionStreams();
    const counts = { instances, services, leases, sessions, watches, sessionStreams };
    return {
      replica: status,
      members: members.toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1)),
      version,
      ...counts,
    };
  }

  async listMembers(): Promise<RecordedMembership> {
    return this.#options.replica.admin.membership();
  }

  changeMembership({ order, force }: ChangeMembershipRequest): Promise<RecordedMembership> {
    return this.#options.replica.admin.changeMembership(order, force);
  }

  transferLeadership(to: string): Promise<string> {
    return this.#options.replica.admin.transferLeadership(to);
  }

  /** None before the member knows of a cluster: its status is told all the same. */
  #recorded(): readonly RecordedMember[] {
    try {
      return this.#options.replica.admin.membership().members;
    } catch (error) {
      if (error instanceof RollcallError) return [];
      throw error;
    }
  }

  #self(status: ReplicaStatus, recorded: RecordedMember | undefined): MemberStatus {
    const { peerAddress, clientAddress } = this.#options;
    const leads = status.role === 'leader';
    return {
      memberId: status.memberId,
      peerAddress,
      clientAddress,
      reachable: true,
      matchIndex: leads ? status.durableIndex : 0,
      replicationState: '',
      lastContactMs: 0,
      kind: recorded?.kind,
    };
  }

  #peers(status: ReplicaStatus, recorded: ReadonlyMap<string, RecordedMember>): MemberStatus[] {
    const { clock, replica } = this.#options;
    const nowMs = clock.monotonicMs();
    return status.peers.map((peer) => {
      // Followers have little to say to each other: an open stream is a sign of life as well.
      const lastContactMs = peer.lastHeardMs === undefined ? status.uptimeMs : Math.max(0, nowMs - peer.lastHeardMs);
      const heard = peer.lastHeardMs !== undefined && lastContactMs <= replica.electionTimeoutMs;
      return {
        memberId: peer.memberId,
        peerAddress: peer.address,
        clientAddress: peer.clientAddress,
        reachable: peer.connected || heard,
        matchIndex: peer.matchIndex,
        replicationState: peer.replicationState,
        lastContactMs,
        kind: recorded.get(peer.memberId)?.kind,
      };
    });
  }
}

/** A member of which only the log has told until now. */
function neverSeen({ memberId, peerAddress, kind }: RecordedMember, { uptimeMs }: ReplicaStatus): MemberStatus {
  const nothing = { clientAddress: '', reachable: false, matchIndex: 0, replicationState: '' };
  return { memberId, peerAddress, ...nothing, lastContactMs: uptimeMs, kind };
}
