import type { ServiceError } from '@grpc/grpc-js';
import type { Clock, Timer } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { rollcall } from '../gen/rollcall.js';
import { backoffMs, reopenPauseMs } from './backoff.ts';
import type { ByteStream } from './channel.ts';
import { ClientError } from './client-error.ts';
import { clientLimits } from './limits.ts';
import type { Member, MemberPool } from './member-pool.ts';
import { asBuffer, methods } from './methods.ts';
import { AckTimer } from './ack-timer.ts';
import type { Watch, WatchFeed } from './watch.ts';

export interface WatchStreamOptions {
  readonly pool: MemberPool;
  readonly clock: Clock;
  readonly random: Random;
  readonly failFast: boolean;
}

/** One stream to one member. */
interface Connection {
  readonly member: Member;
  readonly stream: ByteStream;
}

/**
 * All watches of a client on one stream. The stream is opened with the first watch and ended with the last. When it
 * breaks, falls silent, or a watch on it cannot go on, it is opened anew, on the next member where there is one, and
 * every watch goes on behind what it has received.
 */
export class WatchStream implements WatchFeed {
  readonly #options: WatchStreamOptions;
  readonly #watches = new Set<Watch>();
  /** By the id on this stream; ids are never used again, so that late batches of an old one find nobody. */
  readonly #byId = new Map<number, Watch>();
  readonly #idOf = new Map<Watch, number>();
  readonly #acks: AckTimer<Watch>;
  #lastId = 0;
  #connection: Connection | undefined;
  /** Reopens after a break. */
  #reopenTimer: Timer | undefined;
  #silenceTimer: Timer | undefined;
  #heardMs = 0;
  #openedMs = 0;
  /** Breaks in a row of streams that did not last: a batch alone proves nothing, a broken member may send one. */
  #failures = 0;
  /** Refused watches since the last batch, where there is one member alone. */
  #refusals = 0;
  readonly #unreachable = new Set<string>();
  #closed = false;

  constructor(options: WatchStreamOptions) {
    this.#options = options;
    this.#acks = new AckTimer(options.clock, clientLimits.ackIntervalMs, (watch) => this.#ack(watch));
  }

  get watches(): number {
    return this.#watches.size;
  }

