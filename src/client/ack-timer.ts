import type { Clock, Timer } from '../base/clock.ts';

/**
 * Gathers who has something to say: all of one turn of the loop together, and not again within `intervalMs`. A reader
 * that takes batch after batch thus says once what it has applied, not each time.
 */
export class AckTimer<Who> {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #say: (who: Who) => void;
  readonly #waiting = new Set<Who>();
  #timer: Timer | undefined;
  #saidMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, intervalMs: number, say: (who: Who) => void) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#say = say;
  }

  add(who: Who): void {
    this.#waiting.add(who);
    if (this.#timer !== undefined) return;
    const pauseMs = this.#saidMs + this.#intervalMs - this.#clock.monotonicMs();
    const fire = (): void => this.#fire();
    this.#timer = pauseMs > 0 ? this.#clock.setTimer(pauseMs, fire, { unref: true }) : this.#clock.nextTurn(fire);
  }

  clear(): void {
    this.#waiting.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #fire(): void {
    this.#timer = undefined;
    this.#saidMs = this.#clock.monotonicMs();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const who of waiting) this.#say(who);
  }
}
