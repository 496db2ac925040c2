import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import type { ReplicaEvent } from '../../src/replica/events.ts';
import { MemoryDisk } from '../../src/storage/memory-disk.ts';
import { GrpcTelemetry } from '../../src/telemetry/grpc-telemetry.ts';
import type { Logger } from '../../src/telemetry/logger.ts';
import { openLog } from '../../src/telemetry/logger.ts';
import { LoopMonitor } from '../../src/telemetry/loop-monitor.ts';
import { diskWriteRecorder, measuredDisk } from '../../src/telemetry/measured-disk.ts';
import { MemberMetrics } from '../../src/telemetry/metrics.ts';
import { countReplicaEvent } from '../../src/telemetry/replica-metrics.ts';
import { sampleStatus, until } from '../grpc/grpc-harness.ts';

let metrics: MemberMetrics;
let lines: Record<string, unknown>[];
let logger: Logger;

beforeEach(() => {
  metrics = new MemberMetrics();
  lines = [];
  const destination = {
    write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>),
    droppedLines: 0,
    close: () => Promise.resolve(),
  };
  logger = openLog({ level: 'info', format: 'json', memberId: 'a', clock: new ManualClock(), destination }).logger;
});

/** The value of one series as a scrape gives it. */
async function valueOf(series: string): Promise<number | undefined> {
  const line = (await metrics.text()).split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

describe('MemberMetrics', () => {
  it('asks the member at each scrape', async () => {
    const peer = {
      memberId: 'b',
      address: 'x',
      connected: true,
      boot: 1,
      clientAddress: '',
      lastHeardMs: 1,
      queuedBytes: 5,
      droppedBatches: 6,
      matchIndex: 11,
      replicationState: 'replicate',
    };
    metrics.bind({
      status: () => ({ ...sampleStatus.replica, peers: [peer] }),
      counts: () => ({ services: 2, instances: 5, leases: 3, sessions: 6 }),
      watchCounts: () => ({
        streams: 1,
        watches: 4,
        backlogBytes: 9,
        snapshotBytes: 8,
        resets: 1,
        batches: 70,
        changedKeysBytes: 5,
        behind: 2,
        coalesced: 7,
      }),
      callsInFlight: () => 12,
      droppedLogLines: () => 13,
    });
    const expected: readonly (readonly [string, number])[] = [
      ['rollcall_raft_role{role="leader"}', 1],
      ['rollcall_raft_role{role="follower"}', 0],
      ['rollcall_raft_has_leader', 1],
      ['rollcall_raft_term', 4],
      ['rollcall_raft_commit_index', 10],
      ['rollcall_raft_applied_index', 9],
      ['rollcall_revision', 7],
      ['rollcall_instances', 5],
      ['rollcall_peer_connected{peer="b"}', 1],
      ['rollcall_peer_match_index{peer="b"}', 11],
      ['rollcall_watches', 4],
      ['rollcall_watch_backlog_bytes', 9],
      ['rollcall_watches_behind', 2],
      ['rollcall_watch_changed_keys_bytes', 5],
      ['rollcall_sessions', 6],
      ['rollcall_api_calls_in_flight', 12],
      ['rollcall_dropped_log_lines', 13],
      ['rollcall_disk_free_bytes', 2 ** 40],
    ];
    for (const [series, value] of expected) expect([series, await valueOf(series)]).toEqual([series, value]);
  });

  it('gives text before a member is bound, and two members two registries', async () => {
    expect(await metrics.text()).toContain('# HELP rollcall_raft_term');
    new MemberMetrics().term.set(9);
    expect(await valueOf('rollcall_raft_term')).toBe(0);
    expect(metrics.contentType).toContain('text/plain');
  });

  it('has the prefix, a help text, and few labels in every metric of ours', async () => {
    const allowed = ['method', 'code', 'cause', 'role', 'peer', 'file', 'event', 'kind', 'le'];
    const ours = (await metrics.registry.getMetricsAsJSON()).filter(({ name }) => name.startsWith('rollcall_'));
    expect(ours.length).toBeGreaterThan(40);
    for (const { name, help } of ours) expect(`${name}: ${help}`).toMatch(/: .+\.$/);
    const labels = [...(await metrics.text()).matchAll(/^rollcall_\w+\{([^}]*)\}/gm)].flatMap(([, text = '']) =>
      text.split(',').map((pair) => pair.split('=')[0]),
    );
    expect(labels.filter((label) => !allowed.includes(label ?? ''))).toEqual([]);
  });
});

