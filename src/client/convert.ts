import { rollcall } from '../gen/rollcall.js';
import type {
  BatchInstance,
  BatchRegistered,
  ClusterMember,
  Consistency,
  Endpoint,
  Header,
  Instance,
  InstanceFilter,
  InstanceInput,
  InstanceKey,
  InstanceStatus,
  Lifetime,
  MemberKind,
  MemberReport,
  MemberRole,
  Membership,
  MetadataCondition,
  PeerReport,
  RemovalCause,
  WatchEvent,
} from './types.ts';

// Between the messages of the wire and the types of the client. What a newer member may send is told as `unrecognised`.

const v1 = rollcall.v1;
type HeaderMessage = rollcall.v1.ResponseHeader.$Properties;

export const defaultNamespace = 'default';
const defaultWeight = 100;

const statusOfNumber: ReadonlyMap<number, InstanceStatus> = new Map([
  [v1.InstanceStatus.INSTANCE_STATUS_UNSPECIFIED, 'up'],
  [v1.InstanceStatus.INSTANCE_STATUS_STARTING, 'starting'],
  [v1.InstanceStatus.INSTANCE_STATUS_UP, 'up'],
  [v1.InstanceStatus.INSTANCE_STATUS_DRAINING, 'draining'],
  [v1.InstanceStatus.INSTANCE_STATUS_DOWN, 'down'],
]);
const numberOfStatus = {
  starting: v1.InstanceStatus.INSTANCE_STATUS_STARTING,
  up: v1.InstanceStatus.INSTANCE_STATUS_UP,
  draining: v1.InstanceStatus.INSTANCE_STATUS_DRAINING,
  down: v1.InstanceStatus.INSTANCE_STATUS_DOWN,
} as const;
const causeOfNumber: ReadonlyMap<number, RemovalCause> = new Map([
  [v1.RemovalCause.REMOVAL_CAUSE_UNSPECIFIED, 'unspecified'],
  [v1.RemovalCause.REMOVAL_CAUSE_DEREGISTERED, 'deregistered'],
  [v1.RemovalCause.REMOVAL_CAUSE_LEASE_EXPIRED, 'lease-expired'],
  [v1.RemovalCause.REMOVAL_CAUSE_LEASE_REVOKED, 'lease-revoked'],
]);
const batchStatusOfNumber: ReadonlyMap<number, 'registered' | 'replaced' | 'kept'> = new Map([
  [v1.BatchRegisterStatus.BATCH_REGISTER_STATUS_REGISTERED, 'registered'],
  [v1.BatchRegisterStatus.BATCH_REGISTER_STATUS_REPLACED, 'replaced'],
  [v1.BatchRegisterStatus.BATCH_REGISTER_STATUS_KEPT, 'kept'],
]);
const roleOfNumber: ReadonlyMap<number, MemberRole> = new Map([
  [v1.MemberRole.MEMBER_ROLE_FOLLOWER, 'follower'],
  [v1.MemberRole.MEMBER_ROLE_CANDIDATE, 'candidate'],
  [v1.MemberRole.MEMBER_ROLE_LEADER, 'leader'],
  [v1.MemberRole.MEMBER_ROLE_FORMING, 'forming'],
]);

const kindOfNumber: ReadonlyMap<number, MemberKind> = new Map([
  [v1.MemberKind.MEMBER_KIND_VOTER, 'voter'],
  [v1.MemberKind.MEMBER_KIND_LEARNER, 'learner'],
  [v1.MemberKind.MEMBER_KIND_OUTGOING, 'outgoing'],
]);

export function toSpec(input: InstanceInput): rollcall.v1.InstanceSpec.$Properties {
  const spec: rollcall.v1.InstanceSpec.$Properties = {
    namespace: input.namespace ?? defaultNamespace,
    service: input.service,
    id: input.id,
    endpoints: input.endpoints.map(({ name, protocol, address, port }) => ({ name, protocol, address, port })),
    version: input.version ?? '',
    tags: [...(input.tags ?? [])],
    metadata: { ...input.metadata },
  };
  if (input.weight !== undefined) spec.weight = input.weight;
  if (input.status !== undefined) spec.status = numberOfStatus[input.status];
  const { region = '', zone = '' } = input;
  if (region !== '' || zone !== '') spec.locality = { region, zone };
  return spec;
}

