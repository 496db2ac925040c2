import type { Entry, MemberId, Message, Role } from '../../src/raft/types.ts';
import type { ReplicaEvent } from '../../src/replica/events.ts';
import type { ChangeEvent, CommandResult } from '../../src/state-machine/types.ts';

/** Which instance: namespace, service and id, separated by `/`. */
export type KeyText = string;

/** What a client asked for. `value` is drawn once for each spec that is ever sent: what nobody wrote can be told. */
export type Action =
  | {
      readonly kind: 'register';
      readonly key: KeyText;
      readonly value: number;
      /** `new`: a lease of its own. */
      readonly lifetime: 'persistent' | 'new' | 'lease' | 'session';
      /** `lease` and `session`: which. */
      readonly leaseId: number;
      readonly ttlMs: number;
      /** A session's: comes back by itself, over nothing or over its own last incarnation. */
      readonly restore: boolean;
      readonly ifAbsent: boolean;
      /** 0: any. */
      readonly ifIncarnation: number;
    }
  | { readonly kind: 'update'; readonly key: KeyText; readonly value: number; readonly incarnation: number }
  /** `incarnation` 0: whichever is there. */
  | { readonly kind: 'deregister'; readonly key: KeyText; readonly incarnation: number }
  | {
      readonly kind: 'batch';
      readonly keys: readonly KeyText[];
      readonly values: readonly number[];
      /** Of these keys: over nothing alone. */
      readonly absent?: readonly KeyText[];
    }
  | { readonly kind: 'grant'; readonly ttlMs: number }
  | { readonly kind: 'revoke'; readonly leaseId: number }
  /** One renewal, of a lease or of the lease of a session. */
  | { readonly kind: 'renew'; readonly leaseId: number; readonly ttlMs: number }
  | { readonly kind: 'open-session'; readonly ttlMs: number }
  | { readonly kind: 'close-session'; readonly sessionId: number }
  | {
      readonly kind: 'discover';
      readonly service: string;
      readonly consistency: 'linearizable' | 'stale';
      /** 0: none. */
      readonly minRevision: number;
      /** A filter leaves out instances: then only what is in the answer says something. */
      readonly filtered: boolean;
    };

/** An instance as an answer or a watch shows it. */
export interface SeenInstance {
  readonly key: KeyText;
  readonly value: number;
  readonly incarnation: number;
  readonly modifyRevision: number;
  readonly leaseId: number;
}

/** How a call ended for its caller. */
export type Outcome =
  | {
      readonly kind: 'ok';
      /** Of the answer's header. */
      readonly revision: number;
      readonly member: MemberId;
      /** Register: the new incarnation. Update: that which it changed. */
      readonly incarnation?: number;
      readonly replaced?: boolean;
      /** Update: false where it was the same already. */
      readonly changed?: boolean;
      /** Deregister, revoke, close: whether it was there. Renew: whether it was renewed. */
      readonly existed?: boolean;
      readonly leaseId?: number;
      /** Discover. */
      readonly instances?: readonly SeenInstance[];
      readonly ageMs?: number;
      /** Several pages that are no consistent cut. */
      readonly inexact?: boolean;
    }
  /** Refused by what is registered (SUPERSEDED, ALREADY_REGISTERED, ...): read like any answer. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** It certainly had no effect, and has none later. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** It may have taken effect, or may yet. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** One call of a client. Times are of the world's clock, ms. */
export interface Operation {
  readonly number: number;
  /** One process of a client: what it sees never goes back. */
  readonly client: string;
  readonly action: Action;
  readonly startMs: number;
  /** Infinity while it is open. */
  endMs: number;
  outcome: Outcome | undefined;
}

/** What one watch of a client was told, in the order of telling. */
export interface WatchStep {
  /** Unique over the run. */
  readonly watch: number;
  readonly client: string;
  /** `service` '' : all of the namespace that begin with `prefix`. */
  readonly service: string;
  readonly prefix: string;
  /** '' : no filter; otherwise the tag that is asked for. */
  readonly tag: string;
  readonly kind: 'snapshot' | 'delta' | 'reset' | 'progress';
  readonly coalesced: boolean;
  readonly from: number;
  readonly to: number;
  readonly member: MemberId;
  readonly ageMs: number;
  readonly events: readonly (
    | { readonly kind: 'put'; readonly revision: number; readonly instance: SeenInstance; readonly tagged: boolean }
    | { readonly kind: 'delete' | 'leaves'; readonly revision: number; readonly key: KeyText }
  )[];
}

/** A session as its own client sees it. */
export interface HeldBySession {
  /** 0: there is none. */
  readonly sessionId: number;
  readonly state: 'connecting' | 'live' | 'uncertain' | 'ended';
  readonly instances: readonly { readonly key: KeyText; readonly incarnation: number }[];
}

