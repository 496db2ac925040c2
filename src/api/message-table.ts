import { apiBounds } from './bounds.ts';

/**
 * What the requests look like on the wire: one table a message, the same as the proto files (test/api compares both by
 * reflection). `present: 'explicit'` marks fields whose absence is seen: members of a oneof, and `optional` ones.
 * `countMax` stops a request of a million empty elements before it has become a million objects.
 */
export type FieldShape =
  | { readonly number: number; readonly type: 'string' | 'bool' | 'uint32' | 'uint64'; readonly present?: 'explicit' }
  | { readonly number: number; readonly type: 'enum'; readonly names: readonly string[]; readonly enumName: string }
  | {
      readonly number: number;
      readonly type: 'enums';
      readonly names: readonly string[];
      readonly enumName: string;
      readonly countMax: number;
    }
  | { readonly number: number; readonly type: 'message'; readonly table: MessageTable }
  | { readonly number: number; readonly type: 'strings' | 'uint64s' | 'string-map'; readonly countMax: number }
  | { readonly number: number; readonly type: 'messages'; readonly table: MessageTable; readonly countMax: number };

export interface MessageTable {
  /** Full name in the proto files. */
  readonly name: string;
  readonly fields: Readonly<Record<string, FieldShape>>;
}

/** A decoded message: values by the names of the proto file, and what it was made of. */
export interface Decoded<T extends MessageTable> {
  readonly values: { readonly [Name in keyof T['fields']]: Value<T['fields'][Name]> };
  /** The message as it was sent; a part of the request's bytes, not a copy. */
  readonly bytes: Uint8Array;
  /** Fields that this version does not know, in this message and in those inside it. */
  readonly unknownFields: number;
}

type Scalar<Type> = Type extends 'string' ? string : Type extends 'bool' ? boolean : number;

type Value<F> = F extends { readonly type: 'message'; readonly table: infer T extends MessageTable }
  ? Decoded<T> | undefined
  : F extends { readonly type: 'messages'; readonly table: infer T extends MessageTable }
    ? readonly Decoded<T>[]
    : F extends { readonly type: 'strings' }
      ? readonly string[]
      : F extends { readonly type: 'uint64s' | 'enums' }
        ? readonly number[]
        : F extends { readonly type: 'string-map' }
          ? ReadonlyMap<string, string>
          : F extends { readonly type: infer Type; readonly present: 'explicit' }
            ? Scalar<Type> | undefined
            : F extends { readonly type: infer Type }
              ? Scalar<Type>
              : never;

function table<const T extends MessageTable>(shape: T): T {
  return shape;
}

const consistency = {
  type: 'enum',
  enumName: 'rollcall.v1.Consistency',
  names: ['CONSISTENCY_LINEARIZABLE', 'CONSISTENCY_STALE'],
} as const;

const instanceStatus = {
  enumName: 'rollcall.v1.InstanceStatus',
  names: [
    'INSTANCE_STATUS_UNSPECIFIED',
    'INSTANCE_STATUS_STARTING',
    'INSTANCE_STATUS_UP',
    'INSTANCE_STATUS_DRAINING',
    'INSTANCE_STATUS_DOWN',
  ],
} as const;

const endpointTable = table({
  name: 'rollcall.v1.Endpoint',
  fields: {
    name: { number: 1, type: 'string' },
    protocol: { number: 2, type: 'string' },
    address: { number: 3, type: 'string' },
    port: { number: 4, type: 'uint32' },
  },
});

const localityTable = table({
  name: 'rollcall.v1.Locality',
  fields: {
    region: { number: 1, type: 'string' },
    zone: { number: 2, type: 'string' },
  },
});

export const instanceSpecTable = table({
  name: 'rollcall.v1.InstanceSpec',
  fields: {
    namespace: { number: 1, type: 'string' },
    service: { number: 2, type: 'string' },
    id: { number: 3, type: 'string' },
    endpoints: { number: 4, type: 'messages', table: endpointTable, countMax: apiBounds.endpointsMax },
    version: { number: 5, type: 'string' },
    weight: { number: 6, type: 'uint32', present: 'explicit' },
    tags: { number: 7, type: 'strings', countMax: apiBounds.tagsMax },
    metadata: { number: 8, type: 'string-map', countMax: apiBounds.metadataPairsMax },
    locality: { number: 9, type: 'message', table: localityTable },
    status: { number: 10, type: 'enum', ...instanceStatus },
  },
});

const instanceKeyTable = table({
  name: 'rollcall.v1.InstanceKey',
  fields: {
    namespace: { number: 1, type: 'string' },
    service: { number: 2, type: 'string' },
    id: { number: 3, type: 'string' },
  },
});

