import { StorageError } from '../../../src/base/errors.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { allCheckers } from '../checkers/all.ts';
import { KnownMemberships } from '../checkers/known-memberships.ts';
import { Linearizability } from '../checkers/linearizability.ts';
import { Memberships } from '../checkers/memberships.ts';
import { RaftDisks } from '../checkers/raft-disks.ts';
import { defaultResetBounds, type ResetBounds } from '../checkers/watches.ts';
import { Workload } from '../clients/workload.ts';
import { type SimMember, SimCluster } from '../cluster/sim-cluster.ts';
import type { Life, ServedMember } from '../cluster/sim-member.ts';
import { FaultPlan, faultTimes } from '../faults/fault-plan.ts';
import type { Observer, RunView, SimEvent } from '../types.ts';
import { drainMicrotasks, outsidePromises } from '../world/microtasks.ts';
import { WorldClock } from '../world/world-clock.ts';
import { Fencing } from './fencing.ts';
import { FrontEnds } from './front-ends.ts';
import type { RunPlan } from './profiles.ts';
import { RunRecorder } from './recorder.ts';
import { Situations } from './situations.ts';
import { Trace } from './trace.ts';

export interface Breach {
  readonly checker: string;
  readonly text: string;
  readonly atMs: number;
}

export interface RunReport {
  readonly plan: RunPlan;
  readonly breach: Breach | undefined;
  readonly virtualMs: number;
  readonly steps: number;
  readonly events: number;
  readonly operations: {
    readonly ok: number;
    readonly refused: number;
    readonly failed: number;
    readonly unknown: number;
  };
  readonly watchSteps: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly situations: ReadonlySet<string>;
  readonly traceHash: string;
  /** Why no order was decided for a key; '' : all were. */
  readonly undecided: string;
}

export interface SimulationOptions {
  readonly plan: RunPlan;
  /** Numbers of faults, and of client actions, that are left out. */
  readonly withoutFaults?: ReadonlySet<number>;
  readonly withoutActions?: ReadonlySet<number>;
  /** More observers, such as the story. They are told behind the checkers. */
  readonly observers?: (view: RunView) => readonly Observer[];
}

/** Ends the loop over a run whose breach was noted. */
const stepsPerRunMax = 30_000_000;
const stepsPerTurn = 200;
const formMsMax = 60_000;
/** Behind the end of all calls: as long as a lease of these runs, that nobody renews, may last. */
const restMs = 20_000;
/** Who asks to be taken in asks again behind a pause; a removed one dials until somebody tells it. */
const settleMsMax = 60_000;
/** No event of these runs is larger. */
const eventBytesMax = 600;

/** One run: a cluster, its clients, its faults and its checkers, all from one seed. */
export class Simulation {
  readonly world = new WorldClock();
  readonly plan: RunPlan;
  readonly #cluster: SimCluster;
  readonly #faults: FaultPlan;
  readonly #frontEnds: FrontEnds;
  readonly #workload: Workload;
  readonly #recorder: RunRecorder;
  readonly #trace: Trace;
  readonly #situations: Situations;
  readonly #observers: readonly Observer[];
  readonly #random: SeededRandom;
  #breach: Breach | undefined;
  #steps = 0;

