import type { ClientError } from './client-error.ts';
import type { Header, InstanceInput, InstanceKey } from './types.ts';

/**
 * - `connecting`: no session is there yet, or the one before has ended and a new one is being opened.
 * - `live`: what was registered is there, as far as it is not told as lost, also while the stream is being opened anew.
 * - `uncertain`: the time to live has run out since the last acknowledged sign of life was sent, so the members may
 *   have removed everything. Goes on to `live` or, where they have, to `connecting`.
 * - `ended`: closed, abandoned or failed; nothing more happens.
 */
export type SessionState = 'connecting' | 'live' | 'uncertain' | 'ended';

/**
 * Why an instance is not the session's any more: another has registered the id, somebody else has deregistered it, or
 * it was not to be had back after the session before had ended.
 */
export type LostCause = 'superseded' | 'deregistered' | 'not-restored';

export interface LostInstance {
  readonly key: Required<InstanceKey>;
  readonly cause: LostCause;
  /** The incarnation that is there now; 0 where none is, or it is not known. */
  readonly incarnation: number;
}

/** A new session holds again what the one before held. */
export interface Restored {
  /** Restored; those that were not are told as lost. */
  readonly instances: number;
  readonly lost: number;
}

/** What a session tells. Listeners must not throw; they may call the session. */
export interface SessionListener {
  readonly onState?: (state: SessionState) => void;
  /** An instance is lost. It is never registered again but by `register`. */
  readonly onLost?: (lost: LostInstance) => void;
  /** The session had ended while it was cut off, and everything it held was asked for again. */
  readonly onRestored?: (restored: Restored) => void;
  /** The stream broke or a member could not serve; the session goes on by itself, on another member where it can. */
  readonly onTrouble?: (error: ClientError) => void;
  /** Called once: `undefined` after `close` and `abandon`, otherwise why the session cannot go on. */
  readonly onEnded?: (error: ClientError | undefined) => void;
}

export interface SessionOptions extends SessionListener {
  /** How long the instances stay without a sign of life, 1,000 to 86,400,000; default 10,000. */
  readonly ttlMs?: number;
  /**
   * Where the session has ended while it was cut off: register again what it held, over nothing or over its own
   * incarnations alone. False: it ends, with UNKNOWN_SESSION. Default true.
   */
  readonly restore?: boolean;
}

export interface SessionCallOptions {
  /** Reject with TIMEOUT after this; 1 to 600,000. Default: wait as long as the session goes on. */
  readonly timeoutMs?: number;
}

export interface SessionRegistered {
  readonly header: Header;
  readonly incarnation: number;
  /** An instance with this id was there and has been taken over. */
  readonly replaced: boolean;
}

export interface SessionUpdated {
  readonly header: Header;
  readonly incarnation: number;
  /** False: the content was the same already. */
  readonly changed: boolean;
}

export interface SessionDeregisterOptions extends SessionCallOptions {
  /** Kept with the change; at most 256 bytes. */
  readonly reason?: string;
}

export interface SessionDeregistered {
  readonly header: Header;
  readonly existed: boolean;
}

/**
 * Keeps instances of one process registered over one stream: registers, changes and removes them, gives signs of life,
 * moves to another member when its own fails, and takes up a session that went on, or restores one that ended.
 *
 * Calls may run at the same time; those of one instance are carried out in the order made, and many go in one message.
 * Each rejects with ClientError and nothing else: what the member refuses, TOO_MANY where too much waits here already,
 * CLOSED, TIMEOUT, or what ended the session. `mayHaveApplied` says that it may have been carried out all the same.
 */
export interface Session {
  readonly state: SessionState;
  /** Also the lease of its instances; 0 until the first answer of a member, and while a new one is being opened. */
  readonly sessionId: number;
  /** Instances that it holds, as far as members have told. */
  readonly size: number;
  /**
   * How long the session lives for certain, ms, counted from the sending of the last acknowledged sign of life. 0 or
   * less: it may have ended. Undefined: there is none.
   */
  readonly remainingMs: number | undefined;
  /** Incarnation of an instance that it holds. */
  incarnationOf(key: InstanceKey): number | undefined;
  /** Registers an instance, or takes its id over. Acknowledged means: on a majority of disks. */
  register(instance: InstanceInput, options?: SessionCallOptions): Promise<SessionRegistered>;
  /** Replaces the content of an instance of this session; SUPERSEDED or UNKNOWN_INSTANCE where it is not this one's. */
  update(instance: InstanceInput, options?: SessionCallOptions): Promise<SessionUpdated>;
  /** Removes an instance of this session; OK with `existed: false` where it is absent. */
  deregister(key: InstanceKey, options?: SessionDeregisterOptions): Promise<SessionDeregistered>;
  /**
   * Carries out what was asked before, deregisters all that the session holds, and resolves once that is acknowledged.
   * Rejects with TIMEOUT after `timeoutMs` (default: the `callTimeoutMs` of the client); what is left goes away by
   * itself when the time to live has run out.
   */
  close(options?: SessionCallOptions): Promise<void>;
  /** Leaves at once: nothing is deregistered, and everything goes away when the time to live has run out. */
  abandon(): void;
}
