import { assert, InvariantError, unreachable } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { RollcallError } from '../base/errors.ts';
import type { Replica } from '../replica/types.ts';
import type { SessionInfo } from '../state-machine/interfaces.ts';
import type { CommandBody, CommandResult, LostInstance, SessionChange } from '../state-machine/types.ts';
import { apiBounds } from './bounds.ts';
import { resultsOf, toOperations } from './session-operations.ts';
import type { RenewalStatus, SessionRenewals } from './session-renewals.ts';
import type { SessionSlots } from './session-slots.ts';
import type { Caller, Header, SessionCall, SessionMessage, SessionOpenRequest, SessionSink } from './types.ts';

export interface HubSessionOptions {
  readonly replica: Replica;
  readonly clock: Clock;
  readonly renewals: SessionRenewals;
  readonly slots: SessionSlots;
  readonly sink: SessionSink;
  readonly caller: Caller;
  readonly onAttached: (sessionId: number) => void;
  /** The stream is over. `sessionId` is 0 where it was never attached. */
  readonly onOver: (sessionId: number) => void;
  readonly onFatal: (error: unknown) => void;
}

type Write = Extract<SessionMessage, { kind: 'write' }> & { readonly bytes: number };

/** What a write or an end of the session is refused with where another stream goes on with it, or it has ended. */
const over: ReadonlySet<string> = new Set(['UNKNOWN_SESSION', 'SESSION_TAKEN']);

/** What a command ends with that was tried until its time was up, and was not carried out. */
const leaderless: ReadonlySet<string> = new Set(['NO_LEADER', 'NOT_PROPOSED', 'OUTCOME_UNKNOWN']);

/**
 * One stream of a session. Writes are carried out one after the other, each after the one before it was applied: so one
 * stored result is enough to apply each of them once, over whatever streams they come. A write that could not be taken
 * is tried again for two election timeouts; after that the stream ends, and the client goes on over another member.
 */
export class HubSession implements SessionCall {
  readonly #options: HubSessionOptions;
  #sessionId = 0;
  #attachment = 0;
  #attached = false;
  #writes: Write[] = [];
  #writing = false;
  /** In the order asked; the first `#pingsUnderWay` of them are being renewed. */
  #pings: number[] = [];
  #pingsUnderWay = 0;
  #inputEnded = false;
  #over = false;
  #backOff: { readonly timer: Timer; readonly wake: () => void } | undefined;
  #onRoom: () => void = () => undefined;

  constructor(options: HubSessionOptions) {
    this.#options = options;
  }

  /** Opens or attaches the session; what goes wrong with it ends the stream. Call it once. */
  begin(request: SessionOpenRequest): void {
    this.#guard(this.#open(request));
  }