/** Everything that checkers and the story are told, in the order in which it happened. */
export type SimEvent =
  | { readonly kind: 'started'; readonly member: MemberId; readonly life: number }
  | { readonly kind: 'replica'; readonly member: MemberId; readonly life: number; readonly event: ReplicaEvent }
  /** Its hard state and log as found at a start, before anything else. */
  | {
      readonly kind: 'recovered';
      readonly member: MemberId;
      readonly life: number;
      readonly term: number;
      readonly vote: MemberId;
      readonly boot: number;
      readonly baseIndex: number;
      readonly entries: readonly Entry[];
    }
  /** The end of a life. `crash`: with loss of what was not synced. `ended`: it stopped by itself, for a reason. */
  | {
      readonly kind: 'down';
      readonly member: MemberId;
      readonly life: number;
      readonly how: 'crash' | 'kill' | 'stop' | 'ended';
      readonly reason: string;
    }
  /** A message leaves a member. */
  | { readonly kind: 'sent'; readonly from: MemberId; readonly message: Message }
  | {
      readonly kind: 'role';
      readonly member: MemberId;
      readonly life: number;
      readonly term: number;
      readonly role: Role;
      readonly leader: MemberId;
      readonly ownTermCommitted: boolean;
    }
  /** The member learned that this entry is committed. */
  | { readonly kind: 'committed'; readonly member: MemberId; readonly life: number; readonly entry: Entry }
  | {
      readonly kind: 'applied';
      readonly member: MemberId;
      readonly life: number;
      readonly index: number;
      readonly term: number;
      readonly revision: number;
      readonly hash: string;
      readonly data: Uint8Array;
      readonly results: readonly CommandResult[];
      readonly events: readonly ChangeEvent[];
    }
  /** The state came from disk or from a snapshot, as of this index. */
  | {
      readonly kind: 'loaded';
      readonly member: MemberId;
      readonly life: number;
      readonly index: number;
      readonly revision: number;
      readonly hash: string;
    }
  | { readonly kind: 'read-confirmed'; readonly member: MemberId; readonly askedMs: number; readonly index: number }
  | { readonly kind: 'invoked'; readonly operation: Operation }
  | { readonly kind: 'returned'; readonly operation: Operation }
  | { readonly kind: 'watched'; readonly step: WatchStep }
  /** A watch is open (again), from this revision; 0: it begins with a snapshot. */
  | { readonly kind: 'watch-opened'; readonly watch: number; readonly client: string; readonly since: number }
  | { readonly kind: 'watch-ended'; readonly watch: number; readonly reason: string }
  /** A client has been answered: its lease, or that of its session, lives for its time from this sending on. */
  | { readonly kind: 'kept'; readonly client: string; readonly leaseId: number; readonly sinceMs: number }
  /** All is quiet: what a session that goes on believes to hold. */
  | { readonly kind: 'holds'; readonly client: string; readonly held: HeldBySession }
  /** A process of a client is gone, without a word. */
  | { readonly kind: 'client-gone'; readonly client: string }
  | { readonly kind: 'fault'; readonly number: number; readonly name: string; readonly text: string }
  | { readonly kind: 'mended'; readonly number: number; readonly name: string; readonly text: string }
  | { readonly kind: 'phase'; readonly phase: 'form' | 'safety' | 'liveness' | 'end' }
  | { readonly kind: 'note'; readonly text: string }
  /** For a reader of the story alone: what a fault did, once it is known. */
  | { readonly kind: 'detail'; readonly text: string };

/** What an observer may ask of the run. */
export interface RunView {
  /** The world's clock: true time. */
  readonly nowMs: number;
  /** Of the fastest and the slowest clock of all members, against true time. */
  readonly clockRateMax: number;
  readonly clockRateMin: number;
  /** A promise is broken: the run ends. The first one counts. */
  breach(checker: string, text: string): void;
}

/** A checker, or the story: it sees, and touches nothing. */
export interface Observer {
  readonly name: string;
  see(event: SimEvent): void;
  /** All is healed and settled. */
  atEnd?(): void;
}

/** Where clients tell what they do. */
export interface Recorder {
  readonly nowMs: number;
  invoked(client: string, action: Action): Operation;
  returned(operation: Operation, outcome: Outcome): void;
  watched(step: WatchStep): void;
  watchOpened(watch: number, client: string, since: number): void;
  watchEnded(watch: number, reason: string): void;
  /** @param sinceMs When the renewal was sent that was answered. */
  kept(client: string, leaseId: number, sinceMs: number): void;
  holds(client: string, held: HeldBySession): void;
  clientGone(client: string): void;
  /** A new number for a value, a watch. */
  next(what: 'value' | 'watch'): number;
}
