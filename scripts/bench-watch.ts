/**
 * Measures the watch hub: `node --import tsx scripts/bench-watch.ts`. One put a turn to 1, 100, 1,000 and 5,000
 * watchers of
 * one service, each on a stream of its own with a sink that only counts; then 5,000 watchers that begin at once on a
 * service of 1,000 instances, and one on a service of 50,000. Prints microseconds of a turn and the longest one.
 */
import { performance } from 'node:perf_hooks';
import type { Timer } from '../src/base/clock.ts';
import { ManualClock } from '../src/base/manual-clock.ts';
import type { ChangeEvent } from '../src/state-machine/types.ts';
import { WireWriter } from '../src/base/wire-writer.ts';
import { encodeBatch, encodeCommand } from '../src/state-machine/command-codec.ts';
import { matchAll } from '../src/filter/compile-filter.ts';
import { RegistryState } from '../src/state-machine/registry-state.ts';
import { WatchHub } from '../src/watch/watch-hub.ts';

const turns = 300;

/** Runs one turn at a time, so that each can be measured. */
class TurnClock extends ManualClock {
  waiting: (() => void)[] = [];

  override nextTurn(callback: () => void): Timer {
    this.waiting.push(callback);
    return { cancel: () => void (this.waiting = this.waiting.filter((other) => other !== callback)) };
  }

  runTurn(): void {
    const turn = this.waiting;
    this.waiting = [];
    for (const callback of turn) callback();
  }
}

class Bench {
  readonly state = new RegistryState();
  readonly clock = new TurnClock();
  readonly hub = new WatchHub({ state: () => this.state, clock: this.clock, memberId: 'a', ageMs: () => 5 });
  bytes = 0;
  #index = 0;

  /** One put of an instance of about 300 bytes. */
  put(service: string, id: string): readonly ChangeEvent[] {
    const out = new WireWriter();
    out.string(1, 'default').string(2, service).string(3, id).beginMessage(4);
    out.string(1, 'main').string(2, 'grpc').string(3, '10.0.0.1').uint(4, 7400).endMessage();
    const spec = out.string(5, `1.0.${this.#index}`).string(7, 'x'.repeat(120)).string(7, 'y'.repeat(80)).finish();
    const command = encodeCommand({
      actor: 'bench',
      origin: 'here',
      reason: '',
      requestId: '',
      body: {
        kind: 'register',
        name: { namespace: 'default', service, id },
        spec,
        lifetime: { kind: 'persistent' },
        ifAbsent: false,
        ifIncarnation: 0,
      },
    });
    const data = encodeBatch({ wallMs: 1, elapsedMs: 1, commands: [command] });
    return this.state.apply({ index: ++this.#index, term: 1, data }).events;
  }

  fill(service: string, count: number): void {
    const events = Array.from({ length: count }, (_, i) => this.put(service, `instance-${i}`)).flat();
    this.hub.applied({ events, revision: this.state.position.revision });
  }

  watch(service: string): void {
    const stream = this.hub.open({
      send: (response) => {
        this.bytes += response.length;
        return true;
      },
    });
    stream.create({
      watchId: 1,
      namespace: 'default',
      service,
      servicePrefix: '',
      matcher: matchAll,
      resumeRevision: 0,
      once: false,
      progressIntervalMs: 10_000,
      linearizable: true,
    });
  }

  /** Milliseconds of each turn of the loop until the hub has nothing left to do. */
  drain(): number[] {
    const times: number[] = [];
    while (this.clock.waiting.length > 0) times.push(timed(() => this.clock.runTurn()));
    return times;
  }
}

function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function line(what: string, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): string => ((sorted[Math.floor((sorted.length - 1) * share)] ?? 0) * 1_000).toFixed(0);
  process.stdout.write(
    `${what.padEnd(44)} median ${at(0.5).padStart(6)} us  p99 ${at(0.99).padStart(6)} us  ` +
      `max ${at(1).padStart(6)} us  (${times.length})\n`,
  );
}

for (const watchers of [1, 100, 1_000, 5_000]) {
  const bench = new Bench();
  bench.fill('api', 10);
  for (let i = 0; i < watchers; i++) bench.watch('api');
  bench.drain();
  const times: number[] = [];
  for (let i = 0; i < turns; i++) {
    const events = bench.put('api', `instance-${i % 10}`);
    times.push(timed(() => bench.hub.applied({ events, revision: bench.state.position.revision })));
  }
  line(`one put, ${watchers} watchers`, times);
}

const storm = new Bench();
storm.fill('api', 1_000);
const created = timed(() => {
  for (let i = 0; i < 5_000; i++) storm.watch('api');
});
process.stdout.write(`5,000 watches created on 1,000 instances: ${(created / 5).toFixed(1)} us each\n`);
line('  their snapshots, a turn', storm.drain());

const large = new Bench();
large.fill('api', 50_000);
for (const round of [1, 2]) {
  line(`one watch on 50,000 instances, first turn (${round})`, [timed(() => large.watch('api'))]);
  line('  its snapshot, a turn', large.drain());
}
