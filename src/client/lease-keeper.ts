import type { ServiceError } from '@grpc/grpc-js';
import type { Clock, Timer } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { rollcall } from '../gen/rollcall.js';
import { backoffMs, reopenPauseMs } from './backoff.ts';
import type { ByteStream } from './channel.ts';
import { ClientError } from './client-error.ts';
import { LeaseSchedule } from './lease-schedule.ts';
import { clientLimits } from './limits.ts';
import type { Member, MemberPool } from './member-pool.ts';
import { asBuffer, methods } from './methods.ts';

const statuses = rollcall.v1.KeepAliveStatus;

export interface LeaseListener {
  /** The lease is not there any more: its instances are gone. The keeper has forgotten it. */
  readonly onLost?: (leaseId: number) => void;
  /** The time to live runs anew, counted from when the renewal was sent. */
  readonly onRenewed?: (leaseId: number, ttlMs: number) => void;
  /** The stream broke or a member had no quorum; the keeper goes on by itself, on another member where there is one. */
  readonly onTrouble?: (error: ClientError) => void;
}

export interface LeaseKeeperOptions extends LeaseListener {
  readonly pool: MemberPool;
  readonly clock: Clock;
  readonly random: Random;
  readonly onClosed: (keeper: LeaseKeeper) => void;
}

/** What is known of one lease. */
interface Lease {
  /** 0 until the first renewal was acknowledged. */
  ttlMs: number;
  /** When the last acknowledged renewal was sent. */
  countedFromMs: number;
  /** Renewals that were not acknowledged since. */
  failures: number;
}

interface Request {
  readonly ids: readonly number[];
  readonly sentMs: number;
}

interface Connection {
  readonly member: Member;
  readonly stream: ByteStream;
  /** In the order sent, which is the order of the answers. */
  readonly unanswered: Request[];
}

