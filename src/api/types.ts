import type { MembershipOrder, RecordedMember, RecordedMembership } from '../replica/cluster-admin.ts';
import type { ReplicaStatus } from '../replica/types.ts';
import type { RollcallError } from '../base/errors.ts';
import type { ViewMatcher } from '../filter/types.ts';
import type { ServiceSummary } from '../state-machine/interfaces.ts';
import type { BatchOutcome, InstanceName, Lifetime, LostInstance, SessionOutcome } from '../state-machine/types.ts';
import type { WatchSink } from '../watch/types.ts';

/** Who calls and from where, as the front end saw it. */
export interface Caller {
  readonly actor: string;
  /** Address and port at the far end of the connection, which name it as long as it is open. */
  readonly origin: string;
  /**
   * When the call ends for the caller, by the member's monotonic clock; absent: no end that is known. Handed on to the
   * leader, which proposes nothing that nobody waits for any more.
   */
  readonly deadlineMs?: number;
}

/** A spec that was decoded strictly and whose every field is within its bounds. `bytes` is what the client sent. */
export interface CheckedSpec {
  readonly name: InstanceName;
  readonly bytes: Uint8Array;
  /** Fields this version does not know; kept in `bytes`, counted in metrics. */
  readonly unknownFields: number;
}

export type Consistency = 'linearizable' | 'stale';

export interface Header {
  readonly revision: number;
  readonly member: string;
  readonly consistency: Consistency;
  readonly ageMs: number;
}

export interface RegisterRequest {
  readonly spec: CheckedSpec;
  readonly lifetime: Lifetime;
  readonly ifAbsent: boolean;
  readonly ifIncarnation: number;
  readonly requestId: string;
}
export interface RegisterAnswer {
  readonly header: Header;
  readonly incarnation: number;
  readonly leaseId: number;
  readonly ttlMs: number;
  readonly replaced: boolean;
}
export interface BatchRegisterItem {
  readonly spec: CheckedSpec;
  readonly ifAbsent: boolean;
  readonly ifIncarnation: number;
  readonly keepEqual: boolean;
}
export interface BatchRegisterRequest {
  readonly items: readonly BatchRegisterItem[];
  readonly lifetime: Lifetime;
  readonly requestId: string;
}
export interface BatchRegisterAnswer {
  readonly header: Header;
  readonly leaseId: number;
  readonly ttlMs: number;
  readonly results: readonly BatchOutcome[];
}
export interface UpdateRequest {
  readonly spec: CheckedSpec;
  readonly incarnation: number;
  readonly requestId: string;
}
export interface UpdateAnswer {
  readonly header: Header;
  readonly changed: boolean;
}
export interface DeregisterRequest {
  readonly name: InstanceName;
  readonly incarnation: number;
  readonly requestId: string;
  readonly reason: string;
}
export interface DeregisterAnswer {
  readonly header: Header;
  readonly existed: boolean;
}
export interface GrantLeaseRequest {
  readonly ttlMs: number;
  readonly requestId: string;
}
export interface GrantLeaseAnswer {
  readonly header: Header;
  readonly leaseId: number;
  readonly ttlMs: number;
}
export interface RevokeLeaseRequest {
  readonly leaseId: number;
  readonly requestId: string;
  readonly reason: string;
}
export interface RevokeLeaseAnswer {
  readonly header: Header;
  readonly existed: boolean;
  readonly instances: number;
}
export interface RenewAnswer {
  readonly leaseId: number;
  readonly status: 'renewed' | 'unknown' | 'unavailable';
  readonly ttlMs: number;
}
export interface DiscoverRequest {
  readonly namespace: string;
  readonly service: string;
  readonly consistency: Consistency;
  readonly minRevision: number;
  /** 0: as many as fit. */
  readonly pageSize: number;
  readonly pageToken: string;
  readonly matcher: ViewMatcher;
}
export interface DiscoverAnswer {
  readonly header: Header;
  readonly known: boolean;
  /** Encoded InstanceViews, in byte order of ids. Kept bytes: not to be changed. */
  readonly views: readonly Uint8Array[];
  readonly nextPageToken: string;
  readonly firstRevision: number;
}
export interface ListServicesRequest {
  readonly namespace: string;
  readonly prefix: string;
  readonly consistency: Consistency;
  readonly minRevision: number;
  readonly pageSize: number;
  readonly pageToken: string;
}
export interface ListServicesAnswer {
  readonly header: Header;
  readonly services: readonly ServiceSummary[];
  readonly nextPageToken: string;
  readonly firstRevision: number;
}
export interface WatchCreateRequest {
  readonly watchId: number;
  readonly namespace: string;
  readonly service: string;
  readonly servicePrefix: string;
  readonly matcher: ViewMatcher;
  readonly resumeRevision: number;
  readonly consistency: Consistency;
  readonly once: boolean;
  readonly progressIntervalMs: number;
}

/**
 * One client's watch stream. `create` returns at once; what goes wrong with one watch ends that watch with an error. An
 * id that is in use is such an error, and ends the watch that has it. Where the client does not read the ends of its
 * watches either, `create` throws RollcallError OVERLOADED: the front end then ends the stream.
 */
export interface WatchSession {
  create(request: WatchCreateRequest): void;
  cancel(watchId: number): void;
  /** An ack of what was not sent ends that watch with INVALID_FIELD. */
  ack(watchId: number, revision: number): void;
  drained(): void;
  close(): void;
  /** No watch is open or being opened, and all is sent: a client that has closed its side is then done. */
  readonly idle: boolean;
  /** Called when `idle` becomes true. */
  onIdle(listener: () => void): void;
}

