import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { Failover } from '../../src/replica/failover.ts';
import type { ProbeResult } from '../../src/transport/types.ts';

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Bench {
  readonly clock = new ManualClock();
  readonly failover: Failover;
  /** What happened, with the time. */
  readonly seen: string[] = [];
  probes: ProbeResult[] = [];
  leader = 'a';
  connected = false;
  suspectable = true;
  campaigns = true;
  isCandidate = false;

  constructor(memberId: string) {
    this.failover = new Failover({
      memberId,
      clock: this.clock,
      random: new SeededRandom(1),
      probe: (peer) => {
        this.#saw(`probe ${peer}`);
        return Promise.resolve(this.probes.shift() ?? 'silent');
      },
      isConnected: () => this.connected,
      leader: () => this.leader,
      voters: () => ['a', 'b', 'c'],
      suspect: (campaigns) => {
        this.#saw(`suspect ${campaigns}`);
        if (this.suspectable) this.leader = '';
        return this.suspectable;
      },
      retry: () => {
        this.#saw('campaign');
        return this.campaigns;
      },
      isCandidate: () => this.isCandidate,
      onSuspected: (leader) => this.#saw(`suspected ${leader}`),
      onFatal: (error) => {
        throw error;
      },
    });
  }

  async run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed++) {
      await settled();
      this.clock.advance(1);
    }
  }

  times(what: string): number[] {
    return this.seen.filter((line) => line.endsWith(` ${what}`)).map((line) => Number(line.split(' ')[0]));
  }

  #saw(what: string): void {
    this.seen.push(`${this.clock.monotonicMs()} ${what}`);
  }
}

describe('Failover', () => {
  let bench: Bench;

  beforeEach(() => {
    bench = new Bench('b');
  });

  it.each(['refused', 'reset'] as const)('suspects a leader whose streams end and whose port is %s', async (result) => {
    bench.probes = [result];
    bench.failover.streamEnded('a');
    await bench.run(3);
    expect(bench.seen.slice(0, 3).map((line) => line.replace(/^\d+ /, ''))).toEqual([
      'probe a',
      'suspect false',
      'suspected a',
    ]);
    await bench.run(10);
    expect(bench.times('campaign').length).toBeGreaterThan(0);
  });

  it('waits for its turn by rank, and asks again every 20 to 40 ms', async () => {
    bench = new Bench('c');
    bench.probes = ['refused'];
    bench.failover.streamEnded('a');
    await bench.run(200);
    const times = bench.times('campaign');
    expect(times[0]).toBeGreaterThanOrEqual(15);
    expect(times[0]).toBeLessThanOrEqual(22);
    const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    expect(gaps.length).toBeGreaterThan(3);
    for (const gap of gaps) expect([gap >= 20, gap <= 42]).toEqual([true, true]);
  });

  it('gives votes that are under way their time before it takes them for split', async () => {
    bench.probes = ['refused'];
    bench.isCandidate = true;
    bench.failover.streamEnded('a');
    await bench.run(400);
    const times = bench.times('campaign');
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(120);
    expect(times.length).toBeGreaterThan(1);
  });

  it('ends with the suspicion', async () => {
    bench.probes = ['refused'];
    bench.campaigns = false;
    bench.failover.streamEnded('a');
    await bench.run(200);
    expect(bench.times('campaign')).toHaveLength(1);
  });

  it('does nothing about a peer that does not lead', async () => {
    bench.failover.streamEnded('c');
    await bench.run(100);
    expect(bench.seen).toEqual([]);
  });

  it.each(['open', 'silent'] as const)(
    'looks again at a leader whose port is %s, and no more than so often',
    async (result) => {
      bench.probes = Array.from({ length: 40 }, () => result);
      bench.failover.streamEnded('a');
      await bench.run(2_000);
      expect(bench.times('probe a')).toHaveLength(12);
      expect(bench.times('suspect false')).toEqual([]);
    },
  );

  it('sees a port that begins to refuse only later', async () => {
    bench.probes = ['open', 'silent', 'refused'];
    bench.failover.streamEnded('a');
    await bench.run(200);
    expect(bench.times('suspect false')).toHaveLength(1);
  });

  it('lets a leader be that is connected again, or that has a successor, when the probe ends', async () => {
    bench.probes = ['refused', 'refused'];
    bench.connected = true;
    bench.failover.streamEnded('a');
    await bench.run(100);
    bench.connected = false;
    bench.failover.streamEnded('a');
    bench.leader = 'c';
    await bench.run(100);
    expect(bench.times('suspect false')).toEqual([]);
  });

  it('stops looking when the leader is connected again, or the member stops', async () => {
    bench.failover.streamEnded('a');
    await bench.run(5);
    bench.failover.connected('a');
    await bench.run(200);
    expect(bench.times('probe a')).toHaveLength(1);
    bench.failover.streamEnded('a');
    await bench.run(5);
    bench.failover.stop();
    await bench.run(200);
    expect(bench.times('probe a')).toHaveLength(2);
  });

  it('does not campaign where the core has suspected this leader before', async () => {
    bench.probes = ['refused'];
    bench.suspectable = false;
    bench.failover.streamEnded('a');
    await bench.run(100);
    expect(bench.times('campaign')).toEqual([]);
  });
});
