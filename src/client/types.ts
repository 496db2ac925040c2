import type { ClientError } from './client-error.ts';

/** What an instance says of itself. `unrecognised`: a value of a newer version. */
export type InstanceStatus = 'starting' | 'up' | 'draining' | 'down' | 'unrecognised';

export interface Endpoint {
  readonly name: string;
  /** `grpc`, `http`, ... */
  readonly protocol: string;
  /** An IP literal without brackets, or a host name. */
  readonly address: string;
  readonly port: number;
}

/** Which instance. */
export interface InstanceKey {
  /** Default `default`. */
  readonly namespace?: string;
  readonly service: string;
  readonly id: string;
}

/** What is registered of one running copy of a service. Bounds: docs/ARCHITECTURE.md. */
export interface InstanceInput extends InstanceKey {
  /** 1 to 16, names unique. */
  readonly endpoints: readonly Endpoint[];
  readonly version?: string;
  /** 0 to 1,000,000; default 100. */
  readonly weight?: number;
  readonly tags?: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly region?: string;
  readonly zone?: string;
  /** Default `up`. */
  readonly status?: Exclude<InstanceStatus, 'unrecognised'>;
}

/** A registered instance. Never changed once handed out. */
export interface Instance {
  readonly namespace: string;
  readonly service: string;
  readonly id: string;
  readonly endpoints: readonly Endpoint[];
  readonly version: string;
  readonly weight: number;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly region: string;
  readonly zone: string;
  readonly status: InstanceStatus;
  /** The revision at which it was last registered anew; fences update and deregister. */
  readonly incarnation: number;
  readonly createRevision: number;
  readonly modifyRevision: number;
  /** Unix milliseconds by the clock of the leader of that time. */
  readonly createTimeMs: number;
  readonly modifyTimeMs: number;
  /** 0: persistent. */
  readonly leaseId: number;
}

export type Consistency = 'linearizable' | 'stale';

/** How fresh an answer is and who gave it. */
export interface Header {
  readonly revision: number;
  /** Id of the member that answered. */
  readonly member: string;
  readonly consistency: Consistency;
  /** How old the answer may be; 0 for linearizable ones. */
  readonly ageMs: number;
}

/** How long an instance lives: by a lease of its own, by one granted before, or until it is deregistered. */
export type Lifetime = { readonly ttlMs: number } | { readonly leaseId: number } | { readonly persistent: true };

export interface RegisterOptions {
  readonly instance: InstanceInput;
  readonly lifetime: Lifetime;
  /** Only over nothing; otherwise ALREADY_REGISTERED. */
  readonly ifAbsent?: boolean;
  /** Only over this incarnation; otherwise SUPERSEDED. */
  readonly ifIncarnation?: number;
}

export interface Registered {
  readonly header: Header;
  readonly incarnation: number;
  /** 0 for a persistent instance. */
  readonly leaseId: number;
  readonly ttlMs: number;
  /** An instance with this id was there and has been taken over. */
  readonly replaced: boolean;
}

/** One instance of a batch, with conditions of its own. */
export interface BatchInstance extends InstanceInput {
  /** Only over nothing; otherwise ALREADY_REGISTERED. */
  readonly ifAbsent?: boolean;
  /** Only over this incarnation; otherwise SUPERSEDED. */
  readonly ifIncarnation?: number;
  /** Only with `persistent`: where it is there, persistent, with this very content, it stays as it is. */
  readonly keepEqual?: boolean;
}

export interface BatchRegisterOptions {
  /** 1 to 1,000, no two with one key; 1 MiB together. */
  readonly instances: readonly BatchInstance[];
  /** Of all of them. With `ttlMs` one lease is granted for all. */
  readonly lifetime: Lifetime;
}

export interface BatchRegistered {
  /** Its revision is that of all instances that were registered. */
  readonly header: Header;
  /** 0 for persistent instances. */
  readonly leaseId: number;
  readonly ttlMs: number;
  /** One an instance, in their order. `replaced`: an instance with this id was there and has been taken over. */
  readonly results: readonly {
    readonly status: 'registered' | 'replaced' | 'kept' | 'unrecognised';
    readonly incarnation: number;
  }[];
}

export interface UpdateOptions {
  readonly instance: InstanceInput;
  readonly incarnation: number;
}

export interface Updated {
  readonly header: Header;
  /** False: the content was the same already. */
  readonly changed: boolean;
}

export interface DeregisterOptions extends InstanceKey {
  /** Only this incarnation; 0, the default: whichever is there. */
  readonly incarnation?: number;
  /** Kept with the change; at most 256 bytes. */
  readonly reason?: string;
}

export interface Deregistered {
  readonly header: Header;
  readonly existed: boolean;
}

export interface LeaseGranted {
  readonly header: Header;
  readonly leaseId: number;
  readonly ttlMs: number;
}