describe('countReplicaEvent', () => {
  const base = { index: 1, term: 1, hash: '0'.repeat(16) };
  const events: readonly (readonly [ReplicaEvent, string, number])[] = [
    [{ kind: 'role', role: 'candidate', term: 2, leader: '' }, 'rollcall_raft_role_changes_total{role="candidate"}', 1],
    [{ kind: 'leading', term: 2, leases: 0 }, 'rollcall_raft_leaderships_total', 1],
    [{ kind: 'stalled', stallMsMin: 250 }, 'rollcall_raft_stalls_total', 1],
    [{ kind: 'unreachable', peer: 'b', reason: 'x' }, 'rollcall_peer_failures_total{peer="b"}', 1],
    [{ kind: 'expired', leases: 5 }, 'rollcall_expired_leases_total', 5],
    [{ kind: 'flushed', index: 9, keys: 4, ms: 2 }, 'rollcall_state_flushed_keys_total', 4],
    [{ kind: 'flushed', index: 9, keys: 4, ms: 2 }, 'rollcall_state_flush_seconds_count', 1],
    [{ kind: 'compacted', index: 9 }, 'rollcall_log_compactions_total', 1],
    [{ kind: 'snapshot-sent', peer: 'b', base, ms: 1 }, 'rollcall_snapshots_total{event="sent"}', 1],
    [{ kind: 'snapshot-failed', peer: 'b', reason: '' }, 'rollcall_snapshots_total{event="failed"}', 1],
    [{ kind: 'snapshot-receiving', from: 'b', base }, 'rollcall_snapshots_total{event="receiving"}', 1],
    [{ kind: 'snapshot-installed', index: 1, revision: 1 }, 'rollcall_snapshots_total{event="installed"}', 1],
    [{ kind: 'hashes-compared', index: 1, answers: 2 }, 'rollcall_state_hash_comparisons_total', 1],
    [{ kind: 'fenced', index: 1, own: '', majority: '' }, 'rollcall_state_hash_mismatches_total{kind="fenced"}', 1],
    [{ kind: 'hash-split', index: 1, hashes: '' }, 'rollcall_state_hash_mismatches_total{kind="split"}', 1],
    [{ kind: 'malformed-forward', from: 'b', problem: '' }, 'rollcall_malformed_forwards_total', 1],
  ];
  it.each(events)('counts %j', async (event, series, value) => {
    countReplicaEvent(metrics, event);
    expect(await valueOf(series)).toBe(value);
  });

  it('leaves alone what the status tells', () => {
    countReplicaEvent(metrics, { kind: 'forming', waitingFor: 'b' });
    countReplicaEvent(metrics, { kind: 'connected', peer: 'b' });
    expect(lines).toEqual([]);
  });
});