/** The first message of a session's stream. */
export interface SessionOpenRequest {
  /** 0: a new session. */
  readonly sessionId: number;
  readonly ttlMs: number;
  readonly requestId: string;
  /** Which of its streams this is, above 1; 0 with a new session. */
  readonly attachment: number;
}

/** What follows on it. */
export type SessionMessage =
  | {
      readonly kind: 'write';
      readonly sequence: number;
      readonly operations: readonly CheckedOperation[];
    }
  | { readonly kind: 'ping'; readonly pingId: number };

export type CheckedOperation =
  | {
      readonly kind: 'register';
      readonly spec: CheckedSpec;
      readonly restore: boolean;
      readonly ownIncarnation: number;
    }
  | { readonly kind: 'update'; readonly spec: CheckedSpec; readonly incarnation: number }
  | { readonly kind: 'deregister'; readonly name: InstanceName; readonly incarnation: number; readonly reason: string };

/** What a session's stream is sent. */
export type SessionAnswer =
  | {
      readonly kind: 'opened';
      readonly header: Header;
      readonly sessionId: number;
      readonly ttlMs: number;
      readonly lastSequence: number;
      readonly instances: number;
      readonly moreLost: boolean;
    }
  | {
      readonly kind: 'written';
      readonly header: Header;
      readonly sequence: number;
      readonly results: readonly SessionResult[];
    }
  | { readonly kind: 'pong'; readonly pingId: number; readonly renewed: boolean }
  | { readonly kind: 'lost'; readonly lost: LostInstance };

/** `message` is '' but for what was refused. */
export interface SessionResult extends SessionOutcome {
  readonly message: string;
}

/** Where a session's answers go. */
export interface SessionSink {
  send(answer: SessionAnswer): void;
  /** The stream is over: with an error, or undefined after the client's half-close was carried out. Called once. */
  end(error: RollcallError | undefined): void;
}

/**
 * One stream of a session. Messages are worked on one after the other, writes each after the one before it was applied;
 * pings beside them. `full` asks the front end to read no more until `onRoom` is called.
 */
export interface SessionCall {
  receive(message: SessionMessage): void;
  /** The client has closed its side: what it sent is carried out, then the session ends with all that it holds. */
  halfClose(): void;
  /** The stream broke: nothing more is sent, writes that are under way go on, the session lives on. */
  close(): void;
  readonly full: boolean;
  onRoom(listener: () => void): void;
}

/**
 * The use cases behind every front end. Requests are parsed (form and bounds checked by the functions of
 * api/parse-*.ts) before they come here. All promises reject with RollcallError only; anything else is a broken
 * invariant.
 */
export interface RegistryApi {
  register(request: RegisterRequest, caller: Caller): Promise<RegisterAnswer>;
  batchRegister(request: BatchRegisterRequest, caller: Caller): Promise<BatchRegisterAnswer>;
  update(request: UpdateRequest, caller: Caller): Promise<UpdateAnswer>;
  deregister(request: DeregisterRequest, caller: Caller): Promise<DeregisterAnswer>;
  grantLease(request: GrantLeaseRequest, caller: Caller): Promise<GrantLeaseAnswer>;
  revokeLease(request: RevokeLeaseRequest, caller: Caller): Promise<RevokeLeaseAnswer>;
  /** Never rejects for a single lease: says 'unavailable' for it. */
  renew(leaseIds: readonly number[], caller: Caller): Promise<readonly RenewAnswer[]>;
  discover(request: DiscoverRequest, caller: Caller): Promise<DiscoverAnswer>;
  listServices(request: ListServicesRequest, caller: Caller): Promise<ListServicesAnswer>;
  openSession(request: SessionOpenRequest, sink: SessionSink, caller: Caller): SessionCall;
  openWatch(sink: WatchSink, caller: Caller): WatchSession;
}

/** One member as the asked one sees it. */
export interface MemberStatus {
  readonly memberId: string;
  readonly peerAddress: string;
  /** '' where not known. */
  readonly clientAddress: string;
  readonly reachable: boolean;
  /** Only where the asked member leads. */
  readonly matchIndex: number;
  readonly replicationState: string;
  /** Since its last message; 0 for the asked member, its uptime for one never heard. */
  readonly lastContactMs: number;
  /** Undefined before the member knows of a cluster. */
  readonly kind: RecordedMember['kind'] | undefined;
}

export interface ClusterStatus {
  readonly replica: ReplicaStatus;
  /** By member id, the asked member included. */
  readonly members: readonly MemberStatus[];
  readonly version: string;
  readonly instances: number;
  readonly services: number;
  readonly leases: number;
  readonly sessions: number;
  readonly watches: number;
  /** Streams of sessions that are open on this member. */
  readonly sessionStreams: number;
}

/** What an operator asks. */
export interface ClusterApi {
  /** What this member knows, at once, also without a leader. */
  status(): ClusterStatus;
  /** Who belongs to the cluster as the log of this member has it, at once, also without a leader. */
  listMembers(): Promise<RecordedMembership>;
  /** Resolves once the change is committed and in force. */
  changeMembership(request: ChangeMembershipRequest): Promise<RecordedMembership>;
  /** '': to the member that is furthest. Resolves with who leads then. */
  transferLeadership(to: string): Promise<string>;
}

export interface ChangeMembershipRequest {
  readonly order: MembershipOrder;
  readonly force: boolean;
}
