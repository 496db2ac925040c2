/**
 * What goes into the state machine (commands in batches, one batch an entry) and what comes out of it (results for the
 * callers, changes for the watchers).
 */

export interface InstanceName {
  readonly namespace: string;
  readonly service: string;
  readonly id: string;
}

/** How an instance's life is bounded, as asked for at registration. */
export type Lifetime =
  | { readonly kind: 'ttl'; readonly ttlMs: number }
  | { readonly kind: 'lease'; readonly leaseId: number }
  | { readonly kind: 'persistent' };

export type CommandBody =
  | {
      readonly kind: 'register';
      readonly name: InstanceName;
      /** The client's bytes, checked at the API; never decoded here. */
      readonly spec: Uint8Array;
      readonly lifetime: Lifetime;
      readonly ifAbsent: boolean;
      /** 0: no condition. */
      readonly ifIncarnation: number;
    }
  | { readonly kind: 'update'; readonly name: InstanceName; readonly spec: Uint8Array; readonly incarnation: number }
  | { readonly kind: 'deregister'; readonly name: InstanceName; readonly incarnation: number }
  | { readonly kind: 'grant-lease'; readonly ttlMs: number }
  | { readonly kind: 'revoke-lease'; readonly leaseId: number }
  /** Void where the lease's epoch or the entry's term is another. */
  | { readonly kind: 'expire-lease'; readonly leaseId: number; readonly epoch: number; readonly term: number }
  /** Removes further instances of a lease that ended with more than one revision may remove. */
  | { readonly kind: 'reap-lease'; readonly leaseId: number }
  /** All or nothing, one revision; no two items with one name. */
  | { readonly kind: 'batch-register'; readonly lifetime: Lifetime; readonly items: readonly BatchItem[] }
  /** A session is a lease with a record of its writes: its id is the lease's. */
  | { readonly kind: 'open-session'; readonly ttlMs: number }
  /**
   * A new stream goes on with the session; what earlier streams of it still bring is refused from now on.
   * `attachment` counts the streams of the session, as its client does; open-session is 1. One higher than the present
   * takes the session over (and raises the lease's epoch), the present one is a repeat and answered again without a
   * change, a lower one came late and is refused with SESSION_TAKEN.
   */
  | { readonly kind: 'attach-session'; readonly sessionId: number; readonly attachment: number }
  | {
      readonly kind: 'write-session';
      readonly sessionId: number;
      readonly attachment: number;
      /** The last one's plus 1; the last one itself is answered from its stored result; lower ones are refused. */
      readonly sequence: number;
      /** 1 to `operationsPerWriteMax`, no two of one name. */
      readonly operations: readonly SessionOperation[];
    }
  /** Ends the session and removes what it holds; void for any attachment but the present one. */
  | { readonly kind: 'close-session'; readonly sessionId: number; readonly attachment: number };

export interface BatchItem {
  readonly name: InstanceName;
  readonly spec: Uint8Array;
  readonly ifAbsent: boolean;
  /** 0: no condition. */
  readonly ifIncarnation: number;
  /** Only with a persistent lifetime: a persistent instance with this very spec stays as it is. */
  readonly keepEqual: boolean;
}

export type SessionOperation =
  | {
      readonly kind: 'register';
      readonly name: InstanceName;
      readonly spec: Uint8Array;
      /**
       * False: an explicit start, over whatever is there. True: only over nothing that this session has not lost, or
       * over `ownIncarnation`.
       */
      readonly restore: boolean;
      /** 0: none. */
      readonly ownIncarnation: number;
    }
  /** `incarnation` 0: the one that this session holds. */
  | { readonly kind: 'update'; readonly name: InstanceName; readonly spec: Uint8Array; readonly incarnation: number }
  | { readonly kind: 'deregister'; readonly name: InstanceName; readonly incarnation: number; readonly reason: string };

export type CommandKind = CommandBody['kind'];

/** One change with who, from where and why. */
export interface Command {
  /** Who: identity of the caller; 'anonymous' until there is authentication, 'system' for the member itself. */
  readonly actor: string;
  /** From where: the caller's address as the member saw it, or the member id. */
  readonly origin: string;
  /** Why: free text of the caller, at most 256 bytes. */
  readonly reason: string;
  /** '' where none. Remembered for `requestIdTtlMs` of replicated time. */
  readonly requestId: string;
  readonly body: CommandBody;
}

