import type { ServiceError, StatusObject } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { must } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { timerMsMax } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { rollcall } from '../gen/rollcall.js';
import { reopenPauseMs } from './backoff.ts';
import { ClientError } from './client-error.ts';
import { clientLimits } from './limits.ts';
import { asBuffer, methods } from './methods.ts';
import type { OpenSlot, OpenSlots } from './open-slots.ts';
import { SessionLife } from './session-life.ts';
import type { LaneStream, StreamLanes } from './stream-lanes.ts';

const never = Number.POSITIVE_INFINITY;
const requestIdBytes = 12;

/** What a link tells its session. Each may call the link. */
export interface LinkListener {
  /** A stream is open; `isNew`: of a new session. Returns how the answer breaks the protocol. */
  onOpened(opened: rollcall.v1.SessionOpened.$Properties, isNew: boolean): string | undefined;
  onWritten(written: rollcall.v1.SessionWritten.$Properties): string | undefined;
  onLost(lost: rollcall.v1.SessionLost.$Properties): void;
  /** A member cannot read what was sent on an open stream. The next stream is opened behind it. */
  onRefused(error: ClientError): void;
  /** The session has ended. Unless the link is stopped, a new one is opened behind it. */
  onGone(error: ClientError): void;
  /** The half-close was carried out. */
  onClosed(): void;
  /** The link cannot go on. */
  onFailed(error: ClientError): void;
  onTrouble(error: ClientError): void;
  /** Something has happened, or time has passed: `remainingMs` may say something else. */
  onChange(): void;
}

export interface SessionLinkOptions {
  /** One an address. */
  readonly routes: readonly StreamLanes[];
  /** Shared by all sessions of a client. */
  readonly openSlots: OpenSlots;
  /** Position of the address that is asked first. */
  readonly start: number;
  readonly ttlMs: number;
  readonly failFast: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly listener: LinkListener;
}

interface Connection {
  readonly address: string;
  readonly lane: LaneStream;
  readonly startedMs: number;
  opened: boolean;
  /** When this side was closed. */
  halfClosedMs: number | undefined;
}

/**
 * One session's stream to whichever member works: opens the session, gives signs of life, and when the stream breaks or
 * falls silent goes on with the same session on the next member. One timer does for all of it.
 */
export class SessionLink {
  readonly #options: SessionLinkOptions;
  readonly #life: SessionLife;
  #route: number;
  #connection: Connection | undefined;
  #sessionId = 0;
  /** Counts the streams of the session, those that failed included, so that a member knows which is the last. */
  #attachment = 1;
  /** Of the session that is being opened; kept for repeats, as long as members remember it. */
  #request: { readonly id: string; readonly firstSentMs: number } | undefined;
  #reopenAtMs = never;
  #timer: Timer | undefined;
  #timerAtMs = never;
  #judging: Timer | undefined;
  /** Breaks in a row of streams that did not last. */
  #failures = 0;
  readonly #unreachable = new Set<string>();
  /** Openings in a row that were not answered in time: members that have much to do get longer. */
  #silentOpenings = 0;
  #slot: OpenSlot | undefined;
  #everOpened = false;
  #stopped = false;

  constructor(options: SessionLinkOptions) {
    this.#options = options;
    this.#route = options.start;
    this.#life = new SessionLife(options.clock, options.random);
  }

  /** 0: none is open. */
  get sessionId(): number {
    return this.#sessionId;
  }

  /** Undefined where there is no session. */
  get remainingMs(): number | undefined {
    return this.#sessionId === 0 ? undefined : this.#life.remainingMs;
  }

  /** Writes may be sent. */
  get isOpen(): boolean {
    return this.#connection?.opened === true && this.#connection.halfClosedMs === undefined;
  }

  start(): void {
    this.#awaitTurn();
  }

