import type { Clock, Timer } from '../base/clock.ts';

/**
 * Bounds the work that one turn of the loop does for snapshots and resumed watches: whoever works spends bytes, and
 * stops when `done`. The next turn begins with `onTurn` and all of it again.
 */
export class TurnWork {
  readonly #clock: Clock;
  readonly #bytesMax: number;
  readonly #onTurn: () => void;
  #left: number;
  #turn: Timer | undefined;

  constructor(clock: Clock, bytesMax: number, onTurn: () => void) {
    this.#clock = clock;
    this.#bytesMax = bytesMax;
    this.#onTurn = onTurn;
    this.#left = bytesMax;
  }

  get done(): boolean {
    return this.#left <= 0;
  }

  spend(bytes: number): void {
    this.#left -= bytes;
    this.wake();
  }

  /** Asks for a turn where there is none under way. */
  wake(): void {
    this.#turn ??= this.#clock.nextTurn(() => {
      this.#turn = undefined;
      this.#left = this.#bytesMax;
      this.#onTurn();
    });
  }

  stop(): void {
    this.#turn?.cancel();
    this.#turn = undefined;
  }
}
