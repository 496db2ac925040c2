import { must } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { rollcall } from '../gen/rollcall.js';
import { ClientError } from './client-error.ts';
import { fromHeader, fromKey } from './convert.ts';
import { checkWithin } from './input-checks.ts';
import { clientLimits } from './limits.ts';
import type { OpenSlots } from './open-slots.ts';
import { SessionHoldings } from './session-holdings.ts';
import { SessionLink } from './session-link.ts';
import type { Operation, OperationParts, OperationResult } from './session-operations.ts';
import { checkedName, checkReason, encodedSpec, isInternal } from './session-operations.ts';
import { keyOf, operationOf, prepareRepeat, settle } from './session-operations.ts';
import { SessionQueue } from './session-queue.ts';
import type * as session from './session-types.ts';
import { SessionWrites } from './session-writes.ts';
import type { StreamLanes } from './stream-lanes.ts';
import type { Header, InstanceInput, InstanceKey } from './types.ts';

export interface RegistrySessionOptions {
  readonly session: session.SessionOptions;
  readonly routes: readonly StreamLanes[];
  readonly openSlots: OpenSlots;
  readonly start: number;
  readonly failFast: boolean;
  /** How long `close` may take by default. */
  readonly closeTimeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly onGone: (session: RegistrySession) => void;
}

interface Closing {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: ClientError) => void;
  timer: Timer | undefined;
}

/** How far the instances of a session that ended are back. */
interface Restoring {
  left: number;
  restored: number;
  lost: number;
}

/** What a caller is answered with. */
interface Answer {
  readonly result: OperationResult;
  readonly header: Header;
}

/** What openSession hands out: puts together the stream, what waits to be written, and what the session holds. */
export class RegistrySession implements session.Session {
  readonly #options: RegistrySessionOptions;
  readonly #listener: session.SessionListener;
  readonly #link: SessionLink;
  readonly #queue = new SessionQueue();
  readonly #writes: SessionWrites;
  readonly #holdings: SessionHoldings;
  /** Said to the listener once all is in order again, since it may call the session. */
  #tells: (() => void)[] = [];
  #toldState: session.SessionState = 'connecting';
  /** A session was open before: what it held is asked for when the next one is. */
  #wasOpen = false;
  #restoring: Restoring | undefined;
  #closing: Closing | undefined;
  #ended = false;
  #endError: ClientError | undefined;
  #lastTrouble: ClientError | undefined;