/**
 * Renews leases on one KeepAlive stream, each at a third of its TTL, many in one message. A stream that breaks, or an
 * answer that does not come, moves all of them to the next member. Leases may be added and removed at any time.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #leases = new Map<number, Lease>();
  readonly #schedule: LeaseSchedule;
  #connection: Connection | undefined;
  #answerTimer: Timer | undefined;
  #reopenTimer: Timer | undefined;
  /** Breaks since the last acknowledged renewal. */
  #failures = 0;
  #ttlMsMin = Number.POSITIVE_INFINITY;
  #closed = false;

  /** For the client only: use RollcallClient.keepAlive. */
  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#schedule = new LeaseSchedule(options.clock, () => this.#send());
  }

  /** Leases that are being kept. */
  get size(): number {
    return this.#leases.size;
  }

  /** Renews the lease at once, and from then on in time. Throws TOO_MANY above `leasesMax`. */
  add(leaseId: number): void {
    if (this.#closed) throw ClientError.closed('the lease keeper');
    if (!Number.isSafeInteger(leaseId) || leaseId < 1) throw ClientError.invalidField('lease_id', `is ${leaseId}`);
    const max = clientLimits.leasesMax;
    if (this.#leases.size >= max) {
      throw new ClientError('RESOURCE_EXHAUSTED', 'TOO_MANY', `${max} leases are kept, allowed are at most ${max}`);
    }
    if (this.#leases.has(leaseId)) return;
    this.#leases.set(leaseId, { ttlMs: 0, countedFromMs: Number.NEGATIVE_INFINITY, failures: 0 });
    this.#schedule.put(leaseId, 0, 0);
  }

  /** Renews it no more: the lease ends by itself after its TTL. */
  remove(leaseId: number): void {
    this.#leases.delete(leaseId);
    this.#schedule.remove(leaseId);
    if (this.#leases.size === 0) this.#disconnect();
  }

  /**
   * How long the lease lives for certain, in ms, counted from the sending of its last acknowledged renewal. 0 or less:
   * it may have ended. Undefined: it is not kept here, or was not renewed yet.
   */
  remainingMs(leaseId: number): number | undefined {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined || lease.ttlMs === 0) return undefined;
    return lease.countedFromMs + lease.ttlMs - this.#options.clock.monotonicMs();
  }

  /** Renews nothing more and leaves nothing open. The leases end by themselves. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#leases.clear();
    this.#schedule.close();
    this.#disconnect();
    this.#options.onClosed(this);
  }

  /** Sends what is due, as far as answers are not outstanding. */
  #send(): void {
    if (this.#closed || this.#reopenTimer !== undefined) return;
    const connection = this.#connection ?? this.#open();
    while (connection.unanswered.length < clientLimits.keepAliveUnansweredMax) {
      const leaseIds = this.#schedule.takeDue(clientLimits.leaseIdsPerRequestMax);
      if (leaseIds.length === 0) break;
      connection.unanswered.push({ ids: leaseIds, sentMs: this.#options.clock.monotonicMs() });
      connection.stream.write(asBuffer(rollcall.v1.KeepAliveRequest.encode({ leaseIds }).finish()));
    }
    this.#awaitAnswer(connection);
  }

  #open(): Connection {
    const member = this.#options.pool.current;
    const connection: Connection = { member, stream: member.stream(methods.keepAlive), unanswered: [] };
    const { stream } = connection;
    stream.on('data', (bytes: Buffer) => this.#receive(connection, bytes));
    stream.on('error', (error: ServiceError) => this.#broken(connection, ClientError.ofCall(error, member.address)));
    stream.on('status', () => this.#broken(connection, brokenBy(member, 'ended the stream')));
    this.#connection = connection;
    return connection;
  }

  #disconnect(): void {
    const { stream } = this.#connection ?? {};
    this.#connection = undefined;
    this.#answerTimer?.cancel();
    this.#answerTimer = undefined;
    this.#reopenTimer?.cancel();
    this.#reopenTimer = undefined;
    stream?.cancel();
  }

  #awaitAnswer(connection: Connection): void {
    this.#answerTimer?.cancel();
    this.#answerTimer = undefined;
    const [oldest] = connection.unanswered;
    if (oldest === undefined) return;
    const { keepAliveAnswerMsMin, keepAliveAnswerMsMax } = clientLimits;
    const allowedMs = Math.min(keepAliveAnswerMsMax, Math.max(keepAliveAnswerMsMin, this.#ttlMsMin / 3));
    const leftMs = Math.max(0, oldest.sentMs + allowedMs - this.#options.clock.monotonicMs());
    this.#answerTimer = this.#options.clock.setTimer(leftMs, () => {
      const message = `did not answer a renewal within ${Math.round(allowedMs)} ms`;
      this.#broken(connection, brokenBy(connection.member, message));
    });
  }

  #receive(connection: Connection, bytes: Buffer): void {
    if (connection !== this.#connection) return;
    const request = connection.unanswered.shift();
    try {
      const { results } = rollcall.v1.KeepAliveResponse.decode(bytes);
      if (request === undefined || results.length !== request.ids.length) throw new Error('not what was asked');
      this.#take(request, results);
    } catch (cause) {
      if (!(cause instanceof Error)) throw cause;
      if (request !== undefined) connection.unanswered.unshift(request);
      this.#broken(connection, ClientError.badAnswer(connection.member.address, 'no answer to a renewal', cause));
      return;
    }
    // A listener may have closed the keeper.
    if (connection === this.#connection) this.#send();
  }

  #take(request: Request, results: readonly rollcall.v1.KeepAliveResult.$Properties[]): void {
    let unavailable = 0;
    for (const { leaseId, status, ttlMs } of results) {
      const id = leaseId ?? 0;
      const lease = this.#leases.get(id);
      if (lease === undefined) continue;
      if (status === statuses.KEEP_ALIVE_STATUS_RENEWED) this.#renewed(id, lease, request.sentMs, ttlMs ?? 0);
      else if (status === statuses.KEEP_ALIVE_STATUS_UNKNOWN) this.#lost(id);
      else {
        unavailable += 1;
        this.#retry(id, lease);
      }
    }
    if (unavailable === 0) return;
    const message = `no leader confirmed ${unavailable} of ${results.length} renewals`;
    const connection = this.#connection;
    if (connection === undefined) return;
    const error = new ClientError('UNAVAILABLE', 'NO_LEADER', message, { address: connection.member.address });
    // It may be this member alone that has lost the others.
    if (this.#options.pool.size > 1) this.#broken(connection, error);
    else this.#options.onTrouble?.(error);
  }

  #renewed(leaseId: number, lease: Lease, sentMs: number, ttlMs: number): void {
    lease.ttlMs = ttlMs;
    lease.countedFromMs = sentMs;
    lease.failures = 0;
    this.#failures = 0;
    this.#ttlMsMin = Math.min(this.#ttlMsMin, ttlMs);
    const waitedMs = this.#options.clock.monotonicMs() - sentMs;
    this.#schedule.put(leaseId, Math.max(0, ttlMs / 3 - waitedMs), ttlMs / 24);
    this.#options.onRenewed?.(leaseId, ttlMs);
  }

  #retry(leaseId: number, lease: Lease): void {
    lease.failures += 1;
    this.#schedule.put(leaseId, backoffMs(lease.failures, undefined, this.#options.random), 0);
  }

  #lost(leaseId: number): void {
    this.remove(leaseId);
    this.#options.onLost?.(leaseId);
  }

  #broken(connection: Connection, error: ClientError): void {
    if (connection !== this.#connection) return;
    const { pool, clock, random, onTrouble } = this.#options;
    this.#disconnect();
    pool.moveOn(connection.member);
    for (const { ids } of connection.unanswered) {
      for (const id of ids) if (this.#leases.has(id)) this.#schedule.put(id, 0, 0);
    }
    if (this.#leases.size > 0) {
      this.#failures += 1;
      const pauseMs = reopenPauseMs(this.#failures, pool.size, error.retryAfterMs, random);
      this.#reopenTimer = clock.setTimer(pauseMs, () => {
        this.#reopenTimer = undefined;
        this.#send();
      });
    }
    onTrouble?.(error);
  }
}

function brokenBy(member: Member, what: string): ClientError {
  return new ClientError('UNAVAILABLE', 'BROKEN', `${member.address} ${what}`, { address: member.address });
}