export interface LeaseRevoked {
  readonly header: Header;
  readonly existed: boolean;
  /** Instances that the lease held. */
  readonly instances: number;
}

export interface ReadOptions {
  /** Default `default`. */
  readonly namespace?: string;
  /** Default `linearizable`. */
  readonly consistency?: Consistency;
  /** Wait until this revision is applied where it is asked: read your own writes, also with `stale`. */
  readonly minRevision?: number;
}

export type MetadataCondition =
  | { readonly key: string; readonly equals: string }
  /** One of 1 to 16 values. */
  | { readonly key: string; readonly in: readonly string[] }
  | { readonly key: string; readonly exists: true };

/** Which instances are meant: every condition that is set must hold. It judges one instance alone. */
export interface InstanceFilter {
  /** Each must be among the tags of the instance. At most 16. */
  readonly tags?: readonly string[];
  /** Each must hold. At most 16. */
  readonly metadata?: readonly MetadataCondition[];
  /** As in `>=1.4.0 <2.0.0` or `^1.2`; an instance whose version is no semantic version does not match. */
  readonly versionRange?: string;
  /** One of these, at most 16; none: any. */
  readonly zones?: readonly string[];
  readonly regions?: readonly string[];
  /** One of these; none: any. `up` matches also instances that say nothing. */
  readonly statuses?: readonly Exclude<InstanceStatus, 'unrecognised'>[];
}

export interface DiscoverOptions extends ReadOptions {
  readonly service: string;
  /** Only instances that it matches. */
  readonly filter?: InstanceFilter;
  /** Instances a page; 0, the default: as many as fit. */
  readonly pageSize?: number;
}

/** What several pages have in common. */
export interface Paged {
  /** Of the last page. */
  readonly header: Header;
  readonly firstRevision: number;
  /** All pages are of one revision: the answer is one consistent cut. Otherwise a watch with `once` gives one. */
  readonly exact: boolean;
}

export interface Discovered extends Paged {
  /** False: nothing of this service is registered or remembered. */
  readonly known: boolean;
  /** In byte order of their ids. */
  readonly instances: readonly Instance[];
}

export interface DiscoverStreamOptions {
  /** Default `default`. */
  readonly namespace?: string;
  /** Default: every service of the namespace. */
  readonly service?: string;
  /** Without `service`: only services whose names begin so. */
  readonly servicePrefix?: string;
  readonly filter?: InstanceFilter;
  /** Default `linearizable`. */
  readonly consistency?: Consistency;
  /** The whole call with its repetitions, ms; default: the `callTimeoutMs` of the client. */
  readonly timeoutMs?: number;
}

/** One consistent cut, however large. */
export interface DiscoveredCut {
  readonly header: Header;
  /** All instances are as of this revision. A watch with `since` goes on behind it. */
  readonly revision: number;
  readonly instances: readonly Instance[];
}

export interface ListServicesOptions extends ReadOptions {
  readonly prefix?: string;
  readonly pageSize?: number;
}

export interface ServiceSummary {
  readonly namespace: string;
  readonly service: string;
  readonly instances: number;
  readonly modifyRevision: number;
}

export interface ServicesListed extends Paged {
  readonly services: readonly ServiceSummary[];
}

export type MemberRole = 'follower' | 'candidate' | 'leader' | 'forming' | 'unrecognised';

/** What one member knows of itself and the others; fields as in cluster.proto. */
export interface MemberReport {
  readonly clusterId: string;
  readonly memberId: string;
  readonly directoryId: string;
  readonly boot: number;
  readonly role: MemberRole;
  readonly leaderId: string;
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly lastIndex: number;
  readonly durableIndex: number;
  readonly flushedIndex: number;
  readonly firstKeptIndex: number;
  readonly revision: number;
  readonly stateHash: string;
  readonly fenced: boolean;
  readonly members: readonly PeerReport[];
  readonly version: string;
  readonly uptimeMs: number;
  readonly instances: number;
  readonly services: number;
  readonly leases: number;
  readonly sessions: number;
  readonly watches: number;
  readonly sessionStreams: number;
  readonly diskFreeBytes: number;
  readonly logBytes: number;
  readonly waitingFor: string;
}

export interface PeerReport {
  readonly memberId: string;
  readonly peerAddress: string;
  readonly clientAddress: string;
  readonly reachable: boolean;
  readonly matchIndex: number;
  readonly replicationState: string;
  readonly lastContactMs: number;
  readonly kind: MemberKind;
}

/** `unknown`: the asked member does not say, as one of an earlier version or before it knows of a cluster. */
export type MemberKind = 'voter' | 'learner' | 'outgoing' | 'unknown';

/** Who belongs to a cluster; fields as in cluster.proto. */
export interface Membership {
  readonly clusterId: string;
  readonly index: number;
  readonly members: readonly ClusterMember[];
  readonly joint: boolean;
  readonly removedIds: readonly string[];
}

