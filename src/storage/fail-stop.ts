import { StorageError } from '../base/errors.ts';

/**
 * Ends the use of a thing on disk at its first failure. A disk that refused one write may accept the next ones and lose
 * them (LevelDB does after a full disk), and a failed sync may have written all or nothing: whatever comes after an
 * error proves nothing, so nothing is let through.
 */
export class FailStop {
  readonly #file: string;
  #failure: unknown;
  #failed = false;

  /** @param file What the errors name. */
  constructor(file: string) {
    this.#file = file;
  }

  /** @throws StorageError 'refused' once anything has failed. */
  check(): void {
    if (!this.#failed) return;
    const first = this.#failure instanceof Error ? this.#failure.message : String(this.#failure);
    throw new StorageError('refused', this.#file, `not used any more after an earlier failure: ${first}`, {
      cause: this.#failure,
    });
  }

  /** Remembers the first failure and returns `error`, to be thrown. */
  fail(error: unknown): unknown {
    if (!this.#failed) {
      this.#failed = true;
      this.#failure = error;
    }
    return error;
  }

  /** Does `work` unless something failed before; a failure of it is remembered and thrown on. */
  async guard<T>(work: () => Promise<T>): Promise<T> {
    this.check();
    try {
      return await work();
    } catch (error) {
      throw this.fail(error);
    }
  }

  /** As `guard`, for each step of an iteration; the iterated thing is told to finish when the consumer stops early. */
  async *guardEach<T>(items: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
    this.check();
    const iterator = items[Symbol.asyncIterator]();
    try {
      for (;;) {
        const step = await this.guard(() => iterator.next());
        if (step.done === true) return;
        yield step.value;
      }
    } finally {
      await iterator.return?.();
    }
  }
}
