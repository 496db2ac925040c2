import type { Clock } from '../base/clock.ts';
import type { Replica, ReplicaStatus } from '../replica/types.ts';
import type { WatchHub } from '../watch/watch-hub.ts';
import type { ClusterApi, ClusterStatus, MemberStatus } from './types.ts';

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

/** What one member knows of itself and of the others. */
export class ReplicaClusterApi implements ClusterApi {
  readonly #options: ClusterApiOptions;

  constructor(options: ClusterApiOptions) {
    this.#options = options;
  }

  status(): ClusterStatus {
    const { replica, hub, version } = this.#options;
    const status = replica.status();
    const { instances, services, leases, sessions } = replica.state.counts();
    const members = [this.#self(status), ...this.#peers(status)].toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1));
    const { watches } = hub.counts();
    const sessionStreams = this.#options.sessionStreams();
    return { replica: status, members, version, instances, services, leases, sessions, watches, sessionStreams };
  }

  #self(status: ReplicaStatus): MemberStatus {
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
    };
  }

  #peers(status: ReplicaStatus): MemberStatus[] {
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
      };
    });
  }
}