  /** For the client only: use RollcallClient.openSession. */
  constructor(options: RegistrySessionOptions) {
    this.#options = options;
    this.#listener = options.session;
    const { routes, openSlots, start, failFast, clock, random } = options;
    const { ttlMs = clientLimits.sessionTtlMs } = options.session;
    this.#holdings = new SessionHoldings((lost) => this.#later(() => this.#listener.onLost?.(lost)));
    const listener = {
      onOpened: (opened: rollcall.v1.SessionOpened.$Properties, isNew: boolean) => this.#opened(opened, isNew),
      onWritten: (written: rollcall.v1.SessionWritten.$Properties) => this.#written(written),
      onLost: (lost: rollcall.v1.SessionLost.$Properties) => this.#noticed(lost),
      onRefused: (error: ClientError) => this.#writes.refused(error),
      onGone: (error: ClientError) => this.#gone(error),
      onClosed: () => this.#end(undefined),
      onFailed: (error: ClientError) => this.#end(error),
      onTrouble: (error: ClientError) => this.#troubled(error),
      onChange: () => this.#tell(),
    };
    this.#link = new SessionLink({ routes, openSlots, start, ttlMs, failFast, clock, random, listener });
    this.#writes = new SessionWrites({
      queue: this.#queue,
      send: (bytes) => this.#link.send(bytes),
      onRefused: (operation, error) => this.#refused(operation, error),
    });
    this.#link.start();
  }

  get state(): session.SessionState {
    if (this.#ended) return 'ended';
    const { remainingMs } = this;
    if (remainingMs === undefined || this.#restoring !== undefined) return 'connecting';
    return remainingMs > 0 ? 'live' : 'uncertain';
  }

  get sessionId(): number {
    return this.#link.sessionId;
  }

  get size(): number {
    return this.#holdings.size;
  }

  get remainingMs(): number | undefined {
    return this.#link.remainingMs;
  }

  incarnationOf(key: InstanceKey): number | undefined {
    return this.#holdings.incarnationOf(keyOf(checkedName(key)));
  }

  async register(
    instance: InstanceInput,
    options: session.SessionCallOptions = {},
  ): Promise<session.SessionRegistered> {
    const name = checkedName(instance);
    const max = clientLimits.sessionInstancesMax;
    const mayHold = this.#holdings.size + this.#queue.size + this.#writes.underWay.length;
    if (mayHold >= max && this.#holdings.incarnationOf(keyOf(name)) === undefined) {
      const message = `this session may hold ${mayHold} instances, allowed are at most ${max}`;
      throw new ClientError('RESOURCE_EXHAUSTED', 'TOO_MANY', message);
    }
    const { result, header } = await this.#call({ kind: 'register', name, spec: encodedSpec(instance) }, options);
    return { header, incarnation: result.incarnation, replaced: result.status === 'replaced' };
  }

  async update(instance: InstanceInput, options: session.SessionCallOptions = {}): Promise<session.SessionUpdated> {
    const parts = { kind: 'update', name: checkedName(instance), spec: encodedSpec(instance) } as const;
    const { result, header } = await this.#call(parts, options);
    return { header, incarnation: result.incarnation, changed: result.status === 'updated' };
  }

  async deregister(
    key: InstanceKey,
    options: session.SessionDeregisterOptions = {},
  ): Promise<session.SessionDeregistered> {
    const { reason = '' } = options;
    checkReason(reason);
    const { result, header } = await this.#call({ kind: 'deregister', name: checkedName(key), reason }, options);
    return { header, existed: result.status === 'deregistered' };
  }

  async close({ timeoutMs = this.#options.closeTimeoutMs }: session.SessionCallOptions = {}): Promise<void> {
    checkWithin('timeoutMs', timeoutMs, 1, clientLimits.callTimeoutMsMax);
    if (this.#ended) return;
    if (this.#closing !== undefined) {
      await this.#closing.promise;
      return;
    }
    // What would be restored only to be removed need not come back; nothing is held where no session is open.
    this.#dropInternal();
    if (this.#link.sessionId === 0) {
      this.#end(undefined);
      return;
    }
    const closing = (this.#closing = newClosing());
    closing.timer = this.#options.clock.setTimer(timeoutMs, () => {
      closing.reject(this.#timeoutError(timeoutMs, true));
      this.#end(undefined);
    });
    this.#pump();
    await closing.promise;
  }

  abandon(): void {
    this.#closing?.reject(ClientError.closed('the session'));
    this.#end(undefined);
  }

  #call(parts: OperationParts, { timeoutMs }: session.SessionCallOptions): Promise<Answer> {
    if (timeoutMs !== undefined) checkWithin('timeoutMs', timeoutMs, 1, clientLimits.callTimeoutMsMax);
    if (this.#ended || this.#closing !== undefined) throw this.#endError ?? ClientError.closed('the session');
    return new Promise((resolve, reject) => {
      const onOutcome = (outcome: Answer | ClientError): void => {
        const error = outcome instanceof ClientError ? outcome : refusalOf(operation, outcome.result);
        if (error !== undefined) reject(error);
        else if (!(outcome instanceof ClientError)) resolve(outcome);
      };
      const operation = operationOf({ ...parts, onOutcome });
      this.#queue.assertRoom(operation.bytes.length, this.#writes.underWay.length);
      this.#queue.push(operation);
      if (timeoutMs !== undefined) {
        operation.timer = this.#options.clock.setTimer(timeoutMs, () => this.#timedOut(operation, timeoutMs));
      }
      // Calls made one after the other go in one write.
      if (this.#queue.size === 1) queueMicrotask(() => this.#pump());
    });
  }

  /** Sends what waits, as far as nothing is under way; behind the last of it, the end. */
  #pump(): void {
    if (this.#ended || !this.#link.isOpen || this.#writes.next()) return;
    if (this.#closing !== undefined) this.#link.halfClose();
  }

  #opened(opened: rollcall.v1.SessionOpened.$Properties, isNew: boolean): string | undefined {
    const lastSequence = opened.lastSequence ?? 0;
    if (isNew) {
      if (lastSequence !== 0) return `write ${lastSequence} as the last one of a new session`;
      this.#restore();
    } else {
      const breach = this.#writes.resume(lastSequence);
      if (breach !== undefined) return breach;
      if (opened.moreLost === true) this.#queue.unshift(this.#holdings.verifyAll());
    }
    this.#lastTrouble = undefined;
    this.#pump();
    return undefined;
  }

  /** Asks for what the session before held, unless the caller has decided otherwise meanwhile. */
  #restore(): void {
    if (!this.#wasOpen) {
      this.#wasOpen = true;
      return;
    }
    const operations = this.#holdings.restoreAll((key) => {
      const first = this.#queue.first(key);
      return first !== undefined && first.kind !== 'update';
    });
    this.#queue.unshift(operations);
    this.#restoring = { left: operations.length, restored: 0, lost: 0 };
    this.#restoredOne(undefined);
  }

  #restoredOne(isBack: boolean | undefined): void {
    const restoring = this.#restoring;
    if (restoring === undefined) return;
    if (isBack !== undefined) restoring.left -= 1;
    if (isBack === true) restoring.restored += 1;
    if (isBack === false) restoring.lost += 1;
    if (restoring.left > 0) return;
    this.#restoring = undefined;
    const { restored: instances, lost } = restoring;
    this.#later(() => this.#listener.onRestored?.({ instances, lost }));
  }

  #written(written: rollcall.v1.SessionWritten.$Properties): string | undefined {
    const answers = this.#writes.answered(written);
    if (typeof answers === 'string') return answers;
    const header = fromHeader(written.header);
    for (const [operation, result] of answers) {
      this.#holdings.take(operation, result);
      if (operation.kind === 'restore') this.#restoredOne(result.status !== 'refused');
      settle(operation, { result, header });
    }
    this.#queue.unshift(this.#holdings.answered());
    this.#pump();
    return undefined;
  }

  #noticed({ key, incarnation }: rollcall.v1.SessionLost.$Properties): void {
    const notice = { name: fromKey(key), incarnation: incarnation ?? 0 };
    this.#queue.unshift(this.#holdings.notice(notice, this.#writes.underWay));
    this.#pump();
  }

  #refused(operation: Operation, error: ClientError): void {
    settle(operation, error);
    if (operation.kind !== 'restore') return;
    this.#holdings.drop(operation);
    this.#restoredOne(false);
  }

  /** The session has ended: unless that was wanted, everything goes on in a new one. */
  #gone(error: ClientError): void {
    if (this.#closing !== undefined) {
      this.#end(undefined);
      return;
    }
    if (this.#options.session.restore === false) {
      this.#end(error);
      return;
    }
    this.#troubled(error);
    const sent = this.#writes.takeBack().filter((operation) => !isInternal(operation) && !operation.settled);
    for (const operation of sent) prepareRepeat(operation, this.#holdings.incarnationOf(operation.key) ?? 0);
    this.#dropInternal();
    this.#queue.unshift(sent);
    this.#restoring = undefined;
  }

  #dropInternal(): void {
    this.#queue.unshift(this.#queue.clear().filter((operation) => !isInternal(operation)));
    this.#restoring = undefined;
  }

  #troubled(error: ClientError): void {
    this.#lastTrouble = error;
    this.#later(() => this.#listener.onTrouble?.(error));
  }

  #timedOut(operation: Operation, timeoutMs: number): void {
    const waited = this.#queue.remove(operation);
    settle(operation, this.#timeoutError(timeoutMs, operation.sent || !waited));
  }

  #timeoutError(timeoutMs: number, mayHaveApplied: boolean): ClientError {
    const trouble = this.#link.isOpen ? undefined : this.#lastTrouble;
    const message = `no answer within ${timeoutMs} ms${trouble === undefined ? '' : `: ${trouble.message}`}`;
    const code = trouble === undefined ? 'DEADLINE_EXCEEDED' : trouble.code;
    return new ClientError(code, trouble?.reason ?? 'TIMEOUT', message, { address: trouble?.address, mayHaveApplied });
  }

  #later(tell: () => void): void {
    this.#tells.push(tell);
  }

  #tell(): void {
    while (this.#tells.length > 0) {
      const tells = this.#tells;
      this.#tells = [];
      for (const tell of tells) tell();
    }
    const { state } = this;
    if (state === this.#toldState) return;
    this.#toldState = state;
    this.#listener.onState?.(state);
  }

  #end(error: ClientError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#endError = error;
    this.#link.stop();
    const cause = error ?? ClientError.closed('the session');
    for (const operation of [...this.#writes.takeBack(), ...this.#queue.clear()]) {
      settle(operation, withOutcome(cause, operation.sent));
    }
    this.#holdings.clear();
    this.#restoring = undefined;
    const closing = this.#closing;
    closing?.timer?.cancel();
    if (error === undefined) closing?.resolve();
    else closing?.reject(error);
    this.#options.onGone(this);
    this.#tell();
    this.#listener.onEnded?.(error);
  }
}

/** Undefined for what was not refused. */
function refusalOf({ repeated, kind, key }: Operation, result: OperationResult): ClientError | undefined {
  if (result.status !== 'refused') return undefined;
  const { errorReason, errorMessage } = result;
  const message = errorMessage === '' ? `${kind} of ${key} was refused` : errorMessage;
  return withOutcome(ClientError.ofReason(undefined, errorReason, message), repeated);
}

function withOutcome(error: ClientError, mayHaveApplied: boolean): ClientError {
  const { code, reason, message, field, retryAfterMs, address } = error;
  return new ClientError(code, reason, message, { field, retryAfterMs, address, mayHaveApplied, cause: error });
}

function newClosing(): Closing {
  let settleWith: Pick<Closing, 'resolve' | 'reject'> | undefined;
  const promise = new Promise<void>((resolve, reject) => {
    settleWith = { resolve, reject };
  });
  return { promise, ...must(settleWith, 'executor of a promise'), timer: undefined };
}
