import { Admission } from '../api/admission.ts';
import { ReplicaClusterApi } from '../api/cluster-api.ts';
import { ReplicatedRegistryApi } from '../api/registry-api.ts';
import { SessionHub } from '../api/session-hub.ts';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { MemberReplica } from '../replica/member-replica.ts';
import { WatchHub } from '../watch/watch-hub.ts';

export interface MemberServicesOptions {
  readonly memberId: string;
  readonly version: string;
  readonly replica: MemberReplica;
  readonly clock: Clock;
  readonly random: Random;
  readonly peerAddress: string;
  readonly clientAddress: string;
  readonly limits: {
    readonly callsInFlightMax: number;
    readonly watchesPerConnectionMax: number;
    readonly watchBacklogBytesMax: number;
  };
  /** A broken invariant: the owner ends the process. */
  readonly onFatal: (error: unknown) => void;
}

/** What of a member the front ends call. */
export interface MemberServices {
  readonly hub: WatchHub;
  readonly admission: Admission;
  readonly sessions: SessionHub;
  readonly registry: ReplicatedRegistryApi;
  readonly cluster: ReplicaClusterApi;
}

/** Puts the use cases of a member together over its replica: they hear of what it applies from now on. */
export function composeServices(options: MemberServicesOptions): MemberServices {
  const { replica, clock, random, limits, onFatal } = options;
  const hub = new WatchHub({
    state: () => replica.state,
    clock,
    memberId: options.memberId,
    ageMs: () => replica.ageMs(),
    bounds: {
      watchesPerStreamMax: limits.watchesPerConnectionMax,
      // Those that were open, and as many that were refused: see HubWatchSession.
      endingsPerStreamMax: 2 * limits.watchesPerConnectionMax,
      backlogBytesMax: limits.watchBacklogBytesMax,
    },
  });
  replica.onApplied((turn) => hub.applied(turn));
  replica.onReplaced((revision) => hub.replaced(revision));
  const admission = new Admission(limits.callsInFlightMax);
  const sessions = new SessionHub({ replica, clock, random, onFatal });
  const { watchesPerConnectionMax } = limits;
  const registry = new ReplicatedRegistryApi({ replica, hub, admission, sessions, watchesPerConnectionMax });
  const cluster = new ReplicaClusterApi({
    replica,
    hub,
    sessionStreams: () => sessions.streams,
    clock,
    version: options.version,
    peerAddress: options.peerAddress,
    clientAddress: options.clientAddress,
  });
  return { hub, admission, sessions, registry, cluster };
}