  constructor(options: SimulationOptions) {
    const { plan } = options;
    this.plan = plan;
    const random = (this.#random = new SeededRandom(plan.seed));
    const now = (): number => this.world.monotonicMs();
    const tell = (event: SimEvent): void => this.#tell(event);
    this.#trace = new Trace(now);
    this.#recorder = new RunRecorder(now, tell);
    const memberships = new KnownMemberships(plan.ids);
    const cluster = (this.#cluster = new SimCluster({
      ids: plan.ids,
      setup: plan.setup,
      world: this.world,
      random,
      tell,
      onEnded: (member, error) => this.#ended(member, error),
      onServing: (member, life, services) => this.#serving(member, life, services),
      onStopping: (member, graceMs) => this.#frontEnds.release(member, graceMs),
      onDown: (member) => this.#frontEnds.gone(member),
      syncMs: () => (plan.syncMsMax === 0 ? 0 : random.below('sync', plan.syncMsMax + 1)),
      restartAfterMs: () => 20 + random.below('restart', plan.restartMsMax),
      memberships,
    }));
    this.#frontEnds = new FrontEnds(this.world, this.#cluster.links);
    this.#workload = new Workload({
      seed: plan.seed,
      world: this.world,
      wire: this.#frontEnds.wire,
      recorder: this.#recorder,
      get addresses() {
        return cluster.ids.map((id) => `${id}:2`);
      },
      mix: plan.work,
      durationMs: plan.safetyMs,
      momentsMs: faultTimes({ seed: plan.seed, mix: plan.faults, fromMs: 0, toMs: plan.safetyMs }),
      leavesOut: (ordinal) => options.withoutActions?.has(ordinal) === true,
      onFault: (text) => this.#note('client', text),
    });
    this.#faults = new FaultPlan({
      seed: plan.seed,
      mix: plan.faults,
      fromMs: 0,
      toMs: plan.safetyMs,
      cluster: this.#cluster,
      world: this.world,
      clientHosts: this.#workload.hostNames,
      tell,
      without: options.withoutFaults ?? new Set(),
    });
    const view = this.#view();
    const active = (): ReadonlySet<string> => this.#faults.active;
    this.#situations = new Situations(this.#cluster, this.#recorder, active);
    this.#observers = [
      new Memberships(view, memberships),
      ...allCheckers(view, {
        resetBounds: resetBoundsOf(plan),
        pauses: {
          tickMs: plan.setup.times.tickMs,
          of: (id, fromMs, toMs) => this.#cluster.pausesOf(id, fromMs, toMs),
        },
      }),
      new Fencing(view, this.#cluster, active),
      new RaftDisks({ view, memberships, diskOf: (id) => this.#cluster.syncedDisk(id) }),
      this.#trace,
      this.#situations,
      ...(options.observers?.(view) ?? []),
    ];
  }

  async run(): Promise<RunReport> {
    const { plan } = this;
    this.#tell({ kind: 'phase', phase: 'safety' });
    this.#faults.schedule();
    for (const member of this.#cluster.members) this.#cluster.start(member);
    this.#workload.start();
    await this.#advance(plan.safetyMs);
    await this.#liveness();
    if (this.#breach === undefined) {
      this.#workload.tellHoldings();
      this.#tell({ kind: 'phase', phase: 'end' });
      for (const observer of this.#observers) {
        if (this.#breach === undefined) this.#guard(() => observer.atEnd?.());
      }
    }
    return this.#report();
  }

  /** Everything is healed; then a leader, a write, an end to all calls, and one state everywhere. */
  async #liveness(): Promise<void> {
    const { electionTimeoutMs } = this.plan.setup.times;
    this.#faults.mendAll();
    // A majority is enough; in half of the runs it has to be.
    const absent = this.#random.below('minority stays away', 2) === 0 ? this.#minority() : [];
    for (const member of this.#cluster.members) {
      member.held = absent.includes(member);
      if (member.held) this.#cluster.kill(member, false, false);
      else this.#cluster.start(member);
    }
    this.#tell({ kind: 'phase', phase: 'liveness' });
    // Streams between members break after 6 s without a word, and connect anew behind a pause.
    const electMsMax = 10 * electionTimeoutMs + (this.#formed ? 0 : formMsMax);
    await this.#until('a leader that all know', electMsMax, () => this.#commonLeader() !== undefined);
    this.#workload.mend();
    let answered: boolean | undefined;
    this.#workload.probe().then(
      (isOk) => {
        answered = isOk;
      },
      (error: unknown) => this.unhandled(error),
    );
    await this.#until('an outcome of a write', 10 * electionTimeoutMs + 10_000, () => answered !== undefined);
    if (answered === false) this.#note('liveness', `a write was not acknowledged: ${this.#cluster.describe()}`);
    for (const member of absent) {
      member.held = false;
      this.#cluster.start(member);
    }
    await this.#until('an end of all calls', 90_000, () => this.#recorder.open.size === 0);
    await this.#until('the members that were ordered', settleMsMax, () => this.#isSettled());
    await this.#until('equal states', 10 * electionTimeoutMs, () => this.#isEqual());
    // Leases that nobody renews end within a bound, and watches have told all.
    await this.#advance(restMs * this.plan.work.ttlScale);
    await this.#until('equal states at the end', 10 * electionTimeoutMs, () => this.#isEqual());
  }

  /** A forming cluster needs all of its members, and clients one of those that they know. */
  #minority(): readonly SimMember[] {
    const { voters, members, firstIds, membership } = this.#cluster;
    if (!members.every(({ formed, joins }) => formed || joins !== 'no') || membership.outgoing.length > 0) return [];
    const first = this.#random.below('which stays away', voters.length);
    const absent: SimMember[] = [];
    for (let i = 0; i < Math.floor((voters.length - 1) / 2); i++) {
      const member = voters[(first + i) % voters.length];
      if (member === undefined) continue;
      const left = members.filter((one) => one !== member && !absent.includes(one));
      if (left.some(({ id }) => firstIds.includes(id))) absent.push(member);
    }
    return absent;
  }

  /** Whoever came is taken in, whoever went has been told, and no change is under way. */
  #isSettled(): boolean {
    const { members, membership, belonging } = this.#cluster;
    for (const member of members.filter((one) => this.#cluster.wasRemoved(one))) {
      const known = member.life?.replica?.phase === 'serving' ? member.life.replica.admin.membership().members : [];
      // Of all that it knows nobody is there any more that could tell it.
      const isLost = known.length > 0 && !known.some(({ memberId }) => belonging.some(({ id }) => id === memberId));
      if (isLost) this.#cluster.retire(member);
      return false;
    }
    if (membership.outgoing.length > 0) return false;
    return members.every(({ id, joins }) => {
      return joins === 'learner' ? belonging.some((one) => one.id === id) : membership.voters.includes(id);
    });
  }

  get #formed(): boolean {
    return this.#cluster.members.some(({ life }) => life?.replica?.phase === 'serving');
  }

  #commonLeader(): string | undefined {
    const present = this.#cluster.belonging.filter(({ held }) => !held);
    const statuses = present.map(({ life }) => life?.replica?.status());
    const named = new Set(statuses.map((status) => (status?.phase === 'serving' ? status.leader : '')));
    const [leader] = named;
    if (named.size !== 1 || leader === undefined || leader === '') return undefined;
    return statuses.some((status) => status?.memberId === leader && status.role === 'leader') ? leader : undefined;
  }

  #isEqual(): boolean {
    const statuses = this.#cluster.belonging.map(({ life }) => life?.replica?.status());
    const [first] = statuses;
    return statuses.every((status) => {
      return status?.applied === first?.applied && status?.stateHash === first?.stateHash && status !== undefined;
    });
  }

  async #until(what: string, msMax: number, look: () => boolean): Promise<void> {
    const endMs = this.world.monotonicMs() + msMax;
    while (this.#breach === undefined && !look()) {
      if (this.world.monotonicMs() >= endMs) {
        this.#note('liveness', `waited ${msMax} ms in vain for ${what}: ${this.#cluster.describe()}`);
        return;
      }
      await this.#advance(20);
    }
  }

  async #advance(ms: number): Promise<void> {
    const endMs = this.world.monotonicMs() + ms;
    let goesOn = true;
    // Now and then Node has its turn: it tells of rejections that nobody waits for.
    while (goesOn && this.#breach === undefined) {
      await outsidePromises(() => {
        for (let i = 0; i < stepsPerTurn && goesOn && this.#breach === undefined; i++) {
          this.#guard(() => {
            goesOn = this.world.step(endMs);
          });
          drainMicrotasks();
          this.#steps++;
        }
      });
      if (this.#steps > stepsPerRunMax) this.#note('run', `more than ${stepsPerRunMax} steps`);
    }
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#note('exception', error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
  }

  /** What nobody waited for has failed: a fault of the code, or of the simulator. */
  unhandled(error: unknown): void {
    this.#note('unhandled', error instanceof Error ? (error.stack ?? error.message) : String(error));
  }

  #note(checker: string, text: string): void {
    this.#breach ??= { checker, text, atMs: this.world.monotonicMs() };
  }

  #tell(event: SimEvent): void {
    if (this.#breach !== undefined) return;
    for (const observer of this.#observers) observer.see(event);
  }

  #serving(member: SimMember, life: Life, services: ServedMember): void {
    this.#frontEnds.serve(member, life, services);
  }

  /** A process ended by itself: only for what its disk was made to suffer. */
  #ended(member: SimMember, error: unknown): void {
    if (error instanceof StorageError && error.kind === 'refused' && this.#cluster.wasRemoved(member)) {
      this.#tell({ kind: 'note', text: 'a removed member ends' });
      this.#cluster.retire(member);
      return;
    }
    if (!isExpected(member, error)) {
      const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#note('process', `member ${member.id} ended by itself, and nothing was done to it: ${stack}`);
    }
    if (!member.held) this.#cluster.restartLater(member, 500 + this.#random.below('supervisor', 1_000));
  }

  #view(): RunView {
    const machines = (): readonly number[] => this.#cluster.members.map(({ machine }) => machine.rate);
    const world = this.world;
    return {
      get nowMs() {
        return world.monotonicMs();
      },
      // What clock-drift draws from.
      get clockRateMax() {
        return Math.max(1.1, ...machines());
      },
      get clockRateMin() {
        return Math.min(0.9, ...machines());
      },
      breach: (checker, text) => this.#note(checker, text),
    };
  }

  #report(): RunReport {
    return {
      plan: this.plan,
      breach: this.#breach,
      virtualMs: this.world.monotonicMs(),
      steps: this.#steps,
      events: this.#trace.events,
      operations: { ...this.#recorder.counts },
      watchSteps: this.#recorder.watchSteps,
      faults: this.#faults.begun,
      situations: this.#situations.seen,
      traceHash: this.#trace.hash,
      undecided: this.#observers.find((one) => one instanceof Linearizability)?.undecided ?? '',
    };
  }
}

/** Below these a watch must go on without a reset. */
function resetBoundsOf({ setup }: RunPlan): ResetBounds {
  const { watchBacklogBytesMax, bounds } = setup;
  const revisionEventsMin = Math.floor(watchBacklogBytesMax / eventBytesMax);
  return { ...defaultResetBounds, revisionEventsMin, historyRevisionsMin: bounds.historyRevisionsMax };
}

function isExpected({ suffered, formed }: SimMember, error: unknown): boolean {
  if (!(error instanceof StorageError)) return false;
  // The cluster has taken another member for the one that asks to be taken in.
  if (error.kind === 'refused' && suffered.has('address') && !formed) return true;
  switch (error.kind) {
    case 'io':
      return suffered.has('io');
    case 'damaged':
    case 'refused':
      return suffered.has('data');
    default:
      return false;
  }
}