export interface ClusterMember {
  readonly memberId: string;
  readonly directoryId: string;
  readonly peerAddress: string;
  readonly kind: MemberKind;
  readonly autoPromote: boolean;
}

export interface AddMemberOptions {
  /** Where the new member listens for the others, `host:port`. */
  readonly peerAddress: string;
  /** It stays a learner; otherwise it becomes a voter once it has caught up. Default false. */
  readonly learnerOnly?: boolean;
  readonly force?: boolean;
}

export interface ChangeMemberOptions {
  readonly memberId: string;
  /** Also where it may cost the majority. Default false. */
  readonly force?: boolean;
}

export interface ReplaceMemberOptions extends ChangeMemberOptions {
  /** The learner that takes the place of `memberId`. */
  readonly byMemberId: string;
}

export interface WatchOptions {
  /** Default `default`. */
  readonly namespace?: string;
  /** Default: every service of the namespace. */
  readonly service?: string;
  /** Without `service`: only services whose names begin so. */
  readonly servicePrefix?: string;
  /** Only instances that it matches; one that matched and does no more is told by `leaves`. */
  readonly filter?: InstanceFilter;
  /** Tell the member what the reader has applied, which is all but the batch in its hands. Default true. */
  readonly acks?: boolean;
  /** Go on behind this revision, the `to` of a batch of an earlier watch. Default 0: begin with a snapshot. */
  readonly since?: number;
  /** Of the first snapshot. Default `linearizable`. */
  readonly consistency?: Consistency;
  /** End after the snapshot, or with `since` when all until now is told. */
  readonly once?: boolean;
  /** Deliver progress batches too, so often when nothing changes, at least 100. Default: none. */
  readonly progressIntervalMs?: number;
  /** Fail where the first batch is not there in time. Default: wait for ever. */
  readonly firstBatchTimeoutMs?: number;
  /** The stream broke, or the member could not go on: the watch resumes by itself. */
  readonly onInterrupted?: (error: ClientError) => void;
}

/** `unspecified`: in a coalesced batch, which does not say. */
export type RemovalCause = 'deregistered' | 'lease-expired' | 'lease-revoked' | 'unspecified' | 'unrecognised';

export type WatchEvent =
  | { readonly kind: 'put'; readonly revision: number; readonly instance: Instance }
  | {
      readonly kind: 'delete';
      readonly revision: number;
      readonly key: Required<InstanceKey>;
      readonly incarnation: number;
      readonly cause: RemovalCause;
      readonly reason: string;
    }
  /** The instance is there, and the filter of the watch does not match it any more. */
  | {
      readonly kind: 'leaves';
      readonly revision: number;
      readonly key: Required<InstanceKey>;
      readonly incarnation: number;
    };

/**
 * One step of a watch. `snapshot` and `reset`: the events are puts of everything there as of `to`; replace what you
 * hold.
 * `delta`: applied to the set as of `from` it gives the set as of `to`; `from` is the `to` of the batch before.
 * `progress`: nothing changed up to `to`.
 */
export interface WatchBatch {
  readonly kind: 'snapshot' | 'delta' | 'reset' | 'progress';
  readonly from: number;
  readonly to: number;
  readonly events: readonly WatchEvent[];
  readonly header: Header;
  /**
   * A delta for a reader that was slow: each instance that changed stands in it once, as of `to`. `delete` and `leaves`
   * say no incarnation (0) and no cause, and may name instances that were never told.
   */
  readonly coalesced: boolean;
}

/** How one instance of a watched set changed. */
export type SetChange =
  | { readonly kind: 'put'; readonly instance: Instance; readonly before: Instance | undefined }
  | { readonly kind: 'removed'; readonly before: Instance };

export interface WatchedSetOptions {
  /** Default `default`. */
  readonly namespace?: string;
  /** Default: every service of the namespace. */
  readonly service?: string;
  readonly servicePrefix?: string;
  readonly filter?: InstanceFilter;
  /** Of the first snapshot. Default `linearizable`. */
  readonly consistency?: Consistency;
  /** How often a quiet set is confirmed, ms, at least 100; default 5,000. `ageMs` is below it when all is well. */
  readonly progressIntervalMs?: number;
  /** The first set must be there in time. Default: wait for ever. */
  readonly firstBatchTimeoutMs?: number;
  /** Called after the set has changed, with every instance that differs; the first time with all that is there. */
  readonly onChange?: (changes: readonly SetChange[]) => void;
  /** The stream broke: the set stays as it is and gets older, until the watch is resumed by itself. */
  readonly onInterrupted?: (error: ClientError) => void;
  /** Called once where the watch cannot go on: the set stays as it is for ever. */
  readonly onFailed?: (error: ClientError) => void;
}
