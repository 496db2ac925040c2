import { assert } from '../base/assert.ts';
import type { ByteStream, Connect } from './channel.ts';
import { Member } from './member-pool.ts';

/** A stream and the room that it takes; give the room back once, when the stream is over or cancelled. */
export interface LaneStream {
  readonly stream: ByteStream;
  release(): void;
}

interface Lane {
  readonly member: Member;
  streams: number;
}

/**
 * Long streams to one address over as many connections as they need: a member takes a bounded number of streams on one
 * connection, and HTTP/2 lets more wait without a word. A connection ends with its last stream, so that a new attempt
 * is a new connection. How many there are is bounded by whoever opens streams.
 */
export class StreamLanes {
  readonly address: string;
  readonly #streamsMax: number;
  readonly #connect: Connect;
  readonly #lanes = new Set<Lane>();

  constructor(address: string, streamsMax: number, connect: Connect) {
    this.address = address;
    this.#streamsMax = streamsMax;
    this.#connect = connect;
  }

  get connections(): number {
    return this.#lanes.size;
  }

  open(path: string): LaneStream {
    const lane = this.#withRoom();
    lane.streams += 1;
    let released = false;
    return {
      stream: lane.member.stream(path),
      release: () => {
        assert(!released, 'room of a stream given back twice');
        released = true;
        lane.streams -= 1;
        if (lane.streams > 0) return;
        this.#lanes.delete(lane);
        lane.member.close();
      },
    };
  }

  #withRoom(): Lane {
    for (const lane of this.#lanes) if (lane.streams < this.#streamsMax) return lane;
    const lane: Lane = { member: new Member(this.address, this.#connect), streams: 0 };
    this.#lanes.add(lane);
    return lane;
  }
}
