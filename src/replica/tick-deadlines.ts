/**
 * Deadlines that all lie the same number of ticks ahead, so that a queue in order of arrival is a queue in order of
 * deadline. What is done before its deadline stays queued until then and is skipped.
 */
export class TickDeadlines<T extends { readonly settled: boolean }> {
  readonly #lengthTicks: number;
  #items: ({ readonly item: T; readonly deadlineTick: number } | undefined)[] = [];
  #head = 0;

  constructor(lengthTicks: number) {
    this.#lengthTicks = lengthTicks;
  }

  add(item: T, nowTick: number): void {
    this.#items.push({ item, deadlineTick: nowTick + this.#lengthTicks });
  }

  /** Removes what is due, or settled at the head, and returns what is due and not settled. */
  due(nowTick: number): T[] {
    const due: T[] = [];
    for (;;) {
      const first = this.#items[this.#head];
      if (first === undefined || (first.deadlineTick > nowTick && !first.item.settled)) break;
      if (!first.item.settled) due.push(first.item);
      // What is done with must not be held until the array is cut.
      this.#items[this.#head] = undefined;
      this.#head++;
    }
    // Shifting an array one by one moves it whole each time; cutting now and then costs once.
    if (this.#head > 1_024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return due;
  }
}
