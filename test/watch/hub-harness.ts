import { must } from '../../src/base/assert.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { matchAll } from '../../src/filter/compile-filter.ts';
import type { WatchBounds } from '../../src/watch/bounds.ts';
import type { WatchSpec, WatchStream } from '../../src/watch/types.ts';
import { WatchHub } from '../../src/watch/watch-hub.ts';
import type { TestSink } from './follower.ts';
import { kinds } from './follower.ts';
import { RegistryDriver } from './registry-driver.ts';

const plainSpec: WatchSpec = {
  watchId: 1,
  namespace: 'default',
  service: 'api',
  servicePrefix: '',
  matcher: matchAll,
  resumeRevision: 0,
  once: false,
  progressIntervalMs: 0,
  linearizable: true,
};

/** A hub over a real state, driven turn by turn. */
export class Harness {
  readonly clock = new ManualClock();
  readonly driver: RegistryDriver;
  readonly hub: WatchHub;
  ageMs = 3;

  constructor(bounds: Partial<WatchBounds> = {}, historyRevisionsMax?: number) {
    const { clock } = this;
    const driver = new RegistryDriver(historyRevisionsMax);
    this.driver = driver;
    this.hub = new WatchHub({ state: () => driver.state, clock, memberId: 'a', ageMs: () => this.ageMs, bounds });
  }

  turn(): void {
    this.hub.applied(this.driver.takeTurn());
  }

  fill(service: string, count: number, textBytes = 0): void {
    for (let i = 0; i < count; i++) this.driver.register(service, `i${i}`, 'x'.repeat(textBytes));
    this.turn();
  }

  watch(stream: WatchStream, spec: Partial<WatchSpec> = {}): void {
    stream.create({ ...plainSpec, ...spec });
  }

  settle(): void {
    this.clock.advance(0);
  }

  /** From here on the client reads everything. */
  read(sink: TestSink, stream: WatchStream): void {
    sink.credit = Infinity;
    stream.drained();
    this.settle();
  }
}

/** What was sent, as `kind from-to events`, parts that go on with a plus. */
export function transcript(sink: TestSink): string[] {
  return sink.responses().map((response) => {
    const { fromRevision: from, toRevision: to, events, more, errorReason, coalesced } = response;
    const kind = must(kinds[response.kind], 'kind');
    return kind === 'ended'
      ? `ended ${errorReason}`.trim()
      : `${coalesced ? 'coalesced' : kind} ${from}-${to} ${events.length}${more ? '+' : ''}`;
  });
}

/** The events of the responses from `start` on, as `revision kind service/id`, with the incarnation of what left. */
export function eventsOf(sink: TestSink, start = 0): string[] {
  return sink
    .responses()
    .slice(start)
    .flatMap(({ events }) => events)
    .map(({ kind, revision, instance, key, incarnation }) => {
      const name = must(kind === 1 ? instance?.spec : key, 'name');
      const left = kind === 1 ? '' : ` ${incarnation}`;
      const what = must(['', 'put', 'delete', 'leaves'][kind ?? 0], 'kind');
      return `${revision} ${what} ${name.service}/${name.id}${left}`;
    });
}

export function reasonOf(call: () => void): string {
  try {
    call();
  } catch (error) {
    if (error instanceof RollcallError) return error.reason;
    throw error;
  }
  return 'none';
}
