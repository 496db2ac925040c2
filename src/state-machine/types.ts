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
  | { readonly kind: 'reap-lease'; readonly leaseId: number };

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
  /** Refused: no change, no revision. `reason` is one of the closed list of base/errors.ts. */
  | {
      readonly kind: 'refused';
      readonly revision: number;
      readonly reason: RefusalReason;
      readonly message: string;
      readonly field: string;
    };

/** Why a command was refused, of the closed list in base/errors.ts. */
export type RefusalReason =
  | 'ALREADY_REGISTERED'
  | 'SUPERSEDED'
  | 'UNKNOWN_INSTANCE'
  | 'UNKNOWN_LEASE'
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
    }
  | {
      readonly kind: 'delete';
      readonly revision: number;
      readonly name: InstanceName;
      readonly incarnation: number;
      readonly cause: RemovalCause;
      readonly reason: string;
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
}

export type LeaseChange =
  | { readonly kind: 'live'; readonly leaseId: number; readonly epoch: number; readonly ttlMs: number }
  | { readonly kind: 'ended'; readonly leaseId: number; readonly remaining: number };

export const stateMachineBounds = {
  eventsPerRevisionMax: 1_000,
  requestIdTtlMs: 60_000,
  requestIdsMax: 1_000_000,
  historyRevisionsMax: 100_000,
  historyBytesMax: 64 * 1024 * 1024,
} as const satisfies Record<string, number>;

/** The same on every member, or their states part: only tests take others. */
export type StateMachineBounds = { readonly [Name in keyof typeof stateMachineBounds]: number };