export const registerTable = table({
  name: 'rollcall.v1.RegisterRequest',
  fields: {
    instance: { number: 1, type: 'message', table: instanceSpecTable },
    ttl_ms: { number: 2, type: 'uint64', present: 'explicit' },
    lease_id: { number: 3, type: 'uint64', present: 'explicit' },
    persistent: { number: 4, type: 'bool', present: 'explicit' },
    if_absent: { number: 5, type: 'bool' },
    if_incarnation: { number: 6, type: 'uint64' },
    request_id: { number: 7, type: 'string' },
  },
});

const batchRegisterItemTable = table({
  name: 'rollcall.v1.BatchRegisterItem',
  fields: {
    instance: { number: 1, type: 'message', table: instanceSpecTable },
    if_absent: { number: 2, type: 'bool' },
    if_incarnation: { number: 3, type: 'uint64' },
    keep_equal: { number: 4, type: 'bool' },
  },
});

export const batchRegisterTable = table({
  name: 'rollcall.v1.BatchRegisterRequest',
  fields: {
    items: { number: 1, type: 'messages', table: batchRegisterItemTable, countMax: apiBounds.batchItemsMax },
    ttl_ms: { number: 2, type: 'uint64', present: 'explicit' },
    lease_id: { number: 3, type: 'uint64', present: 'explicit' },
    persistent: { number: 4, type: 'bool', present: 'explicit' },
    request_id: { number: 5, type: 'string' },
  },
});

export const updateTable = table({
  name: 'rollcall.v1.UpdateRequest',
  fields: {
    instance: { number: 1, type: 'message', table: instanceSpecTable },
    incarnation: { number: 2, type: 'uint64' },
    request_id: { number: 3, type: 'string' },
  },
});

export const deregisterTable = table({
  name: 'rollcall.v1.DeregisterRequest',
  fields: {
    key: { number: 1, type: 'message', table: instanceKeyTable },
    incarnation: { number: 2, type: 'uint64' },
    request_id: { number: 3, type: 'string' },
    reason: { number: 4, type: 'string' },
  },
});

export const grantLeaseTable = table({
  name: 'rollcall.v1.GrantLeaseRequest',
  fields: {
    ttl_ms: { number: 1, type: 'uint64' },
    request_id: { number: 2, type: 'string' },
  },
});

export const revokeLeaseTable = table({
  name: 'rollcall.v1.RevokeLeaseRequest',
  fields: {
    lease_id: { number: 1, type: 'uint64' },
    request_id: { number: 2, type: 'string' },
    reason: { number: 3, type: 'string' },
  },
});

export const keepAliveTable = table({
  name: 'rollcall.v1.KeepAliveRequest',
  fields: { lease_ids: { number: 1, type: 'uint64s', countMax: apiBounds.leaseIdsMax } },
});

const sessionOpenTable = table({
  name: 'rollcall.v1.SessionOpen',
  fields: {
    session_id: { number: 1, type: 'uint64' },
    ttl_ms: { number: 2, type: 'uint64' },
    request_id: { number: 3, type: 'string' },
    attachment: { number: 4, type: 'uint64' },
  },
});

const sessionRegisterTable = table({
  name: 'rollcall.v1.SessionRegister',
  fields: {
    instance: { number: 1, type: 'message', table: instanceSpecTable },
    mode: {
      number: 2,
      type: 'enum',
      enumName: 'rollcall.v1.SessionRegisterMode',
      names: ['SESSION_REGISTER_MODE_START', 'SESSION_REGISTER_MODE_RESTORE'],
    },
    own_incarnation: { number: 3, type: 'uint64' },
  },
});

const sessionUpdateTable = table({
  name: 'rollcall.v1.SessionUpdate',
  fields: {
    instance: { number: 1, type: 'message', table: instanceSpecTable },
    incarnation: { number: 2, type: 'uint64' },
  },
});

const sessionDeregisterTable = table({
  name: 'rollcall.v1.SessionDeregister',
  fields: {
    key: { number: 1, type: 'message', table: instanceKeyTable },
    incarnation: { number: 2, type: 'uint64' },
    reason: { number: 3, type: 'string' },
  },
});

const sessionOperationTable = table({
  name: 'rollcall.v1.SessionOperation',
  fields: {
    register: { number: 1, type: 'message', table: sessionRegisterTable },
    update: { number: 2, type: 'message', table: sessionUpdateTable },
    deregister: { number: 3, type: 'message', table: sessionDeregisterTable },
  },
});

const sessionWriteTable = table({
  name: 'rollcall.v1.SessionWrite',
  fields: {
    sequence: { number: 1, type: 'uint64' },
    operations: {
      number: 2,
      type: 'messages',
      table: sessionOperationTable,
      countMax: apiBounds.sessionOperationsMax,
    },
  },
});

const sessionPingTable = table({
  name: 'rollcall.v1.SessionPing',
  fields: { ping_id: { number: 1, type: 'uint64' } },
});

export const sessionTable = table({
  name: 'rollcall.v1.SessionRequest',
  fields: {
    open: { number: 1, type: 'message', table: sessionOpenTable },
    write: { number: 2, type: 'message', table: sessionWriteTable },
    ping: { number: 3, type: 'message', table: sessionPingTable },
  },
});