export function toKey(key: InstanceKey): rollcall.v1.InstanceKey.$Properties {
  return { namespace: key.namespace ?? defaultNamespace, service: key.service, id: key.id };
}

/** The fields of the oneof, alike in Register and BatchRegister. */
export function toLifetime(lifetime: Lifetime): { ttlMs?: number; leaseId?: number; persistent?: boolean } {
  if ('ttlMs' in lifetime) return { ttlMs: lifetime.ttlMs };
  if ('leaseId' in lifetime) return { leaseId: lifetime.leaseId };
  return { persistent: true };
}

export function toBatchItem(item: BatchInstance): rollcall.v1.BatchRegisterItem.$Properties {
  const { ifAbsent = false, ifIncarnation = 0, keepEqual = false } = item;
  return { instance: toSpec(item), ifAbsent, ifIncarnation, keepEqual };
}

export function toFilter(filter: InstanceFilter | undefined): rollcall.v1.InstanceFilter.$Properties | undefined {
  if (filter === undefined) return undefined;
  return {
    tags: [...(filter.tags ?? [])],
    metadata: (filter.metadata ?? []).map(toCondition),
    versionRange: filter.versionRange ?? '',
    zones: [...(filter.zones ?? [])],
    regions: [...(filter.regions ?? [])],
    statuses: (filter.statuses ?? []).map((status) => numberOfStatus[status]),
  };
}

function toCondition(condition: MetadataCondition): rollcall.v1.MetadataCondition.$Properties {
  const { METADATA_OPERATOR_EQUALS, METADATA_OPERATOR_IN, METADATA_OPERATOR_EXISTS } = v1.MetadataOperator;
  const { key } = condition;
  if ('equals' in condition) return { key, operator: METADATA_OPERATOR_EQUALS, values: [condition.equals] };
  if ('in' in condition) return { key, operator: METADATA_OPERATOR_IN, values: [...condition.in] };
  return { key, operator: METADATA_OPERATOR_EXISTS };
}

export function toConsistency(consistency: Consistency | undefined): rollcall.v1.Consistency {
  return consistency === 'stale' ? v1.Consistency.CONSISTENCY_STALE : v1.Consistency.CONSISTENCY_LINEARIZABLE;
}

export function fromHeader(header: HeaderMessage | null | undefined): Header {
  return {
    revision: header?.revision ?? 0,
    member: header?.member ?? '',
    consistency: header?.consistency === v1.Consistency.CONSISTENCY_STALE ? 'stale' : 'linearizable',
    ageMs: header?.ageMs ?? 0,
  };
}

export function fromView(view: rollcall.v1.InstanceView.$Properties | null | undefined): Instance {
  const spec = view?.spec;
  const meta = view?.meta;
  return {
    ...fromKey(spec),
    endpoints: (spec?.endpoints ?? []).map(fromEndpoint),
    version: spec?.version ?? '',
    weight: spec?.weight ?? defaultWeight,
    tags: spec?.tags ?? [],
    // A copy by own keys: a key may be named as a property of every object.
    metadata: Object.fromEntries(Object.entries(spec?.metadata ?? {})),
    region: spec?.locality?.region ?? '',
    zone: spec?.locality?.zone ?? '',
    status: statusOfNumber.get(spec?.status ?? 0) ?? 'unrecognised',
    incarnation: meta?.incarnation ?? 0,
    createRevision: meta?.createRevision ?? 0,
    modifyRevision: meta?.modifyRevision ?? 0,
    createTimeMs: meta?.createTimeMs ?? 0,
    modifyTimeMs: meta?.modifyTimeMs ?? 0,
    leaseId: meta?.leaseId ?? 0,
  };
}

export function fromBatchRegistered(bytes: Uint8Array): BatchRegistered {
  const { header, leaseId, ttlMs, results } = v1.BatchRegisterResponse.decode(bytes);
  return {
    header: fromHeader(header),
    leaseId,
    ttlMs,
    results: results.map(({ status, incarnation }) => ({
      status: batchStatusOfNumber.get(status ?? 0) ?? 'unrecognised',
      incarnation: incarnation ?? 0,
    })),
  };
}