  get full(): boolean {
    if (this.#writes.length >= apiBounds.sessionWritesQueuedMax) return true;
    return this.#writes.length > 0 && this.#options.slots.full;
  }

  onRoom(listener: () => void): void {
    this.#onRoom = listener;
  }

  receive(message: SessionMessage): void {
    if (this.#over || this.#inputEnded) return;
    switch (message.kind) {
      case 'write':
        this.#take(message);
        return;
      case 'ping':
        if (this.#pings.length >= apiBounds.sessionPingsQueuedMax) {
          const tooMany = `${this.#pings.length} pings wait for their answers; wait for some before you send more`;
          this.#end(new RollcallError('OVERLOADED', tooMany, { retryAfterMs: apiBounds.overloadedRetryAfterMs }));
          return;
        }
        this.#pings.push(message.pingId);
        this.#renew();
        return;
      default:
        unreachable(message);
    }
  }

  halfClose(): void {
    this.#inputEnded = true;
    this.#work();
  }

  close(): void {
    if (this.#over) return;
    this.#leave();
  }

  /** The member may not speak for its state any more; the session goes on elsewhere. */
  fail(error: RollcallError): void {
    this.#end(error);
  }

  /** Another stream of this session was opened on this member. */
  taken(): void {
    this.#end(taken(this.#sessionId));
  }

  /** What apply says of the session. */
  changed(change: SessionChange): void {
    if (this.#over) return;
    switch (change.kind) {
      case 'attached':
        if (change.attachment > this.#attachment) this.taken();
        return;
      case 'lost':
        this.#lost(change.lost);
        return;
      case 'ended':
        // Its own end is answered by the write that asked for it.
        if (change.end !== 'closed') this.#end(ended(this.#sessionId, change.end));
        return;
      default:
        unreachable(change);
    }
  }

  /** The state was replaced by a later one. What was lost meanwhile is told again, which changes nothing. */
  compare(): void {
    if (this.#over) return;
    const info = this.#options.replica.state.session(this.#sessionId);
    if (info === undefined) this.#end(ended(this.#sessionId, 'unknown'));
    else if (info.attachment > this.#attachment) this.taken();
    else for (const lost of info.lost) this.#lost(lost);
  }

  async #open(request: SessionOpenRequest): Promise<void> {
    const { sessionId, ttlMs, requestId, attachment } = request;
    const body: CommandBody =
      sessionId === 0 ? { kind: 'open-session', ttlMs } : { kind: 'attach-session', sessionId, attachment };
    const result = await this.#execute(body, requestId);
    if (result === undefined) return;
    if (result.kind !== 'session-opened') throw new InvariantError(`${body.kind} answered with ${result.kind}`);
    // What was lost is read from this member's state: it must have applied the attaching.
    if (!(await this.#caughtUp())) return;
    const info = this.#options.replica.state.session(result.sessionId);
    if (info === undefined) {
      this.#end(ended(result.sessionId, 'unknown'));
      return;
    }
    if (info.attachment > result.attachment) {
      this.#end(taken(result.sessionId));
      return;
    }
    // From here on, without a pause since the reading: changes come by `changed`.
    this.#attach(result.attachment, info);
  }

  #attach(attachment: number, info: SessionInfo): void {
    const { sessionId, ttlMs, lastSequence, instances, moreLost } = info;
    this.#sessionId = sessionId;
    this.#attachment = attachment;
    this.#attached = true;
    this.#options.onAttached(sessionId);
    const header = this.#header(this.#options.replica.state.position.revision);
    this.#options.sink.send({ kind: 'opened', header, sessionId, ttlMs, lastSequence, instances, moreLost });
    for (const lost of info.lost) this.#lost(lost);
    this.#renew();
    this.#work();
  }

  async #caughtUp(): Promise<boolean> {
    try {
      await this.#options.replica.readBarrier();
      return !this.#over;
    } catch (error) {
      if (!(error instanceof RollcallError)) throw error;
      this.#end(error);
      return false;
    }
  }

  #take(message: Extract<SessionMessage, { kind: 'write' }>): void {
    let bytes = 0;
    for (const operation of message.operations) {
      bytes += operation.kind === 'deregister' ? operation.reason.length : operation.spec.bytes.length;
    }
    this.#options.slots.addBytes(bytes);
    this.#writes.push({ ...message, bytes });
    this.#work();
  }

  /** Goes on with what waits, unless that is under way already. */
  #work(): void {
    if (this.#writing || this.#over || !this.#attached) return;
    if (this.#writes.length === 0 && !this.#inputEnded) return;
    this.#writing = true;
    this.#guard(this.#carryOut());
  }

  async #carryOut(): Promise<void> {
    while (!this.#over) {
      const [write] = this.#writes;
      if (write === undefined) break;
      await this.#write(write);
      if (this.#over) return;
      this.#writes.shift();
      this.#options.slots.addBytes(-write.bytes);
      if (!this.full) this.#onRoom();
    }
    this.#writing = false;
    if (this.#inputEnded && !this.#over) await this.#closeSession();
  }

  async #write({ sequence, operations }: Write): Promise<void> {
    const body: CommandBody = {
      kind: 'write-session',
      sessionId: this.#sessionId,
      attachment: this.#attachment,
      sequence,
      operations: toOperations(operations),
    };
    const result = await this.#execute(body, '');
    if (result === undefined || this.#over) return;
    if (result.kind !== 'session-written') throw new InvariantError(`${body.kind} answered with ${result.kind}`);
    const results = resultsOf(operations, result.outcomes);
    this.#options.sink.send({ kind: 'written', header: this.#header(result.revision), sequence, results });
  }

  async #closeSession(): Promise<void> {
    const body: CommandBody = {
      kind: 'close-session',
      sessionId: this.#sessionId,
      attachment: this.#attachment,
    };
    const result = await this.#execute(body, '');
    if (result !== undefined) this.#end(undefined);
  }

  /**
   * Carries a command out, again where it was not taken or nobody can tell: all commands of a session may be repeated.
   * Undefined where the stream is over, by this or meanwhile.
   */
  async #execute(body: CommandBody, requestId: string): Promise<CommandResult | undefined> {
    const { clock, replica, slots } = this.#options;
    if (!(await this.#entered())) return undefined;
    const giveUpMs = clock.monotonicMs() + 2 * replica.electionTimeoutMs;
    try {
      for (;;) {
        if (this.#over) return undefined;
        const failure = await this.#executeOnce(body, requestId);
        if (!(failure instanceof RollcallError)) return failure;
        const { field, retryAfterMs } = failure;
        // What apply has refused by a field is for the client to try again, if for anybody.
        if (field !== undefined || retryAfterMs === undefined || clock.monotonicMs() + retryAfterMs >= giveUpMs) {
          if (leaderless.has(failure.reason)) slots.refuseWaiting();
          this.#end(failure);
          return undefined;
        }
        await this.#wait(retryAfterMs);
      }
    } finally {
      slots.leave();
    }
  }

  async #entered(): Promise<boolean> {
    try {
      return await this.#options.slots.enter(this);
    } catch (error) {
      if (!(error instanceof RollcallError)) throw error;
      this.#end(error);
      return false;
    }
  }

  async #executeOnce(body: CommandBody, requestId: string): Promise<CommandResult | RollcallError> {
    const { actor, origin } = this.#options.caller;
    const reason = body.kind === 'close-session' ? 'the session was closed' : '';
    try {
      const result = await this.#options.replica.execute({ actor, origin, reason, requestId, body });
      return result.kind === 'refused' ? this.#refusal(body, result) : result;
    } catch (error) {
      if (error instanceof RollcallError) return error;
      throw error;
    }
  }

  #refusal(body: CommandBody, result: Extract<CommandResult, { kind: 'refused' }>): RollcallError | CommandResult {
    const { reason, message, field } = result;
    // It is gone, as was asked for: perhaps by the first of two tries.
    if (body.kind === 'close-session' && reason === 'UNKNOWN_SESSION') {
      return { kind: 'lease-ended', revision: result.revision, existed: false, instances: 0, remaining: 0 };
    }
    if (over.has(reason)) return new RollcallError(reason, message);
    return new RollcallError(reason, message, {
      ...(field === '' ? {} : { field: field === 'request_id' ? 'open.request_id' : field }),
      ...(reason === 'OVERLOADED' ? { retryAfterMs: apiBounds.overloadedRetryAfterMs } : {}),
    });
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#backOff = undefined;
        resolve();
      };
      this.#backOff = { timer: this.#options.clock.setTimer(ms, wake), wake };
    });
  }

  /** One renewal at a time; pings that arrive during it wait for the next, which begins after them. */
  #renew(): void {
    if (!this.#attached || this.#over || this.#pingsUnderWay > 0 || this.#pings.length === 0) return;
    this.#pingsUnderWay = this.#pings.length;
    this.#options.renewals.renew(this.#sessionId, (status) => this.#renewed(status));
  }

  #renewed(status: RenewalStatus): void {
    if (this.#over) return;
    if (status === 'unknown') {
      this.#end(ended(this.#sessionId, 'unknown'));
      return;
    }
    const answered = this.#pings.splice(0, this.#pingsUnderWay);
    this.#pingsUnderWay = 0;
    for (const pingId of answered) {
      this.#options.sink.send({ kind: 'pong', pingId, renewed: status === 'renewed' });
    }
    this.#renew();
  }

  #lost(lost: LostInstance): void {
    this.#options.sink.send({ kind: 'lost', lost });
  }

  #header(revision: number): Header {
    return { revision, member: this.#options.replica.memberId, consistency: 'linearizable', ageMs: 0 };
  }

  #end(error: RollcallError | undefined): void {
    if (this.#over) return;
    this.#leave();
    this.#options.sink.end(error);
  }

  #leave(): void {
    assert(!this.#over, 'a stream of a session ends twice');
    this.#over = true;
    for (const { bytes } of this.#writes) this.#options.slots.addBytes(-bytes);
    this.#writes = [];
    this.#pings = [];
    this.#options.slots.forget(this);
    this.#backOff?.timer.cancel();
    this.#backOff?.wake();
    this.#options.onOver(this.#sessionId);
  }

  #guard(work: Promise<void>): void {
    work.catch((error: unknown) => this.#options.onFatal(error));
  }
}

function taken(sessionId: number): RollcallError {
  return new RollcallError('SESSION_TAKEN', `another stream goes on with session ${sessionId}`);
}

const ends = {
  expired: 'its time to live ran out',
  revoked: 'its lease was revoked',
  unknown: 'it is not there',
} as const;

function ended(sessionId: number, end: keyof typeof ends): RollcallError {
  const message = `session ${sessionId} has ended: ${ends[end]}; open a new one and register again what is to be there`;
  return new RollcallError('UNKNOWN_SESSION', message, { facts: { end } });
}