  /** One encoded SessionRequest, on a stream that is open. */
  send(bytes: Uint8Array): void {
    must(this.#connection, 'stream of a session').lane.stream.write(asBuffer(bytes));
  }

  /** Asks the member to end the session, on a stream that is open. */
  halfClose(): void {
    const connection = must(this.#connection, 'stream of a session');
    connection.halfClosedMs = this.#now;
    this.#life.pause();
    connection.lane.stream.end();
    this.#arm();
  }

  /** Leaves the stream; the session lives as long as its time to live. Nothing is told any more. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#disconnect();
    this.#timer?.cancel();
    this.#life.end();
    this.#sessionId = 0;
  }

  get #now(): number {
    return this.#options.clock.monotonicMs();
  }

  #awaitTurn(): void {
    this.#slot = this.#options.openSlots.enter(() => {
      this.#open();
      this.#arm();
    });
  }

  #open(): void {
    const lanes = must(this.#options.routes[this.#route], 'route of a session');
    const lane = lanes.open(methods.session);
    const { address } = lanes;
    const connection: Connection = { address, lane, startedMs: this.#now, opened: false, halfClosedMs: undefined };
    const { stream } = lane;
    this.#connection = connection;
    stream.on('data', (bytes: Buffer) => this.#receive(connection, bytes));
    stream.on('error', (error: ServiceError) => this.#broken(connection, ClientError.ofCall(error, address)));
    stream.on('status', ({ code }: StatusObject) => this.#ended(connection, code));
    this.send(rollcall.v1.SessionRequest.encode({ open: this.#openMessage() }).finish());
  }

  #openMessage(): rollcall.v1.SessionOpen.$Properties {
    if (this.#sessionId !== 0) {
      this.#attachment += 1;
      return { sessionId: this.#sessionId, attachment: this.#attachment };
    }
    const { random, ttlMs } = this.#options;
    if (this.#request === undefined || this.#now - this.#request.firstSentMs > clientLimits.repeatWriteMsMax) {
      const id = Buffer.from(random.bytes('request-id', requestIdBytes)).toString('hex');
      this.#request = { id, firstSentMs: this.#now };
    }
    return { ttlMs, requestId: this.#request.id };
  }

  #receive(connection: Connection, bytes: Buffer): void {
    if (connection !== this.#connection) return;
    let response: rollcall.v1.SessionResponse;
    try {
      response = rollcall.v1.SessionResponse.decode(bytes);
    } catch (cause) {
      this.#broken(connection, ClientError.badAnswer(connection.address, 'no SessionResponse', cause));
      return;
    }
    const breach = this.#take(connection, response);
    if (this.#stopped) return;
    if (breach !== undefined) this.#broken(connection, ClientError.badAnswer(connection.address, breach));
    else this.#settle();
  }

  /** Returns how the response breaks the protocol. */
  #take(connection: Connection, response: rollcall.v1.SessionResponse): string | undefined {
    const { opened, written, pong, lost } = response;
    const { listener } = this.#options;
    if (opened !== undefined && opened !== null) return this.#takeOpened(connection, opened);
    if (!connection.opened) return 'something else than opened at first';
    if (written !== undefined && written !== null) return listener.onWritten(written);
    if (pong !== undefined && pong !== null) return this.#takePong(connection, pong);
    // What a newer member tells besides is not for this version.
    if (lost !== undefined && lost !== null) listener.onLost(lost);
    return undefined;
  }

  #takeOpened(connection: Connection, opened: rollcall.v1.SessionOpened.$Properties): string | undefined {
    const { sessionId = 0, ttlMs = 0 } = opened;
    if (connection.opened) return 'opened twice';
    if (!isPositive(sessionId) || !isPositive(ttlMs)) return `session ${sessionId} with a TTL of ${ttlMs} ms`;
    const isNew = this.#sessionId === 0;
    if (!isNew && sessionId !== this.#sessionId) return `session ${sessionId}, asked was for ${this.#sessionId}`;
    connection.opened = true;
    this.#silentOpenings = 0;
    this.#slot?.leave();
    this.#everOpened = true;
    this.#unreachable.clear();
    if (isNew) {
      this.#sessionId = sessionId;
      this.#attachment = 1;
      // An earlier try may have begun it: the time to live counts from the first.
      this.#life.begin(ttlMs, must(this.#request, 'request of a new session').firstSentMs);
      this.#request = undefined;
    } else {
      this.#life.resume();
    }
    return this.#options.listener.onOpened(opened, isNew);
  }

  #takePong(connection: Connection, pong: rollcall.v1.SessionPong.$Properties): string | undefined {
    const { pingId = 0, renewed = false } = pong;
    if (connection.halfClosedMs !== undefined) return undefined;
    return this.#life.pong(pingId ?? 0, renewed ?? false)
      ? undefined
      : `an answer to ping ${pingId}, which was not sent`;
  }

  #ended(connection: Connection, code: number): void {
    if (connection !== this.#connection) return;
    if (code === status.OK && connection.halfClosedMs !== undefined) this.#options.listener.onClosed();
    else this.#broken(connection, brokenBy(connection, 'ended the stream'));
  }

