import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { backoffMs } from './backoff.ts';
import { clientLimits } from './limits.ts';

interface Ping {
  readonly pingId: number;
  readonly sentMs: number;
}

/**
 * The time to live of one session as its client may count it: from the sending of the last sign of life that was
 * acknowledged. Says when the next one is due and when an answer is late; sends nothing itself.
 */
export class SessionLife {
  readonly #clock: Clock;
  readonly #random: Random;
  #ttlMs = 0;
  #confirmedMs = Number.NEGATIVE_INFINITY;
  #pingAtMs = Number.POSITIVE_INFINITY;
  /** Without an answer on this stream, in the order sent. */
  #unanswered: Ping[] = [];
  /** The first sign of life on this stream that no confirmation covers was sent then. */
  #unconfirmedSinceMs = Number.POSITIVE_INFINITY;
  /** Answers in a row that no leader had confirmed. */
  #failures = 0;
  #lastId = 0;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Above 0 the session lives for certain; minus infinity where there is none. */
  get remainingMs(): number {
    return this.#confirmedMs + this.#ttlMs - this.#clock.monotonicMs();
  }

  /** When the next sign of life is to be given. */
  get pingAtMs(): number {
    return this.#pingAtMs;
  }

  /** When the stream is to be given up unless a confirmation is there. */
  get confirmByMs(): number {
    return this.#unconfirmedSinceMs + this.#pongMs;
  }

  /** Something is said too late, and not only without a leader's confirmation. */
  get isSilent(): boolean {
    const [oldest] = this.#unanswered;
    return oldest !== undefined && oldest.sentMs + this.#pongMs <= this.#clock.monotonicMs();
  }

  /** @param confirmedMs When the request was sent that began it. */
  begin(ttlMs: number, confirmedMs: number): void {
    this.#ttlMs = ttlMs;
    this.#confirmedMs = confirmedMs;
    this.#pingAtMs = confirmedMs + this.#pingDelayMs();
  }

  /** A new stream goes on with it: a sign of life is due at once. */
  resume(): void {
    this.#pingAtMs = this.#clock.monotonicMs();
  }

  /** The stream is over, or takes no more: nothing is due. */
  pause(): void {
    this.#pingAtMs = this.#unconfirmedSinceMs = Number.POSITIVE_INFINITY;
    this.#unanswered = [];
    this.#failures = 0;
  }

  /** The session is over. */
  end(): void {
    this.pause();
    this.#confirmedMs = Number.NEGATIVE_INFINITY;
  }

  /** The id of a sign of life that is sent now. */
  ping(): number {
    const sentMs = this.#clock.monotonicMs();
    this.#lastId += 1;
    this.#unanswered.push({ pingId: this.#lastId, sentMs });
    this.#unconfirmedSinceMs = Math.min(this.#unconfirmedSinceMs, sentMs);
    this.#pingAtMs = sentMs + this.#pingDelayMs();
    return this.#lastId;
  }

  /** False: no answer to anything that was sent. */
  pong(pingId: number, renewed: boolean): boolean {
    const at = this.#unanswered.findIndex((ping) => ping.pingId === pingId);
    const ping = this.#unanswered[at];
    if (ping === undefined) return false;
    // Answers come in the order asked: those before it have none.
    this.#unanswered.splice(0, at + 1);
    if (renewed) {
      this.#confirmedMs = ping.sentMs;
      this.#failures = 0;
      this.#unconfirmedSinceMs = this.#unanswered[0]?.sentMs ?? Number.POSITIVE_INFINITY;
    } else {
      this.#failures += 1;
      const againMs = this.#clock.monotonicMs() + backoffMs(this.#failures, undefined, this.#random);
      this.#pingAtMs = Math.min(this.#pingAtMs, againMs);
    }
    return true;
  }

  /** There is no other member to ask: the time for a confirmation begins anew. */
  giveTime(): void {
    this.#unconfirmedSinceMs = this.#clock.monotonicMs();
  }

  get #pongMs(): number {
    return Math.min(clientLimits.sessionPongMsMax, this.#ttlMs / 3);
  }

  /** At most a third of the time to live, up to a quarter of it less, so that many sessions do not keep step. */
  #pingDelayMs(): number {
    const ms = Math.min(clientLimits.sessionPingMsMax, this.#ttlMs / 3);
    return ms - this.#random.below('session-ping', Math.floor(ms / 4) + 1);
  }
}
