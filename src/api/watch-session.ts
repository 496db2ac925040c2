import { invalidField, RollcallError } from '../base/errors.ts';
import type { Replica } from '../replica/types.ts';
import type { WatchSink, WatchStream } from '../watch/types.ts';
import type { WatchHub } from '../watch/watch-hub.ts';
import { apiBounds } from './bounds.ts';
import type { WatchCreateRequest, WatchSession } from './types.ts';
import type { RoomHolder, WatchRooms } from './watch-rooms.ts';

/** The watches of one client stream: each is opened behind what its freshness asks for, then the hub's. */
export class HubWatchSession implements WatchSession, RoomHolder {
  readonly #replica: Replica;
  readonly #rooms: WatchRooms;
  readonly #connection: string;
  readonly #stream: WatchStream;
  /** Watches that wait for a barrier or for a revision. The request tells one from a later one with the same id. */
  readonly #opening = new Map<number, WatchCreateRequest>();
  #closed = false;

  /** @param connection Names the client's connection, whose streams share one bound. */
  constructor(replica: Replica, hub: WatchHub, sink: WatchSink, rooms: WatchRooms, connection: string) {
    this.#replica = replica;
    this.#rooms = rooms;
    this.#connection = connection;
    this.#stream = hub.open(sink);
    rooms.enter(connection, this);
  }

  get held(): number {
    return this.#opening.size + this.#stream.watches + this.#stream.endings;
  }

  get idle(): boolean {
    return this.held === 0;
  }

  onIdle(listener: () => void): void {
    this.#stream.onEmpty(() => {
      if (this.idle) listener();
    });
  }

  create(request: WatchCreateRequest): void {
    if (this.#closed) return;
    const { watchId } = request;
    if (this.#opening.has(watchId) || this.#stream.has(watchId)) {
      // A client that uses an id twice can tell neither watch from the other: both are over.
      this.#opening.delete(watchId);
      const problem = `create.watch_id: is ${watchId}, which is open on this stream; both watches have ended`;
      this.#stream.fail(watchId, 'INVALID_FIELD', problem);
      return;
    }
    const max = this.#rooms.watchesMax;
    // The hub keeps room for twice as many ends: those refused here, and each watch that is open or being opened.
    if (this.#stream.endings >= max) {
      const message = `the ends of ${max} watches wait on this stream; read them before you create more`;
      throw new RollcallError('OVERLOADED', message, { retryAfterMs: apiBounds.overloadedRetryAfterMs });
    }
    if (!this.#rooms.hasRoom(this.#connection)) {
      const message = `${max} watches are open on this connection, which is the most; use another connection`;
      this.#stream.fail(watchId, 'OVERLOADED', message);
      return;
    }
    this.#opening.set(watchId, request);
    // Rejects only where an invariant is broken: that ends the process.
    void this.#open(request);
  }

  cancel(watchId: number): void {
    if (this.#opening.delete(watchId)) this.#stream.fail(watchId, '', '');
    else this.#stream.cancel(watchId);
  }

  ack(watchId: number, revision: number): void {
    try {
      const opening = this.#opening.get(watchId);
      if (opening === undefined) this.#stream.ack(watchId, revision);
      else if (revision > opening.resumeRevision) {
        this.#opening.delete(watchId);
        throw invalidField('ack.revision', `is ${revision}, and the watch was sent nothing yet`);
      }
    } catch (error) {
      this.#failWith(watchId, error);
    }
  }

  drained(): void {
    this.#stream.drained();
  }

  close(): void {
    this.#closed = true;
    this.#opening.clear();
    this.#stream.close();
    this.#rooms.leave(this.#connection, this);
  }

  async #open(request: WatchCreateRequest): Promise<void> {
    const { watchId, resumeRevision } = request;
    const linearizable = request.consistency === 'linearizable' && resumeRevision === 0;
    try {
      await this.#fresh(resumeRevision, linearizable);
    } catch (error) {
      if (!(error instanceof RollcallError)) throw error;
      if (this.#takeOpening(request)) this.#failWith(watchId, error);
      return;
    }
    if (!this.#takeOpening(request)) return;
    try {
      this.#stream.create({ ...request, linearizable });
    } catch (error) {
      this.#failWith(watchId, error);
    }
  }

  /** False where it was cancelled meanwhile: its end is sent already, and its id may be another watch's. */
  #takeOpening(request: WatchCreateRequest): boolean {
    return this.#opening.get(request.watchId) === request && this.#opening.delete(request.watchId);
  }

  #failWith(watchId: number, error: unknown): void {
    if (!(error instanceof RollcallError)) throw error;
    this.#stream.fail(watchId, error.reason, error.message);
  }

  /** A resumed watch never shows anything older than its resume point, which is all that a barrier could give it. */
  async #fresh(resumeRevision: number, linearizable: boolean): Promise<void> {
    if (linearizable) {
      await this.#replica.readBarrier();
      return;
    }
    this.#replica.assertServing();
    if (resumeRevision > this.#replica.state.position.revision) await this.#replica.waitForRevision(resumeRevision);
  }
}
