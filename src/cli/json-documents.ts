import * as z from 'zod';

// What commands print with `--output json`, field by field. The compiler holds the commands to these types, and tests
// hold real outputs and docs/reference/json.md to them. Only types are imported by the commands: zod is not loaded.

const text = (what: string) => z.string().describe(what);
const count = (what: string) => z.int().min(0).describe(what);
const flag = (what: string) => z.boolean().describe(what);
const list = <T extends z.ZodType>(item: T, what: string) => z.array(item).readonly().describe(what);
const part = <T extends z.ZodRawShape>(id: string, shape: T) => z.strictObject(shape).meta({ id });
const document = <N extends string, T extends z.ZodRawShape>(name: N, shape: T) =>
  z.strictObject({ schema: z.literal(name).describe('the document'), ...shape });

const endpoint = part('endpoint', {
  name: text('unique within the instance'),
  protocol: text('`grpc`, `http`, ...'),
  address: text('IP literal without brackets, or host name'),
  port: count('1 to 65,535'),
});

const status = z
  .enum(['starting', 'up', 'draining', 'down', 'unrecognised'])
  .describe('what the instance says of itself');

const instance = part('instance', {
  namespace: text('its namespace'),
  service: text('its service'),
  id: text('unique within the service'),
  endpoints: list(endpoint, 'where it is reached, 1 to 16'),
  version: text('version of the service; empty: not said'),
  weight: count('relative to the others; 100 where not said'),
  tags: list(z.string(), 'as registered'),
  metadata: z.record(z.string(), z.string()).describe('as registered'),
  region: text('empty: not said'),
  zone: text('empty: not said'),
  status,
  incarnation: count('revision at which it was last registered anew'),
  createRevision: count('revision at which the id was first registered'),
  modifyRevision: count('revision of its last change'),
  createTimeMs: count('Unix milliseconds, by the clock of the leader of that time'),
  modifyTimeMs: count('the same of its last change'),
  leaseId: count('lease that it lives by; 0: persistent'),
});

const input = part('instance-input', {
  namespace: text('its namespace').optional(),
  service: text('its service'),
  id: text('unique within the service'),
  endpoints: list(endpoint, 'where it is reached'),
  version: text('version of the service').optional(),
  weight: count('relative to the others').optional(),
  tags: list(z.string(), 'as given').optional(),
  metadata: z.record(z.string(), z.string()).describe('as given').optional(),
  region: text('as given').optional(),
  zone: text('as given').optional(),
  status: z.enum(['starting', 'up', 'draining', 'down']).describe('as given').optional(),
});

const key = part('key', {
  namespace: text('namespace of the instance'),
  service: text('service of the instance'),
  id: text('id of the instance'),
});

const cause = z
  .enum(['deregistered', 'lease-expired', 'lease-revoked', 'unspecified', 'unrecognised'])
  .describe('why it left; `unspecified`: a summed-up batch does not say');

const event = z
  .union([
    part('event-put', {
      kind: z.literal('put').describe('registered or changed'),
      revision: count('of the change'),
      instance,
    }),
    part('event-delete', {
      kind: z.literal('delete').describe('gone'),
      revision: count('of the change'),
      key,
      incarnation: count('incarnation that left; 0 where a summed-up batch does not say'),
      cause,
      reason: text('as whoever removed it said; may be empty'),
    }),
    part('event-leaves', {
      kind: z.literal('leaves').describe('still there, and the filter does not match it any more'),
      revision: count('of the change'),
      key,
      incarnation: count('incarnation that left; 0 where a summed-up batch does not say'),
    }),
  ])
  .meta({ id: 'event' });

const freshness = {
  revision: count('revision of the answer; of its last page where it took several'),
  firstRevision: count('revision of the first page'),
  exact: flag('all pages are of one revision'),
  member: text('id of the member that answered last'),
  consistency: z.enum(['linearizable', 'stale']).describe('as asked for'),
  ageMs: count('how old the answer may be; 0 for linearizable ones'),
};

const written = {
  revision: count('revision of the answer: give it to `--min-revision` to read your own write'),
  member: text('id of the member that answered'),
};

const kind = z
  .enum(['voter', 'learner', 'outgoing', 'unknown'])
  .describe('`learner`: is fed and counts in no majority; `outgoing`: a voter on its way out; `unknown`: not said');

const clusterMember = part('cluster-member', {
  memberId: text('id of the member'),
  directoryId: text('id of its data directory'),
  peerAddress: text('where the other members reach it'),
  kind,
  autoPromote: flag('a learner that becomes a voter by itself once it has caught up'),
});

const peer = part('peer', {
  memberId: text('id of the member'),
  peerAddress: text('where the other members reach it'),
  clientAddress: text('where clients reach it'),
  reachable: flag('the member that reports hears it'),
  matchIndex: count('up to where its log is known to agree'),
  replicationState: text('how the leader feeds it'),
  lastContactMs: count('time since it was last heard, ms'),
  kind,
});

