import type { Message } from './types.ts';

/** Messages kept back at once for a hard state that is not yet durable; any more are lost, as messages may be. */
export const heldMessagesMax = 4096;

interface Held {
  readonly message: Message;
  readonly hardVersion: number;
}

/**
 * Messages on their way out, in order. Each waits until the hard state that was current when it was made is durable:
 * a vote reply must not leave before the vote is on disk, and nobody need learn of a term that a crash could take back
 * (I8). Since versions rise along the queue, one that waits keeps back only what is younger.
 */
export class Outbox {
  #queue: Held[] = [];

  /** Queues a message made under hard state `hardVersion`. Returns false, and drops it, when too many are kept back. */
  push(message: Message, hardVersion: number, durableHardVersion: number): boolean {
    // Only a disk that hangs lets this grow; what may leave at once is taken at the next ready().
    if (hardVersion > durableHardVersion && this.#queue.length >= heldMessagesMax) return false;
    this.#queue.push({ message, hardVersion });
    return true;
  }

  hasReleased(durableHardVersion: number): boolean {
    const first = this.#queue[0];
    return first !== undefined && first.hardVersion <= durableHardVersion;
  }

  /** Takes out what may leave now. */
  release(durableHardVersion: number): Message[] {
    let end = 0;
    while ((this.#queue[end]?.hardVersion ?? Number.POSITIVE_INFINITY) <= durableHardVersion) end += 1;
    const released = this.#queue.slice(0, end).map((held) => held.message);
    if (end > 0) this.#queue = this.#queue.slice(end);
    return released;
  }

  /** The term has changed: what still waited for the disk belongs to a term that is over. */
  dropHeld(durableHardVersion: number): void {
    this.#queue = this.#queue.filter((held) => held.hardVersion <= durableHardVersion);
  }
}
