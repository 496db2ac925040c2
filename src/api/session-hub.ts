import type { Clock } from '../base/clock.ts';
import { RollcallError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Replica } from '../replica/types.ts';
import type { SessionChange } from '../state-machine/types.ts';
import { apiBounds } from './bounds.ts';
import { HubSession } from './session-call.ts';
import { SessionRenewals } from './session-renewals.ts';
import { SessionSlots } from './session-slots.ts';
import type { Caller, SessionCall, SessionOpenRequest, SessionSink } from './types.ts';

const openIdBytes = 16;

export interface SessionHubOptions {
  readonly replica: Replica;
  readonly clock: Clock;
  readonly random: Random;
  /** A broken invariant in what runs by itself: the owner ends the process. */
  readonly onFatal: (error: unknown) => void;
  /** Default 50,000. */
  readonly streamsMax?: number;
}

/**
 * The streams of sessions that are open on one member. What apply says of a session goes to its stream here, if it has
 * one; a session whose stream is elsewhere, or nowhere, is none of this member's business.
 */
export class SessionHub {
  readonly #options: SessionHubOptions;
  readonly #renewals: SessionRenewals;
  readonly #slots = new SessionSlots();
  readonly #streams = new Set<HubSession>();
  /** Those that are attached; of two streams of one session the later one. */
  readonly #attached = new Map<number, HubSession>();

  constructor(options: SessionHubOptions) {
    this.#options = options;
    const { replica, clock } = options;
    this.#renewals = new SessionRenewals(replica, clock);
    replica.onApplied(({ sessions }) => this.#tell(sessions));
    replica.onReplaced(() => this.#compare());
  }

  /** Streams that are open, attached or not yet. */
  get streams(): number {
    return this.#streams.size;
  }

  /** @throws RollcallError OVERLOADED above `streamsMax` */
  open(request: SessionOpenRequest, sink: SessionSink, caller: Caller): SessionCall {
    const { streamsMax = apiBounds.sessionStreamsMax } = this.#options;
    if (this.#streams.size >= streamsMax) {
      const message = `${streamsMax} sessions are open on this member, which is the most; use another member`;
      throw new RollcallError('OVERLOADED', message, { retryAfterMs: apiBounds.overloadedRetryAfterMs });
    }
    const session = new HubSession({
      replica: this.#options.replica,
      clock: this.#options.clock,
      renewals: this.#renewals,
      slots: this.#slots,
      sink,
      caller,
      onAttached: (sessionId) => {
        this.#attached.get(sessionId)?.taken();
        this.#attached.set(sessionId, session);
      },
      onOver: (sessionId) => {
        this.#streams.delete(session);
        if (this.#attached.get(sessionId) === session) this.#attached.delete(sessionId);
      },
      onFatal: this.#options.onFatal,
    });
    this.#streams.add(session);
    // An open that nobody can tell the outcome of is tried again: without an id it could leave a second session behind.
    const { requestId } = request;
    const own = Buffer.from(this.#options.random.bytes('session-open', openIdBytes)).toString('hex');
    session.begin(requestId === '' && request.sessionId === 0 ? { ...request, requestId: own } : request);
    return session;
  }

  #tell(changes: readonly SessionChange[]): void {
    if (!this.#mayTell()) return;
    for (const change of changes) this.#attached.get(change.sessionId)?.changed(change);
  }

  /** The state was replaced as a whole: what was said in between is not known. */
  #compare(): void {
    if (!this.#mayTell()) return;
    for (const session of this.#attached.values()) session.compare();
  }

  /**
   * A member that found its state outside the majority goes on applying: what it sees of sessions may be as wrong as
   * that state. Their streams end, so that their clients go on elsewhere, where nothing is lost.
   */
  #mayTell(): boolean {
    try {
      this.#options.replica.assertServing();
      return true;
    } catch (error) {
      if (!(error instanceof RollcallError)) throw error;
      for (const session of this.#attached.values()) session.fail(error);
      return false;
    }
  }
}