/** Undefined for a kind of event that this version does not know. */
export function fromEvent(event: rollcall.v1.WatchEvent.$Properties): WatchEvent | undefined {
  const revision = event.revision ?? 0;
  const { WATCH_EVENT_KIND_PUT, WATCH_EVENT_KIND_DELETE, WATCH_EVENT_KIND_LEAVES } = v1.WatchEventKind;
  if (event.kind === WATCH_EVENT_KIND_PUT) return { kind: 'put', revision, instance: fromView(event.instance) };
  const incarnation = event.incarnation ?? 0;
  if (event.kind === WATCH_EVENT_KIND_LEAVES) return { kind: 'leaves', revision, key: fromKey(event.key), incarnation };
  if (event.kind !== WATCH_EVENT_KIND_DELETE) return undefined;
  return {
    kind: 'delete',
    revision,
    key: fromKey(event.key),
    incarnation,
    cause: causeOfNumber.get(event.cause ?? 0) ?? 'unrecognised',
    reason: event.reason ?? '',
  };
}

export function fromStatus(bytes: Uint8Array): MemberReport {
  const message = v1.StatusResponse.decode(bytes);
  return {
    clusterId: message.clusterId,
    memberId: message.memberId,
    directoryId: message.directoryId,
    boot: message.boot,
    role: roleOfNumber.get(message.role) ?? 'unrecognised',
    leaderId: message.leaderId,
    term: message.term,
    commitIndex: message.commitIndex,
    appliedIndex: message.appliedIndex,
    lastIndex: message.lastIndex,
    durableIndex: message.durableIndex,
    flushedIndex: message.flushedIndex,
    firstKeptIndex: message.firstKeptIndex,
    revision: message.revision,
    stateHash: message.stateHash,
    fenced: message.fenced,
    members: message.members.map(fromPeer),
    version: message.version,
    uptimeMs: message.uptimeMs,
    instances: message.instances,
    services: message.services,
    leases: message.leases,
    sessions: message.sessions,
    watches: message.watches,
    sessionStreams: message.sessionStreams,
    diskFreeBytes: message.diskFreeBytes,
    logBytes: message.logBytes,
    waitingFor: message.waitingFor,
  };
}

function fromPeer(peer: rollcall.v1.MemberStatus.$Properties): PeerReport {
  return {
    memberId: peer.memberId ?? '',
    peerAddress: peer.peerAddress ?? '',
    clientAddress: peer.clientAddress ?? '',
    reachable: peer.reachable ?? false,
    matchIndex: peer.matchIndex ?? 0,
    replicationState: peer.replicationState ?? '',
    lastContactMs: peer.lastContactMs ?? 0,
    kind: kindOfNumber.get(peer.kind ?? 0) ?? 'unknown',
  };
}

/** ListMembersResponse, and the answers to the changes, which are alike. */
export function fromMembership(bytes: Uint8Array): Membership {
  const { membership } = v1.ListMembersResponse.decode(bytes);
  return {
    clusterId: membership?.clusterId ?? '',
    index: membership?.index ?? 0,
    members: (membership?.members ?? []).map(fromMember),
    joint: membership?.joint ?? false,
    removedIds: membership?.removedIds ?? [],
  };
}

function fromMember(member: rollcall.v1.Member.$Properties): ClusterMember {
  return {
    memberId: member.memberId ?? '',
    directoryId: member.directoryId ?? '',
    peerAddress: member.peerAddress ?? '',
    kind: kindOfNumber.get(member.kind ?? 0) ?? 'unknown',
    autoPromote: member.autoPromote ?? false,
  };
}

function fromEndpoint(endpoint: rollcall.v1.Endpoint.$Properties): Endpoint {
  return {
    name: endpoint.name ?? '',
    protocol: endpoint.protocol ?? '',
    address: endpoint.address ?? '',
    port: endpoint.port ?? 0,
  };
}

export function fromKey(
  key: { namespace?: string | null; service?: string | null; id?: string | null } | null | undefined,
): Required<InstanceKey> {
  const namespace = key?.namespace ?? '';
  return {
    namespace: namespace === '' ? defaultNamespace : namespace,
    service: key?.service ?? '',
    id: key?.id ?? '',
  };
}
