import { RollcallError } from '../base/errors.ts';
import type { ConfirmedRead, MemberId, ReadContext } from '../raft/types.ts';
import { TickDeadlines } from './tick-deadlines.ts';

/** Barriers and revision waits of one member that are open at once; more are refused as OVERLOADED. */
const waitersMax = 65_536;
/** Read rounds of this member under way at once, but for a patient one; what comes meanwhile shares the next. */
const contextsInFlightMax = 4;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: RollcallError) => void;
  readonly late: () => RollcallError;
  settled: boolean;
}

export interface ReadBarriersOptions {
  readonly memberId: MemberId;
  readonly boot: number;
  readonly timeoutTicks: number;
  readonly revisionTimeoutTicks: number;
  readonly readIndex: (context: ReadContext) => void;
}

/**
 * Linearizable reads (raft thesis section 6.4) and waits for a revision. All barriers of one turn share one read
 * context; a barrier never joins a context that was sent before it came. Patient ones, which nobody stands waiting for,
 * go with the next heartbeat of the leader and cost no round of their own.
 */
export class ReadBarriers {
  readonly #options: ReadBarriersOptions;
  readonly #deadlines: TickDeadlines<Waiter>;
  readonly #revisionDeadlines: TickDeadlines<Waiter>;
  #waiting: Waiter[] = [];
  #patient: Waiter[] = [];
  /** The context of patient barriers that is under way; 0 : none. */
  #patientCounter = 0;
  /** Of void rounds. They ask again at the next tick: without a leader every round is void at once. */
  #voided: Waiter[] = [];
  readonly #inFlight = new Map<number, Waiter[]>();
  #byIndex: { readonly index: number; readonly waiters: readonly Waiter[] }[] = [];
  #byRevision: { readonly revision: number; readonly waiter: Waiter }[] = [];
  #counter = 0;
  #open = 0;
  #nowTick = 0;
  #applied = 0;
  #revision = 0;

  constructor(options: ReadBarriersOptions) {
    this.#options = options;
    this.#deadlines = new TickDeadlines(options.timeoutTicks);
    this.#revisionDeadlines = new TickDeadlines(options.revisionTimeoutTicks);
  }

  /** Resolves once everything acknowledged before the call is applied here; NO_LEADER at the deadline. */
  barrier(): Promise<void> {
    return this.#wait(this.#deadlines, lateBarrier, (waiter) => this.#waiting.push(waiter));
  }

  /** The same, up to a heartbeat of the leader later. */
  patientBarrier(): Promise<void> {
    return this.#wait(this.#deadlines, lateBarrier, (waiter) => this.#patient.push(waiter));
  }