  add(watch: Watch): void {
    this.#watches.add(watch);
    if (this.#connection !== undefined) this.#create(this.#connection, watch);
    else if (this.#reopenTimer === undefined) this.#open();
  }

  remove(watch: Watch): void {
    if (!this.#watches.delete(watch)) return;
    this.#cancel(watch);
    if (this.#watches.size === 0) this.#disconnect();
  }

  /** The watch's reader has applied more. Said to the member soon, with that of other watches. */
  applied(watch: Watch): void {
    if (this.#connection !== undefined) this.#acks.add(watch);
  }

  restart(watch: Watch): void {
    this.#cancel(watch);
    if (this.#connection !== undefined) this.#create(this.#connection, watch);
  }

  /** Ends the stream and all watches. */
  close(): void {
    this.#closed = true;
    for (const watch of this.#watches) watch.close();
    this.#disconnect();
  }

  #open(): void {
    const { pool, clock } = this.#options;
    const member = pool.current;
    const connection: Connection = { member, stream: member.stream(methods.watch) };
    this.#connection = connection;
    const { stream } = connection;
    stream.on('data', (bytes: Buffer) => this.#receive(connection, bytes));
    stream.on('error', (error: ServiceError) => this.#broken(connection, ClientError.ofCall(error, member.address)));
    stream.on('status', () => this.#broken(connection, brokenBy(member, 'ended the stream')));
    this.#heardMs = this.#openedMs = clock.monotonicMs();
    this.#watchSilence(connection, clientLimits.watchSilenceMs);
    for (const watch of this.#watches) this.#create(connection, watch);
  }

  /** Forgets the stream and everything on it; what it still says is not heard. */
  #disconnect(): void {
    const { stream } = this.#connection ?? {};
    this.#connection = undefined;
    this.#byId.clear();
    this.#idOf.clear();
    this.#acks.clear();
    this.#silenceTimer?.cancel();
    this.#reopenTimer?.cancel();
    this.#reopenTimer = undefined;
    stream?.cancel();
  }

  #create({ stream }: Connection, watch: Watch): void {
    this.#lastId += 1;
    this.#byId.set(this.#lastId, watch);
    this.#idOf.set(watch, this.#lastId);
    this.#send(stream, { create: watch.createMessage(this.#lastId) });
  }

  #cancel(watch: Watch): void {
    const watchId = this.#forget(watch);
    if (watchId !== undefined && this.#connection !== undefined)
      this.#send(this.#connection.stream, { cancel: { watchId } });
  }

  /** What still comes for it finds nobody. */
  #forget(watch: Watch): number | undefined {
    const watchId = this.#idOf.get(watch);
    if (watchId === undefined) return undefined;
    this.#idOf.delete(watch);
    this.#byId.delete(watchId);
    return watchId;
  }

  #ack(watch: Watch): void {
    const watchId = this.#idOf.get(watch);
    const revision = watchId === undefined ? undefined : watch.takeAck();
    if (watchId === undefined || revision === undefined || this.#connection === undefined) return;
    this.#send(this.#connection.stream, { ack: { watchId, revision } });
  }

  #send(stream: ByteStream, request: rollcall.v1.WatchRequest.$Properties): void {
    stream.write(asBuffer(rollcall.v1.WatchRequest.encode(request).finish()));
  }

  #receive(connection: Connection, bytes: Buffer): void {
    if (connection !== this.#connection) return;
    const { member } = connection;
    this.#heardMs = this.#options.clock.monotonicMs();
    let response: rollcall.v1.WatchResponse;
    try {
      response = rollcall.v1.WatchResponse.decode(bytes);
    } catch (cause) {
      this.#broken(connection, ClientError.badAnswer(member.address, 'no WatchResponse', cause));
      return;
    }
    const watch = this.#byId.get(response.watchId);
    if (watch === undefined) return;
    const accepted = watch.accept(response, member.address);
    if (accepted === 'ended') {
      this.#forget(watch);
    } else if (accepted instanceof ClientError) {
      this.#forget(watch);
      this.#refused(connection, watch, accepted);
    } else {
      this.#refusals = 0;
      this.#unreachable.clear();
      this.#judgeAge(connection, response);
    }
  }

  /** A member without a leader goes on to say that nothing changes; only the age tells. */
  #judgeAge(connection: Connection, { header }: rollcall.v1.WatchResponse): void {
    const ageMs = header?.ageMs ?? 0;
    if (ageMs <= clientLimits.watchAgeMsMax || this.#options.pool.size === 1) return;
    this.#broken(
      connection,
      brokenBy(connection.member, `has not heard a leader for over ${clientLimits.watchAgeMsMax} ms`),
    );
  }

  /** One watch cannot go on here. */
  #refused(connection: Connection, watch: Watch, error: ClientError): void {
    if (!error.retryable) {
      watch.fail(error);
    } else if (this.#options.pool.size > 1 || error.reason === 'BAD_ANSWER') {
      this.#broken(connection, error);
    } else {
      // Nobody else to ask: the others stay as they are, and this one asks again.
      watch.interrupted(error);
      this.#refusals += 1;
      const pauseMs = backoffMs(this.#refusals, error.retryAfterMs, this.#options.random);
      this.#options.clock.setTimer(
        pauseMs,
        () => {
          if (this.#connection === connection && this.#watches.has(watch)) this.#create(connection, watch);
        },
        { unref: true },
      );
    }
  }

  #broken(connection: Connection, error: ClientError): void {
    if (connection !== this.#connection) return;
    this.#disconnect();
    const { pool, random, clock } = this.#options;
    pool.moveOn(connection.member);
    if (error.reason === 'UNREACHABLE') this.#unreachable.add(connection.member.address);
    this.#failThoseAtFault(error);
    for (const watch of this.#watches) watch.interrupted(error);
    if (this.#closed || this.#watches.size === 0) return;
    const lastedMs = clock.monotonicMs() - this.#openedMs;
    this.#failures = lastedMs < clientLimits.streamLastedMsMin ? this.#failures + 1 : 1;
    const pauseMs = reopenPauseMs(this.#failures, pool.size, error.retryAfterMs, random);
    this.#reopenTimer = clock.setTimer(pauseMs, () => {
      this.#reopenTimer = undefined;
      this.#open();
    });
  }

  /**
   * An error that no repetition mends is told to the watches that never got a batch, since one of them must have caused
   * it; where there are none, to all. With `failFast`, so is that no member can be reached.
   */
  #failThoseAtFault(error: ClientError): void {
    const { failFast, pool } = this.#options;
    const hopeless = failFast && this.#unreachable.size === pool.size;
    if (error.retryable && !hopeless) return;
    const all = [...this.#watches];
    const { field = '' } = error;
    const suspects = all.filter((watch) => watch.unconfirmed && (watch.hasFilter || !field.includes('filter')));
    for (const watch of suspects.length > 0 || error.retryable ? suspects : all) watch.fail(error);
  }

  #watchSilence(connection: Connection, ms: number): void {
    this.#silenceTimer = this.#options.clock.setTimer(
      ms,
      () => {
        const silentMs = this.#options.clock.monotonicMs() - this.#heardMs;
        const leftMs = clientLimits.watchSilenceMs - silentMs;
        if (leftMs > 0) this.#watchSilence(connection, leftMs);
        else this.#broken(connection, brokenBy(connection.member, `said nothing for ${Math.round(silentMs)} ms`));
      },
      { unref: true },
    );
  }
}

function brokenBy(member: Member, what: string): ClientError {
  return new ClientError('UNAVAILABLE', 'BROKEN', `${member.address} ${what}`, { address: member.address });
}
