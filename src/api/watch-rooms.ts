import { assert } from '../base/assert.ts';

/** What one stream takes of the room of its connection. */
export interface RoomHolder {
  /** Watches that are being opened, are open, or whose end is not sent. */
  readonly held: number;
}

/**
 * Bounds the watches of each connection, however many streams they are spread over. A connection is named by the
 * address and port at its far end, which no two have at one time.
 */
export class WatchRooms {
  readonly #watchesMax: number;
  /** No set is empty. */
  readonly #holders = new Map<string, Set<RoomHolder>>();

  constructor(watchesMax: number) {
    this.#watchesMax = watchesMax;
  }

  /** Room of one connection, and so of each of its streams. */
  get watchesMax(): number {
    return this.#watchesMax;
  }

  /** Connections with a stream open. */
  get connections(): number {
    return this.#holders.size;
  }

  enter(connection: string, holder: RoomHolder): void {
    let holders = this.#holders.get(connection);
    if (holders === undefined) this.#holders.set(connection, (holders = new Set()));
    assert(!holders.has(holder), 'a stream takes room once');
    holders.add(holder);
  }

  leave(connection: string, holder: RoomHolder): void {
    const holders = this.#holders.get(connection);
    if (holders?.delete(holder) === true && holders.size === 0) this.#holders.delete(connection);
  }

  /** Whether the connection has room for one more watch. Asks each of its streams, which are few. */
  hasRoom(connection: string): boolean {
    let held = 0;
    for (const holder of this.#holders.get(connection) ?? []) held += holder.held;
    return held < this.#watchesMax;
  }
}