  /** Resolves once `revision` is applied here; MEMBER_BEHIND at the deadline. */
  revision(revision: number): Promise<void> {
    if (revision <= this.#revision) return Promise.resolve();
    const late = (): RollcallError =>
      new RollcallError('MEMBER_BEHIND', `this member is at revision ${this.#revision}, asked for ${revision}`, {
        retryAfterMs: 100,
        facts: { revision: String(this.#revision) },
      });
    return this.#wait(this.#revisionDeadlines, late, (waiter) => this.#byRevision.push({ revision, waiter }));
  }

  /** Sends what waits. Once a turn. */
  dispatch(): void {
    const underWay = this.#inFlight.size - (this.#inFlight.has(this.#patientCounter) ? 1 : 0);
    if (this.#waiting.length > 0 && underWay < contextsInFlightMax) {
      // A round that begins anyway serves all.
      this.#ask([...this.#waiting.splice(0), ...this.#patient.splice(0)], false);
    }
    if (this.#patient.length > 0 && !this.#inFlight.has(this.#patientCounter)) this.#ask(this.#patient.splice(0), true);
  }

  confirmed(read: ConfirmedRead): void {
    const waiters = this.#inFlight.get(read.context.counter);
    if (waiters === undefined) return;
    this.#inFlight.delete(read.context.counter);
    if (read.index <= this.#applied) this.#release(waiters);
    else this.#byIndex.push({ index: read.index, waiters });
  }

  /** The round is void (no leader, or it changed): its waiters ask again at the next tick, until their deadline. */
  voided(context: ReadContext): void {
    const waiters = this.#inFlight.get(context.counter);
    if (waiters === undefined) return;
    this.#inFlight.delete(context.counter);
    for (const waiter of waiters) this.#voided.push(waiter);
  }

  /** Every round asked for so far is void: who waits for one joins a new one, which `dispatch` begins. */
  restart(): void {
    for (const waiters of this.#inFlight.values()) for (const waiter of waiters) this.#waiting.push(waiter);
    this.#inFlight.clear();
  }

  applied(index: number, revision: number): void {
    this.#applied = index;
    this.#revision = revision;
    if (this.#byIndex.some((item) => item.index <= index)) {
      for (const item of this.#byIndex) if (item.index <= index) this.#release(item.waiters);
      this.#byIndex = this.#byIndex.filter((item) => item.index > index);
    }
    if (this.#byRevision.length > 0) {
      for (const item of this.#byRevision) if (item.revision <= revision) this.#release([item.waiter]);
      this.#byRevision = this.#byRevision.filter((item) => !item.waiter.settled);
    }
  }

  tick(nowTick: number): void {
    this.#nowTick = nowTick;
    const late = this.#deadlines.due(nowTick);
    this.#fail(late);
    // Applying may stand still while reads go on coming.
    if (late.length > 0) this.#byIndex = this.#byIndex.filter((item) => item.waiters.some(({ settled }) => !settled));
    const behind = this.#revisionDeadlines.due(nowTick);
    this.#fail(behind);
    if (behind.length > 0) this.#byRevision = this.#byRevision.filter((item) => !item.waiter.settled);
    // A context that nobody waits for any more must not block the next ones: its answer may have been lost.
    for (const [counter, waiters] of this.#inFlight) {
      if (waiters.every((waiter) => waiter.settled)) this.#inFlight.delete(counter);
    }
    for (const waiter of this.#voided.splice(0)) this.#waiting.push(waiter);
    this.dispatch();
  }

  /** Ends all with this error: the member stops or is fenced. */
  failAll(error: RollcallError): void {
    const all = [
      ...this.#waiting.splice(0),
      ...this.#patient.splice(0),
      ...this.#voided.splice(0),
      ...[...this.#inFlight.values()].flat(),
      ...this.#byIndex.flatMap((item) => item.waiters),
      ...this.#byRevision.map((item) => item.waiter),
    ];
    this.#inFlight.clear();
    this.#byIndex = [];
    this.#byRevision = [];
    for (const waiter of all) this.#settle(waiter, () => waiter.reject(error));
  }

  #ask(asking: readonly Waiter[], patient: boolean): void {
    const waiters = asking.filter((waiter) => !waiter.settled);
    if (waiters.length === 0) return;
    const counter = ++this.#counter;
    if (patient) this.#patientCounter = counter;
    this.#inFlight.set(counter, waiters);
    const { memberId: member, boot, readIndex } = this.#options;
    readIndex({ member, boot, counter, ...(patient ? { patient } : {}) });
  }

  #wait(deadlines: TickDeadlines<Waiter>, late: () => RollcallError, add: (waiter: Waiter) => void): Promise<void> {
    if (this.#open >= waitersMax) {
      return Promise.reject(new RollcallError('OVERLOADED', 'too many reads wait', { retryAfterMs: 50 }));
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { resolve, reject, late, settled: false };
      this.#open++;
      add(waiter);
      deadlines.add(waiter, this.#nowTick);
    });
  }

  #release(waiters: readonly Waiter[]): void {
    for (const waiter of waiters) this.#settle(waiter, waiter.resolve);
  }

  #fail(waiters: readonly Waiter[]): void {
    for (const waiter of waiters) this.#settle(waiter, () => waiter.reject(waiter.late()));
  }

  #settle(waiter: Waiter, finish: () => void): void {
    if (waiter.settled) return;
    waiter.settled = true;
    this.#open--;
    finish();
  }
}

function lateBarrier(): RollcallError {
  return new RollcallError('NO_LEADER', 'no leader confirmed the read in time; try another member or read stale', {
    retryAfterMs: 200,
  });
}
