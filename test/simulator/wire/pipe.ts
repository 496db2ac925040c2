import type { Clock, Timer } from '../../../src/base/clock.ts';
import type { WorldClock } from '../world/world-clock.ts';

/** What the links between hosts are like now. */
export interface Links {
  readonly world: WorldClock;
  /** How long the next packet is under way, ms; asked once for each. */
  delayMs(from: string, to: string): number;
  /** True while nothing that is due gets through in this direction. */
  isCut(from: string, to: string): boolean;
}

/** The clock of one process: its sockets are read only while it runs. */
export interface HostClock extends Clock {
  readonly isFrozen: boolean;
  readonly isOver: boolean;
}

/** A packet that could not pass is tried again so much later, twice as much each time, ms. */
const retryMsMin = 10;
const retryMsMax = 160;

/** One direction of one connection: what is posted arrives in the order posted, or not at all. */
export class Pipe {
  readonly #links: Links;
  readonly #from: string;
  readonly #to: string;
  #waiting: { readonly dueMs: number; readonly arrive: () => void }[] = [];
  #lastDueMs = 0;
  #timer: Timer | undefined;
  #retryMs = retryMsMin;

  constructor(links: Links, from: string, to: string) {
    this.#links = links;
    this.#from = from;
    this.#to = to;
  }

  get isCut(): boolean {
    return this.#links.isCut(this.#from, this.#to);
  }

  post(arrive: () => void): void {
    const { world } = this.#links;
    const dueMs = world.monotonicMs() + Math.max(0, this.#links.delayMs(this.#from, this.#to));
    this.#lastDueMs = Math.max(this.#lastDueMs, dueMs);
    this.#waiting.push({ dueMs: this.#lastDueMs, arrive });
    this.#timer ??= world.at(this.#lastDueMs, () => this.#arrivals());
  }

  /** What is under way is lost. */
  close(): void {
    this.#waiting = [];
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arrivals(): void {
    const { world } = this.#links;
    const nowMs = world.monotonicMs();
    if (this.isCut) {
      this.#timer = world.at(nowMs + this.#retryMs, () => this.#arrivals());
      this.#retryMs = Math.min(retryMsMax, this.#retryMs * 2);
      return;
    }
    this.#retryMs = retryMsMin;
    // Set while packets arrive, so that what they cause to be posted sets no second timer.
    const arrived = this.#waiting;
    const later = arrived.findIndex(({ dueMs }) => dueMs > nowMs);
    this.#waiting = later === -1 ? [] : arrived.splice(later);
    for (const { arrive } of arrived) arrive();
    const [next] = this.#waiting;
    this.#timer = next === undefined ? undefined : world.at(Math.max(next.dueMs, nowMs), () => this.#arrivals());
  }
}

/**
 * The sockets of one end: what arrives is read at once while the process runs. While it stands still it waits, and is
 * read behind the timers that are due when the process goes on, and before what these ask for the next turn.
 */
export class Inbox {
  readonly #world: WorldClock;
  readonly #clock: HostClock;
  #waiting: (() => void)[] = [];

  constructor(world: WorldClock, clock: HostClock) {
    this.#world = world;
    this.#clock = clock;
  }

  push(read: () => void): void {
    if (this.#clock.isOver) return;
    if (!this.#clock.isFrozen && this.#waiting.length === 0) {
      read();
      return;
    }
    this.#waiting.push(read);
    if (this.#waiting.length === 1) this.#awaitThaw();
  }

  clear(): void {
    this.#waiting = [];
  }

  #awaitThaw(): void {
    this.#clock.nextTurn(() => this.#world.at(this.#world.monotonicMs(), () => this.#readAll()));
  }

  #readAll(): void {
    if (this.#clock.isOver || this.#waiting.length === 0) return;
    if (this.#clock.isFrozen) {
      this.#awaitThaw();
      return;
    }
    const reads = this.#waiting;
    this.#waiting = [];
    for (const read of reads) read();
  }
}
