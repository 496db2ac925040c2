/** A turn that was asked for, or is being taken. */
export interface OpenSlot {
  /** Gives the turn up, or back. Without effect when called twice. */
  leave(): void;
}

/**
 * Lets so many at a time open a stream, the others in the order in which they came: thousands of sessions of one
 * process that lost a member together would otherwise all wait for the next one until their patience ends, and begin
 * again.
 */
export class OpenSlots {
  readonly #max: number;
  readonly #waiting = new Map<OpenSlot, () => void>();
  #taken = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** @param onTurn Called once: at once where there is room, otherwise when another leaves. */
  enter(onTurn: () => void): OpenSlot {
    let isOver = false;
    const slot: OpenSlot = {
      leave: () => {
        if (isOver) return;
        isOver = true;
        if (!this.#waiting.delete(slot)) this.#passOn();
      },
    };
    if (this.#taken < this.#max) {
      this.#taken += 1;
      onTurn();
    } else {
      this.#waiting.set(slot, onTurn);
    }
    return slot;
  }

  #passOn(): void {
    for (const [slot, onTurn] of this.#waiting) {
      this.#waiting.delete(slot);
      onTurn();
      return;
    }
    this.#taken -= 1;
  }
}