const member = part('member', {
  address: text('address that was asked; empty: others name the member, and not its address for clients'),
  error: z.string().nullable().describe('why it did not answer; null where it did, and only then the rest is there'),
  memberId: text('id of the member; there also where others alone name it').optional(),
  kind,
  lag: z
    .int()
    .min(0)
    .nullable()
    .describe('committed entries that its state does not have, or its log where it is silent; null: nobody knows'),
  clusterId: text('empty while it forms').optional(),
  directoryId: text('id of its data directory').optional(),
  boot: count('raised at each start').optional(),
  role: z.enum(['follower', 'candidate', 'leader', 'forming', 'unrecognised']).describe('as it sees itself').optional(),
  leaderId: text('whom it follows; empty: nobody').optional(),
  term: count('its term').optional(),
  commitIndex: count('known to be on a majority').optional(),
  appliedIndex: count('applied to its state').optional(),
  lastIndex: count('end of its log').optional(),
  durableIndex: count('end of its synced log').optional(),
  flushedIndex: count('flushed state').optional(),
  firstKeptIndex: count('begin of its log').optional(),
  revision: count('revision of its state').optional(),
  stateHash: text('equal at equal `appliedIndex`, or a member is wrong').optional(),
  fenced: flag('its state differs from that of the majority; it serves nothing').optional(),
  members: list(peer, 'what it knows of the members').optional(),
  version: text('of the program').optional(),
  uptimeMs: count('since its start, ms').optional(),
  instances: count('registered').optional(),
  services: count('known').optional(),
  leases: count('live').optional(),
  sessions: count('live').optional(),
  watches: count('open on it').optional(),
  sessionStreams: count('streams of sessions that are open on it').optional(),
  diskFreeBytes: count('on its data disk').optional(),
  logBytes: count('size of its log').optional(),
  waitingFor: text('members that a forming one waits for').optional(),
});

const known = (what: string) => z.int().min(0).nullable().describe(`${what}; null: not known`);
const perSecond = (what: string) => z.number().min(0).nullable().describe(what);

const topMember = part('top-member', {
  address: text('address that was asked; empty: not known'),
  memberId: z.string().nullable().describe('id of the member; null: nobody names it'),
  role: z
    .enum(['follower', 'candidate', 'leader', 'forming', 'unrecognised'])
    .nullable()
    .describe('as it sees itself; null: it does not answer'),
  kind,
  appliedIndex: known('applied to its state'),
  appliedPerSecond: perSecond('entries applied in a second; null: it did not answer twice, or was started anew'),
  lag: known('committed entries that it has not applied'),
  watches: known('open on it'),
  sessionStreams: known('open on it'),
  diskFreeBytes: known('on its data disk'),
  uptimeMs: known('since its start, ms'),
});

const lifetime = z
  .union([
    part('lifetime-ttl', { ttlMs: count('lives by a lease of its own with this time to live, ms') }),
    part('lifetime-lease', { leaseId: count('lives by this lease') }),
    part('lifetime-persistent', { persistent: z.literal(true).describe('stays until it is deregistered') }),
  ])
  .meta({ id: 'lifetime' });

const place = { file: text('file that names it; `-`: standard input'), namespace: key.shape.namespace };

const appliedInstance = part('applied-instance', {
  ...place,
  service: key.shape.service,
  id: key.shape.id,
  outcome: z
    .enum(['registered', 'replaced', 'unchanged', 'unrecognised'])
    .describe('`replaced`: another content, or an instance on a lease, was there'),
  incarnation: count('of the instance that is there now'),
  revision: count('revision of its batch'),
});