  #broken(connection: Connection, error: ClientError): void {
    if (connection !== this.#connection) return;
    const { routes, failFast } = this.#options;
    this.#disconnect();
    if (error.reason === 'UNREACHABLE') this.#unreachable.add(connection.address);
    const hopeless = failFast && this.#unreachable.size === routes.length;
    const mayMend = this.#everOpened || error.retryable || error.reason === 'UNKNOWN_SESSION';
    if (error.reason === 'SESSION_TAKEN' || !mayMend || (hopeless && !this.#everOpened)) {
      this.#options.listener.onFailed(error);
      return;
    }
    this.#tellBreak(connection, error);
    if (!this.#stopped) this.#settle();
  }

  /** Says when and where the next stream is opened, then tells the session why. */
  #tellBreak(connection: Connection, error: ClientError): void {
    const { routes, listener, random } = this.#options;
    // What the members say of the session or of a write is no fault of the member that said it.
    const isVerdict = connection.opened && error.code === 'INVALID_ARGUMENT';
    const isGone = error.reason === 'UNKNOWN_SESSION';
    const lasted = this.#now - connection.startedMs >= clientLimits.streamLastedMsMin;
    if (lasted) this.#failures = 0;
    if (!isVerdict) this.#failures += 1;
    if (!isVerdict && !isGone) this.#route = (this.#route + 1) % routes.length;
    const pauseMs = isVerdict ? 0 : reopenPauseMs(this.#failures, routes.length, error.retryAfterMs, random);
    this.#reopenAtMs = this.#now + pauseMs + random.below('session-reopen', clientLimits.sessionReopenSpreadMs);
    if (isGone) {
      const wasOpen = this.#sessionId !== 0;
      this.#life.end();
      this.#sessionId = 0;
      // A request whose session has ended by now is of no use either.
      this.#request = undefined;
      if (wasOpen) listener.onGone(error);
      else listener.onTrouble(error);
    } else if (isVerdict) {
      listener.onRefused(error);
    } else {
      listener.onTrouble(error);
    }
  }

  #disconnect(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#judging?.cancel();
    this.#judging = undefined;
    this.#life.pause();
    this.#slot?.leave();
    if (connection === undefined) return;
    connection.lane.stream.cancel();
    connection.lane.release();
  }

  /** Something was done: the session may say so, and the timer may be due earlier. */
  #settle(): void {
    this.#options.listener.onChange();
    if (!this.#stopped) this.#arm();
  }

  /** When the present stream is given up. */
  get #giveUpAtMs(): number {
    const connection = this.#connection;
    if (connection === undefined) return never;
    if (connection.halfClosedMs !== undefined) return connection.halfClosedMs + clientLimits.sessionCloseAnswerMs;
    return connection.opened ? this.#life.confirmByMs : connection.startedMs + this.#openAnswerMs;
  }

  get #openAnswerMs(): number {
    const { sessionOpenAnswerMsMin, sessionOpenAnswerMsMax, sessionOpenAnswerMsLongest } = clientLimits;
    const ms = Math.min(sessionOpenAnswerMsMax, Math.max(sessionOpenAnswerMsMin, this.#options.ttlMs / 3));
    return Math.min(sessionOpenAnswerMsLongest, ms * 2 ** Math.min(this.#silentOpenings, 8));
  }

  /** One timer, which is left alone where it is early enough: it looks again when it fires. */
  #arm(): void {
    const now = this.#now;
    const { pingAtMs, remainingMs } = this.#life;
    const uncertainAtMs = remainingMs > 0 ? now + remainingMs : never;
    const giveUpAtMs = this.#judging === undefined ? this.#giveUpAtMs : never;
    const atMs = Math.min(pingAtMs, uncertainAtMs, giveUpAtMs, this.#reopenAtMs);
    if (this.#timerAtMs <= atMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    const ms = Math.min(timerMsMax, Math.max(0, atMs - now));
    this.#timer = this.#options.clock.setTimer(ms, () => this.#wake());
  }

  #wake(): void {
    this.#timerAtMs = never;
    if (this.#reopenAtMs <= this.#now) {
      this.#reopenAtMs = never;
      this.#awaitTurn();
    }
    if (this.#life.pingAtMs <= this.#now && this.isOpen) {
      this.send(rollcall.v1.SessionRequest.encode({ ping: { pingId: this.#life.ping() } }).finish());
    }
    if (this.#giveUpAtMs <= this.#now) {
      // After a stall timers run before the sockets are read, and the answer may lie in one of them.
      this.#judging ??= this.#options.clock.nextTurn(() => this.#judge());
    }
    this.#settle();
  }

  #judge(): void {
    this.#judging = undefined;
    const connection = this.#connection;
    if (connection === undefined) return;
    if (this.#giveUpAtMs > this.#now) {
      this.#settle();
      return;
    }
    const noLeader = connection.opened && connection.halfClosedMs === undefined && !this.#life.isSilent;
    if (!noLeader) {
      const ms = Math.round(this.#now - connection.startedMs);
      if (!connection.opened) this.#silentOpenings += 1;
      this.#broken(
        connection,
        brokenBy(connection, connection.opened ? 'fell silent' : `did not answer within ${ms} ms`),
      );
      return;
    }
    const { address } = connection;
    const error = new ClientError('UNAVAILABLE', 'NO_LEADER', `${address}: no leader confirmed a sign of life`, {
      address,
    });
    if (this.#options.routes.length > 1) {
      this.#broken(connection, error);
      return;
    }
    // Nobody else to ask, and this member answers.
    this.#life.giveTime();
    this.#options.listener.onTrouble(error);
    if (!this.#stopped) this.#settle();
  }
}

function isPositive(value: number | null): value is number {
  return value !== null && Number.isSafeInteger(value) && value > 0;
}

function brokenBy({ address }: Connection, what: string): ClientError {
  return new ClientError('UNAVAILABLE', 'BROKEN', `${address} ${what}`, { address });
}
