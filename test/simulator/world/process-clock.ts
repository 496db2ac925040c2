import type { Clock, Timer } from '../../../src/base/clock.ts';
import type { WorldClock } from './world-clock.ts';

/**
 * The clock of one machine, as its processes read it: it may run fast or slow against true time, and its wall clock may
 * jump. It outlasts processes.
 */
export class MachineClock {
  readonly world: WorldClock;
  #rate: number;
  /** Where the rate was set last: by the world's clock and by this one. */
  #sinceWorldMs = 0;
  #sinceMs = 0;
  #wallOffsetMs = 0;
  /** Each rate that it had, with where it began. */
  readonly #former: { readonly worldMs: number; readonly ms: number; readonly rate: number }[] = [];

  /** @param rate Milliseconds of this clock for each of the world. */
  constructor(world: WorldClock, rate: number = 1) {
    this.world = world;
    this.#rate = rate;
  }

  get rate(): number {
    return this.#rate;
  }

  nowMs(): number {
    return this.#sinceMs + (this.world.monotonicMs() - this.#sinceWorldMs) * this.#rate;
  }

  /** When it was by the world's clock that this one showed this. */
  worldMsAt(ms: number): number {
    if (ms >= this.#sinceMs) return this.#sinceWorldMs + (ms - this.#sinceMs) / this.#rate;
    const former = this.#former.findLast((one) => one.ms <= ms);
    return former === undefined ? 0 : former.worldMs + (ms - former.ms) / former.rate;
  }

  wallMs(): number {
    return Math.floor(this.world.wallMs() + this.#wallOffsetMs);
  }

  setRate(rate: number): void {
    this.#former.push({ worldMs: this.#sinceWorldMs, ms: this.#sinceMs, rate: this.#rate });
    this.#sinceMs = this.nowMs();
    this.#sinceWorldMs = this.world.monotonicMs();
    this.#rate = rate;
  }

  /** As a time server or an operator sets it. */
  jumpWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }
}

/**
 * The clock of one process: after its end nothing that it asked for comes any more, and while it is frozen what becomes
 * due is held. When it goes on, it does as Node does: first the timers that are due, then what lies in its sockets,
 * then what waits for the turn.
 */
export class ProcessClock implements Clock {
  readonly #machine: MachineClock;
  #ended = false;
  #held: Call[] | undefined;

  constructor(machine: MachineClock) {
    this.#machine = machine;
  }

  get isFrozen(): boolean {
    return this.#held !== undefined;
  }

  get isOver(): boolean {
    return this.#ended;
  }

  end(): void {
    this.#ended = true;
    this.#held = undefined;
  }

  freeze(): void {
    this.#held ??= [];
  }

  /** Runs what was held. Whatever lies in sockets comes behind it. */
  thaw(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const call of held) this.#run(call);
  }

  wallMs(): number {
    return this.#machine.wallMs();
  }

  monotonicMs(): number {
    return this.#machine.nowMs();
  }

  setTimer(ms: number, callback: () => void): Timer {
    if (this.#ended) return nothing;
    const { world, rate } = this.#machine;
    // A timer that is under way when the rate changes keeps its instant; drift changes little within one.
    const dueMs = world.monotonicMs() + Math.max(1, Math.ceil(ms)) / rate;
    const call = new Call(callback);
    call.timer = world.at(dueMs, () => this.#run(call));
    return call;
  }

  nextTurn(callback: () => void): Timer {
    if (this.#ended) return nothing;
    const call = new Call(callback);
    call.timer = this.#machine.world.nextTurn(() => this.#run(call));
    return call;
  }

  #run(call: Call): void {
    if (this.#ended) return;
    if (this.#held === undefined) call.callback?.();
    else this.#held.push(call);
  }
}

/**
 * What a process has asked for; without its callback once it was cancelled, which it can be also while it is held, by
 * what goes before it when the process goes on.
 */
class Call implements Timer {
  callback: (() => void) | undefined;
  timer: Timer | undefined;

  constructor(callback: () => void) {
    this.callback = callback;
  }

  cancel(): void {
    this.callback = undefined;
    this.timer?.cancel();
  }
}

const nothing: Timer = { cancel: () => undefined };