/** Each document by its name, which stands in its field `schema`. A field that goes or changes its meaning: `v2`. */
export const jsonDocuments = {
  'rollcall.register.v1': document('rollcall.register.v1', {
    ...key.shape,
    incarnation: count('fences updates and deregistration'),
    leaseId: count('lease to renew; 0: persistent'),
    ttlMs: count('time to live of the lease; 0: persistent'),
    replaced: flag('an instance with this id was there and has been taken over'),
    ...written,
  }),
  'rollcall.deregister.v1': document('rollcall.deregister.v1', {
    ...key.shape,
    existed: flag('false: it was absent, and nothing changed'),
    ...written,
  }),
  'rollcall.register-request.v1': document('rollcall.register-request.v1', {
    dryRun: z.literal(true).describe('nothing was sent'),
    instance: input,
    lifetime,
    ifAbsent: flag('fails where the id is registered already'),
  }),
  'rollcall.deregister-request.v1': document('rollcall.deregister-request.v1', {
    dryRun: z.literal(true).describe('nothing was sent'),
    ...key.shape,
    incarnation: count('only this incarnation; 0: whichever is there'),
    reason: text('kept with the change'),
  }),
  'rollcall.apply.v1': document('rollcall.apply.v1', {
    registered: count('instances that were not there'),
    replaced: count('instances with another content before'),
    unchanged: count('instances that were there so already'),
    instances: list(appliedInstance, 'in the order of the files'),
    member: text('id of the member that answered last'),
  }),
  'rollcall.apply-request.v1': document('rollcall.apply-request.v1', {
    dryRun: z.literal(true).describe('nothing was sent'),
    batches: list(list(input, 'instances of one batch'), 'in the order in which they would be sent'),
  }),
  'rollcall.services.v1': document('rollcall.services.v1', {
    namespace: text('as asked for'),
    ...freshness,
    services: list(
      part('service', {
        namespace: text('its namespace'),
        service: text('its name'),
        instances: count('how many are registered'),
        modifyRevision: count('revision of the last change in it'),
      }),
      'by name',
    ),
  }),
  'rollcall.discover.v1': document('rollcall.discover.v1', {
    namespace: text('as asked for'),
    service: text('as asked for'),
    known: flag('false: nothing of this service is registered or remembered; the command then ends with 3'),
    ...freshness,
    instances: list(instance, 'in byte order of their ids'),
  }),
  'rollcall.watch.v1': document('rollcall.watch.v1', {
    kind: z
      .enum(['snapshot', 'delta', 'reset'])
      .describe('`snapshot` and `reset`: all that is there as of `to`; `delta`: the changes of (`from`, `to`]'),
    from: count('0 for snapshot and reset, else the `to` of the batch before'),
    to: count('revision that the batch leads to'),
    coalesced: flag('a delta that sums up: each changed instance stands in it once, as it was at `to`'),
    member: freshness.member,
    consistency: freshness.consistency,
    ageMs: freshness.ageMs,
    events: list(event, 'puts alone for snapshot and reset'),
  }),
  'rollcall.present.v1': document('rollcall.present.v1', {
    namespace: text('as asked for'),
    service: text('as asked for; empty: every service of the namespace'),
    revision: count('all of it is as of this revision'),
    member: freshness.member,
    instances: list(instance, 'all that is there and matches, by service and id'),
  }),
  'rollcall.cluster-status.v1': document('rollcall.cluster-status.v1', {
    leader: z.string().nullable().describe('id of the leader; null where none hears a majority'),
    term: z.int().nullable().describe('its term, or null'),
    clusterIds: list(z.string(), 'more than one: the addresses belong to different clusters'),
    members: list(member, 'one a member, and one an address that did not answer'),
  }),
  'rollcall.cluster-members.v1': document('rollcall.cluster-members.v1', {
    clusterId: text('32 hex digits'),
    index: count('entry of the log that says so; 0: as the cluster was formed, or as a snapshot brought it'),
    joint: flag('a change is under way: the former and the coming voters decide together'),
    members: list(clusterMember, 'by id'),
    removedIds: list(z.string(), 'ids that are never used again'),
  }),
  'rollcall.cluster-transfer.v1': document('rollcall.cluster-transfer.v1', {
    leader: text('id of the member that leads now'),
  }),
  'rollcall.top.v1': document('rollcall.top.v1', {
    leader: z.string().nullable().describe('id of the leader; null where none hears a majority'),
    term: z.int().nullable().describe('its term, or null'),
    intervalMs: count('how long it was measured'),
    writesPerSecond: perSecond('changes of the registry, by its revision; null: nobody answers'),
    revision: known('of the member that is furthest'),
    instances: known('registered'),
    services: known('known'),
    leases: known('live'),
    sessions: known('live'),
    watches: count('open on all members that answer'),
    sessionStreams: count('streams of sessions that are open on them'),
    members: list(topMember, 'one a member, and one an address that did not answer'),
  }),
  'rollcall.dev.v1': document('rollcall.dev.v1', {
    server: text('address for clients: give it to `--server`'),
    http: text('address of metrics and health'),
    directory: text('where its data lies'),
    temporary: flag('the directory is removed at the end'),
  }),
  'rollcall.error.v1': document('rollcall.error.v1', {
    reason: text('one of [errors.md](errors.md#reasons), or of those [above](#reasons)'),
    code: text('name of a gRPC status code'),
    message: text('for people'),
    field: z.string().nullable().describe('field, option or argument that is to blame; null: none'),
    hint: text('what to try next'),
    exitCode: count('what the command ends with'),
    mayHaveApplied: flag('a write that may have been applied all the same'),
    retryAfterMs: z.number().min(0).nullable().describe('what the member asks to wait; null: it does not say'),
  }),
} as const;

export type JsonDocumentName = keyof typeof jsonDocuments;

/** The fields of a document, without its name. */
export type JsonFields<N extends JsonDocumentName> = Omit<z.input<(typeof jsonDocuments)[N]>, 'schema'>;