const metadataConditionTable = table({
  name: 'rollcall.v1.MetadataCondition',
  fields: {
    key: { number: 1, type: 'string' },
    operator: {
      number: 2,
      type: 'enum',
      enumName: 'rollcall.v1.MetadataOperator',
      names: [
        'METADATA_OPERATOR_UNSPECIFIED',
        'METADATA_OPERATOR_EQUALS',
        'METADATA_OPERATOR_IN',
        'METADATA_OPERATOR_EXISTS',
      ],
    },
    values: { number: 3, type: 'strings', countMax: apiBounds.filterValuesMax },
  },
});

export const instanceFilterTable = table({
  name: 'rollcall.v1.InstanceFilter',
  fields: {
    tags: { number: 1, type: 'strings', countMax: apiBounds.filterTagsMax },
    metadata: {
      number: 2,
      type: 'messages',
      table: metadataConditionTable,
      countMax: apiBounds.filterMetadataMax,
    },
    version_range: { number: 3, type: 'string' },
    zones: { number: 4, type: 'strings', countMax: apiBounds.filterZonesMax },
    regions: { number: 5, type: 'strings', countMax: apiBounds.filterRegionsMax },
    statuses: { number: 6, type: 'enums', ...instanceStatus, countMax: apiBounds.filterStatusesMax },
  },
});

export const discoverTable = table({
  name: 'rollcall.v1.DiscoverRequest',
  fields: {
    namespace: { number: 1, type: 'string' },
    service: { number: 2, type: 'string' },
    consistency: { number: 3, ...consistency },
    min_revision: { number: 4, type: 'uint64' },
    page_size: { number: 5, type: 'uint32' },
    page_token: { number: 6, type: 'string' },
    filter: { number: 7, type: 'message', table: instanceFilterTable },
  },
});

export const listServicesTable = table({
  name: 'rollcall.v1.ListServicesRequest',
  fields: {
    namespace: { number: 1, type: 'string' },
    prefix: { number: 2, type: 'string' },
    consistency: { number: 3, ...consistency },
    min_revision: { number: 4, type: 'uint64' },
    page_size: { number: 5, type: 'uint32' },
    page_token: { number: 6, type: 'string' },
  },
});

const watchCreateTable = table({
  name: 'rollcall.v1.WatchCreate',
  fields: {
    watch_id: { number: 1, type: 'uint64' },
    namespace: { number: 2, type: 'string' },
    service: { number: 3, type: 'string' },
    resume_revision: { number: 4, type: 'uint64' },
    consistency: { number: 5, ...consistency },
    once: { number: 6, type: 'bool' },
    progress_interval_ms: { number: 7, type: 'uint64' },
    service_prefix: { number: 8, type: 'string' },
    filter: { number: 9, type: 'message', table: instanceFilterTable },
  },
});

const watchCancelTable = table({
  name: 'rollcall.v1.WatchCancel',
  fields: { watch_id: { number: 1, type: 'uint64' } },
});

const watchAckTable = table({
  name: 'rollcall.v1.WatchAck',
  fields: {
    watch_id: { number: 1, type: 'uint64' },
    revision: { number: 2, type: 'uint64' },
  },
});

export const watchTable = table({
  name: 'rollcall.v1.WatchRequest',
  fields: {
    create: { number: 1, type: 'message', table: watchCreateTable },
    cancel: { number: 2, type: 'message', table: watchCancelTable },
    ack: { number: 3, type: 'message', table: watchAckTable },
  },
});

export const statusTable = table({ name: 'rollcall.v1.StatusRequest', fields: {} });

export const listMembersTable = table({ name: 'rollcall.v1.ListMembersRequest', fields: {} });

export const addMemberTable = table({
  name: 'rollcall.v1.AddMemberRequest',
  fields: {
    peer_address: { number: 1, type: 'string' },
    learner_only: { number: 2, type: 'bool' },
    force: { number: 3, type: 'bool' },
  },
});

export const promoteMemberTable = table({
  name: 'rollcall.v1.PromoteMemberRequest',
  fields: {
    member_id: { number: 1, type: 'string' },
    force: { number: 2, type: 'bool' },
  },
});

export const removeMemberTable = table({
  name: 'rollcall.v1.RemoveMemberRequest',
  fields: {
    member_id: { number: 1, type: 'string' },
    force: { number: 2, type: 'bool' },
  },
});

export const replaceMemberTable = table({
  name: 'rollcall.v1.ReplaceMemberRequest',
  fields: {
    member_id: { number: 1, type: 'string' },
    by_member_id: { number: 2, type: 'string' },
    force: { number: 3, type: 'bool' },
  },
});

export const transferLeadershipTable = table({
  name: 'rollcall.v1.TransferLeadershipRequest',
  fields: { to_member_id: { number: 1, type: 'string' } },
});