/** What a write answers; encoded, kept for repeats, and handed back from the leader to the member that was called. */
export type CommandResult =
  | {
      readonly kind: 'registered';
      readonly revision: number;
      readonly incarnation: number;
      readonly leaseId: number;
      readonly ttlMs: number;
      readonly replaced: boolean;
    }
  | { readonly kind: 'updated'; readonly revision: number; readonly changed: boolean }
  | { readonly kind: 'deregistered'; readonly revision: number; readonly existed: boolean }
  | { readonly kind: 'lease-granted'; readonly revision: number; readonly leaseId: number; readonly ttlMs: number }
  | {
      readonly kind: 'lease-ended';
      readonly revision: number;
      readonly existed: boolean;
      /** Held when the lease ended; of a reap-lease: removed by this command. */
      readonly instances: number;
      /** Instances still to be removed by reap-lease. */
      readonly remaining: number;
    }
  | {
      readonly kind: 'batch-registered';
      readonly revision: number;
      readonly leaseId: number;
      readonly ttlMs: number;
      /** One an item, in order. */
      readonly items: readonly BatchOutcome[];
    }
  /** Of open-session and attach-session. */
  | {
      readonly kind: 'session-opened';
      readonly revision: number;
      readonly sessionId: number;
      readonly ttlMs: number;
      readonly attachment: number;
      readonly lastSequence: number;
    }
  | {
      readonly kind: 'session-written';
      readonly revision: number;
      readonly sequence: number;
      /** One an operation, in order. */
      readonly outcomes: readonly SessionOutcome[];
    }
  /** Refused: no change, no revision. `reason` is one of the closed list of base/errors.ts. */
  | {
      readonly kind: 'refused';
      readonly revision: number;
      readonly reason: RefusalReason;
      readonly message: string;
      readonly field: string;
    };

export interface BatchOutcome {
  readonly status: 'registered' | 'replaced' | 'kept';
  readonly incarnation: number;
}

export interface SessionOutcome {
  readonly status: 'registered' | 'replaced' | 'updated' | 'unchanged' | 'deregistered' | 'absent' | 'refused';
  /** Of the instance that is there now; 0: none. */
  readonly incarnation: number;
  /** Where it was refused: SUPERSEDED or UNKNOWN_INSTANCE. The text is made from this and the operation, not kept. */
  readonly reason: RefusalReason | '';
}

/** Why a command was refused, of the closed list in base/errors.ts. */
export type RefusalReason =
  | 'ALREADY_REGISTERED'
  | 'SUPERSEDED'
  | 'UNKNOWN_INSTANCE'
  | 'UNKNOWN_LEASE'
  | 'UNKNOWN_SESSION'
  | 'SESSION_TAKEN'
  | 'INVALID_FIELD'
  | 'REQUEST_ID_REUSED'
  | 'OVERLOADED';

/** One instance that changed at one revision. */
export type ChangeEvent =
  | {
      readonly kind: 'put';
      readonly revision: number;
      readonly name: InstanceName;
      /** Encoded InstanceView: {spec, meta}. Kept bytes: not to be changed. */
      readonly view: Uint8Array;
      /** What was there before, for those who must know whether it mattered to them; undefined: nothing. */
      readonly before: Uint8Array | undefined;
    }
  | {
      readonly kind: 'delete';
      readonly revision: number;
      readonly name: InstanceName;
      readonly incarnation: number;
      readonly cause: RemovalCause;
      readonly reason: string;
      /** What was removed. */
      readonly before: Uint8Array;
    };

export type RemovalCause = 'deregistered' | 'lease-expired' | 'lease-revoked';

/** What one entry did. */
export interface ApplyOutcome {
  /** One a command, in order. */
  readonly results: readonly CommandResult[];
  /** In order; all events of one revision are next to each other, at most `eventsPerRevisionMax` of them. */
  readonly events: readonly ChangeEvent[];
  /** Leases whose deadline the leader must (re)set or drop. */
  readonly leases: readonly LeaseChange[];
  /** What streams of sessions must be told. In order. */
  readonly sessions: readonly SessionChange[];
}

export type SessionChange =
  /** Streams of lower attachments are over. */
  | { readonly kind: 'attached'; readonly sessionId: number; readonly attachment: number }
  | { readonly kind: 'lost'; readonly sessionId: number; readonly lost: LostInstance }
  | { readonly kind: 'ended'; readonly sessionId: number; readonly end: 'closed' | 'expired' | 'revoked' };

/** An instance that a session held, and that another took over or removed. The session never restores it. */
export interface LostInstance {
  readonly name: InstanceName;
  readonly cause: 'superseded' | 'deregistered';
  /** Superseded: the incarnation that took over. Otherwise 0. */
  readonly incarnation: number;
}

export type LeaseChange =
  | { readonly kind: 'live'; readonly leaseId: number; readonly epoch: number; readonly ttlMs: number }
  | { readonly kind: 'ended'; readonly leaseId: number; readonly remaining: number };

export const stateMachineBounds = {
  eventsPerRevisionMax: 1_000,
  /** Remembered a session; above it nothing can be restored over nothing, since it may be one of those forgotten. */
  lostPerSessionMax: 1_000,
  requestIdTtlMs: 60_000,
  requestIdsMax: 1_000_000,
  historyRevisionsMax: 100_000,
  historyBytesMax: 64 * 1024 * 1024,
} as const satisfies Record<string, number>;

/** The same on every member, or their states part: only tests take others. */
export type StateMachineBounds = { readonly [Name in keyof typeof stateMachineBounds]: number };
