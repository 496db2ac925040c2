import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Role } from '../raft/types.ts';
import type { ReplicaStatus } from '../replica/types.ts';
import type { WatchCounts } from '../watch/types.ts';

/** What is asked at each scrape; everything else is told as it happens. */
export interface MetricsSource {
  status(): ReplicaStatus;
  counts(): {
    readonly services: number;
    readonly instances: number;
    readonly leases: number;
    readonly sessions: number;
  };
  watchCounts(): WatchCounts;
  callsInFlight(): number;
  droppedLogLines(): number;
}

const latencyBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const diskBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];
const loopBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
/** Around the heartbeat interval and the election timeout, so fine that a quantile can be read off. */
const latenessBuckets = [
  0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3,
  0.4, 0.5, 0.7, 1, 1.5, 2.5, 5,
];
const roles: readonly Role[] = ['follower', 'pre-candidate', 'candidate', 'leader'];

/**
 * All metrics of one member, in a registry of their own. Labels are constants of the code, or ids of members: nothing
 * that a client chooses. Times are seconds, as Prometheus has them.
 */
export class MemberMetrics {
  readonly registry = new Registry();

  // Calls of clients.
  readonly calls = this.#counter('rollcall_grpc_calls_total', 'Calls that ended.', ['method', 'code']);
  readonly callSeconds = this.#histogram(
    'rollcall_grpc_call_seconds',
    'Duration of unary calls, from the whole request to the answer.',
    latencyBuckets,
    ['method'],
  );
  readonly openStreams = this.#gauge('rollcall_grpc_open_streams', 'Streams open now.', ['method']);
  readonly connections = this.#gauge('rollcall_grpc_connections', 'Connections of clients open now.');
  readonly connectionsRefused = this.#counter(
    'rollcall_grpc_connections_refused_total',
    'Connections closed before their first call.',
    ['cause'],
  );
  readonly callsInFlight = this.#gauge('rollcall_api_calls_in_flight', 'Calls worked on now.');
  readonly unknownSpecFields = this.#counter(
    'rollcall_unknown_spec_fields_total',
    'Fields of registered instances that this version does not know.',
  );

  // The core.
  readonly role = this.#gauge('rollcall_raft_role', '1 for the role that the member has.', ['role']);
  readonly hasLeader = this.#gauge('rollcall_raft_has_leader', '1 while the member knows a leader.');
  readonly term = this.#gauge('rollcall_raft_term', 'Current term.');
  readonly commitIndex = this.#gauge('rollcall_raft_commit_index', 'Last index known committed.');
  readonly appliedIndex = this.#gauge('rollcall_raft_applied_index', 'Last index applied.');
  readonly lastIndex = this.#gauge('rollcall_raft_last_index', 'Last index of the log.');
  readonly durableIndex = this.#gauge('rollcall_raft_durable_index', 'Last index durable here.');
  readonly roleChanges = this.#counter('rollcall_raft_role_changes_total', 'Changes of role, term or leader.', [
    'role',
  ]);
  readonly leaderships = this.#counter('rollcall_raft_leaderships_total', 'Terms in which this member led.');
  readonly stalls = this.#counter(
    'rollcall_raft_stalls_total',
    'Times the event loop stood still for over half an election timeout.',
  );
  readonly raftLatenessSeconds = this.#histogram(
    'rollcall_raft_lateness_seconds',
    'How late a tick ran, heartbeats were sent (leader), or heard (follower, beyond the interval).',
    latenessBuckets,
    ['kind'],
  );
  readonly peerConnected = this.#gauge('rollcall_peer_connected', '1 while a stream to the peer is open.', ['peer']);
  readonly peerMatchIndex = this.#gauge(
    'rollcall_peer_match_index',
    'Last index known durable at the peer; 0 unless this member leads.',
    ['peer'],
  );
  readonly peerQueuedBytes = this.#gauge('rollcall_peer_queued_bytes', 'Bytes that wait for the peer.', ['peer']);
  readonly peerDroppedBatches = this.#gauge(
    'rollcall_peer_dropped_batches',
    'Batches dropped since the start because the queue for the peer was full.',
    ['peer'],
  );
  readonly peerFailures = this.#counter('rollcall_peer_failures_total', 'Streams to the peer that broke.', ['peer']);
  readonly malformedForwards = this.#counter(
    'rollcall_malformed_forwards_total',
    'Calls handed on by peers that were not understood.',
  );

  // Storage.
  readonly diskWrites = this.#counter('rollcall_disk_writes_total', 'Durable writes.', ['file']);
  readonly diskWrittenBytes = this.#counter('rollcall_disk_written_bytes_total', 'Bytes written durably.', ['file']);
  readonly diskWriteSeconds = this.#histogram(
    'rollcall_disk_write_seconds',
    'Duration of a durable write: until the disk has it.',
    diskBuckets,
    ['file'],
  );
  readonly logBytes = this.#gauge('rollcall_log_bytes', 'Bytes of the log that is kept.');
  readonly diskFreeBytes = this.#gauge('rollcall_disk_free_bytes', 'Free bytes where the data directory is.');
  readonly flushedIndex = this.#gauge('rollcall_state_flushed_index', 'Index up to which the state store is durable.');
  readonly flushSeconds = this.#histogram('rollcall_state_flush_seconds', 'Duration of a flush.', latencyBuckets);
  readonly flushedKeys = this.#counter('rollcall_state_flushed_keys_total', 'Keys written by flushes.');
  readonly compactions = this.#counter('rollcall_log_compactions_total', 'Log prefixes dropped.');
  readonly snapshots = this.#counter('rollcall_snapshots_total', 'Snapshots.', ['event']);

  // State.
  readonly revision = this.#gauge('rollcall_revision', 'Revision applied.');
  readonly instances = this.#gauge('rollcall_instances', 'Instances registered.');
  readonly services = this.#gauge('rollcall_services', 'Services with an instance.');
  readonly leases = this.#gauge('rollcall_leases', 'Leases that live, those of sessions included.');
  readonly sessions = this.#gauge('rollcall_sessions', 'Sessions that live, wherever their streams are.');
  readonly expiredLeases = this.#counter('rollcall_expired_leases_total', 'Leases whose end this leader proposed.');
  readonly fenced = this.#gauge(
    'rollcall_fenced',
    '1 while the state differs from the majority and nothing is served.',
  );
  readonly hashComparisons = this.#counter('rollcall_state_hash_comparisons_total', 'State hashes compared.');
  readonly hashMismatches = this.#counter('rollcall_state_hash_mismatches_total', 'Comparisons that failed.', ['kind']);

  // Watches.
  readonly watches = this.#gauge('rollcall_watches', 'Watches open now.');
  readonly watchesBehind = this.#gauge('rollcall_watches_behind', 'Watches that read too slowly for each change.');
  readonly watchChangedKeysBytes = this.#gauge('rollcall_watch_changed_keys_bytes', 'What is kept for those, bytes.');
  readonly coalescedBatches = this.#gauge('rollcall_watch_coalesced_batches', 'Batches that named only the outcome.');
  readonly watchBacklogBytes = this.#gauge('rollcall_watch_backlog_bytes', 'Bytes that wait for slow watchers.');
  readonly watchSnapshotBytes = this.#gauge('rollcall_watch_snapshot_bytes', 'Snapshots held for watchers.');
  readonly watchResets = this.#gauge('rollcall_watch_resets', 'Watches given a fresh snapshot since the start.');
  readonly watchBatches = this.#gauge('rollcall_watch_batches', 'Batches sent to watchers since the start.');

  // The process.
  readonly loopDelaySeconds = this.#histogram(
    'rollcall_loop_delay_seconds',
    'Longest delay of the event loop in each second.',
    loopBuckets,
  );
  readonly droppedLogLines = this.#gauge('rollcall_dropped_log_lines', 'Log lines dropped since the start.');

  #source: MetricsSource | undefined;

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** From now on each scrape asks this member. */
  bind(source: MetricsSource): void {
    this.#source = source;
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** All metrics in the text format of Prometheus. */
  text(): Promise<string> {
    if (this.#source !== undefined) this.#ask(this.#source);
    return this.registry.metrics();
  }

  #ask(source: MetricsSource): void {
    this.#askStatus(source.status());
    const { services, instances, leases, sessions } = source.counts();
    this.services.set(services);
    this.instances.set(instances);
    this.leases.set(leases);
    this.sessions.set(sessions);
    const watch = source.watchCounts();
    this.watches.set(watch.watches);
    this.watchesBehind.set(watch.behind);
    this.watchChangedKeysBytes.set(watch.changedKeysBytes);
    this.coalescedBatches.set(watch.coalesced);
    this.watchBacklogBytes.set(watch.backlogBytes);
    this.watchSnapshotBytes.set(watch.snapshotBytes);
    this.watchResets.set(watch.resets);
    this.watchBatches.set(watch.batches);
    this.callsInFlight.set(source.callsInFlight());
    this.droppedLogLines.set(source.droppedLogLines());
  }

  #askStatus(status: ReplicaStatus): void {
    for (const role of roles) this.role.set({ role }, status.role === role ? 1 : 0);
    this.hasLeader.set(status.leader === '' ? 0 : 1);
    this.term.set(status.term);
    this.commitIndex.set(status.commit);
    this.appliedIndex.set(status.applied);
    this.lastIndex.set(status.lastIndex);
    this.durableIndex.set(status.durableIndex);
    this.flushedIndex.set(status.flushedIndex);
    this.revision.set(status.revision);
    this.fenced.set(status.fenced ? 1 : 0);
    this.logBytes.set(status.logBytes);
    this.diskFreeBytes.set(status.diskFreeBytes);
    for (const peer of status.peers) {
      const label = { peer: peer.memberId };
      this.peerConnected.set(label, peer.connected ? 1 : 0);
      this.peerMatchIndex.set(label, peer.matchIndex);
      this.peerQueuedBytes.set(label, peer.queuedBytes);
      this.peerDroppedBatches.set(label, peer.droppedBatches);
    }
  }

  #counter<Label extends string = never>(name: string, help: string, labelNames: readonly Label[] = []) {
    return new Counter<Label>({ name, help, labelNames, registers: [this.registry] });
  }

  #gauge<Label extends string = never>(name: string, help: string, labelNames: readonly Label[] = []) {
    return new Gauge<Label>({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram<Label extends string = never>(
    name: string,
    help: string,
    buckets: readonly number[],
    labelNames: readonly Label[] = [],
  ) {
    return new Histogram<Label>({ name, help, labelNames, buckets: [...buckets], registers: [this.registry] });
  }
}