describe('GrpcTelemetry', () => {
  it('counts calls, times unary ones, and logs the slow', async () => {
    const clock = new ManualClock();
    const telemetry = new GrpcTelemetry({ metrics, logger, clock, slowMs: 100 });
    telemetry.callEnded('Register', 'OK', 100);
    telemetry.callEnded('Register', 'UNAVAILABLE', 250.4);
    telemetry.callEnded('Register', 'OK', 300);
    telemetry.callEnded('Watch', 'CANCELLED', 3_600_000);
    expect(await valueOf('rollcall_grpc_calls_total{method="Register",code="OK"}')).toBe(2);
    expect(await valueOf('rollcall_grpc_calls_total{method="Watch",code="CANCELLED"}')).toBe(1);
    expect(await valueOf('rollcall_grpc_call_seconds_count{method="Register"}')).toBe(3);
    expect(await valueOf('rollcall_grpc_call_seconds_count{method="Watch"}')).toBeUndefined();
    expect(lines).toMatchObject([{ msg: 'a slow call', method: 'Register', code: 'UNAVAILABLE', ms: 250 }]);
    clock.advance(10_000);
    telemetry.callEnded('Register', 'OK', 101);
    expect(lines[1]).toMatchObject({ alike: 1 });
  });

  it('counts connections, streams and unknown fields', async () => {
    const telemetry = new GrpcTelemetry({ metrics, logger, clock: new ManualClock(), slowMs: 100 });
    telemetry.connectionsChanged(3);
    telemetry.streamsChanged('Watch', 2);
    telemetry.unknownFields(4);
    for (let i = 0; i < 50; i++) telemetry.connectionRefused('address', '10.0.0.1');
    telemetry.connectionRefused('silent', '10.0.0.1');
    expect(await valueOf('rollcall_grpc_connections')).toBe(3);
    expect(await valueOf('rollcall_grpc_open_streams{method="Watch"}')).toBe(2);
    expect(await valueOf('rollcall_unknown_spec_fields_total')).toBe(4);
    expect(await valueOf('rollcall_grpc_connections_refused_total{cause="address"}')).toBe(50);
    expect(lines).toMatchObject([{ level: 'warn', cause: 'address', address: '10.0.0.1' }]);
  });
});

describe('measuredDisk', () => {
  it('is the same disk, with durable writes counted and the slow ones logged', async () => {
    const clock = new ManualClock();
    const memory = new MemoryDisk();
    const disk = measuredDisk(memory, clock, diskWriteRecorder({ metrics, logger, slowMs: 100 }));
    await disk.makeDirectory('log');
    await disk.createZeroFilled('log/1', 8_192);
    await disk.writeWhole('hard-state', Buffer.alloc(10));
    const file = await disk.open('log/1');
    await file.writeDurably(0, Buffer.from('frame'));
    expect((await file.read(0, 5)).toString()).toBe('frame');
    const slow = file.writeDurably(5, Buffer.from('late'));
    clock.advance(250);
    await slow;
    await file.close();
    expect(await valueOf('rollcall_disk_writes_total{file="log"}')).toBe(2);
    expect(await valueOf('rollcall_disk_written_bytes_total{file="log"}')).toBe(9);
    expect(await valueOf('rollcall_disk_write_seconds_count{file="log"}')).toBe(2);
    expect(lines).toMatchObject([{ msg: 'a slow write to the disk', file: 'log/1', bytes: 4, ms: 250 }]);
    await disk.rename('hard-state', 'renamed');
    expect(await disk.exists('renamed')).toBe(true);
    expect((await disk.read('renamed'))?.length).toBe(10);
    await disk.syncDirectory('log');
    expect(await disk.list('log')).toEqual(['1']);
    await disk.remove('renamed');
    await disk.removeTree('log');
    expect(await memory.list('log')).toEqual([]);
    expect(await disk.freeBytes()).toBe(await memory.freeBytes());
  });
});

describe('LoopMonitor', () => {
  it('sees the loop stand still', async () => {
    const clock = new SystemClock();
    const monitor = new LoopMonitor({ metrics, logger, clock, slowMs: 80 });
    try {
      await new Promise((resolve) => setTimeout(resolve, 30));
      const untilMs = performance.now() + 150;
      while (performance.now() < untilMs);
      await until(() => lines.length > 0, 'the delay is logged');
      expect(lines[0]).toMatchObject({ level: 'warn', msg: 'the event loop stood still' });
      expect(await valueOf('rollcall_loop_delay_seconds_count')).toBeGreaterThanOrEqual(1);
    } finally {
      monitor.stop();
    }
  });
});
