/**
 * One operation of a history on one key. What certainly had no effect (refused before it was proposed, a read that
 * failed) is left out by whoever writes the history.
 */
export interface Operation<Input, Output> {
  /** Who asked; only shown. */
  readonly client: string;
  /** Keys are independent of one another: each is checked by itself. */
  readonly key: string;
  /**
   * When it was asked and when it was answered, on one clock for the whole history: virtual milliseconds, or the number
   * of a line. An operation that begins at the very instant at which another ends overlaps it. The end is Infinity
   * where the outcome is unknown: it may take effect at any time after its start, or never.
   */
  readonly start: number;
  readonly end: number;
  /**
   * With an end of Infinity: it has taken effect by this time or never does, and what begins later comes behind it.
   * Whoever writes the history and knows it saves the search much. Left out: at any time.
   */
  readonly latest?: number;
  readonly input: Input;
  /** undefined exactly where the end is Infinity. */
  readonly output: Output | undefined;
}

/** What one key does when its operations come one after the other. Pure. */
export interface Model<Input, Output, State> {
  initial(): State;
  /**
   * The state after `input` was answered by `output` in `state`; undefined where that cannot be. Without an output: the
   * state after it took effect, and undefined where it can have none.
   *
   * One state comes out. A model in which several may follow lets a state stand for all of them, as the instance model
   * does for an instance whose lease may have ended.
   */
  step(state: State, input: Input, output: Output | undefined): State | undefined;
  /** Equal exactly for equal states. */
  identify(state: State): string | number;
  describe(input: Input, output: Output | undefined): string;
  describeState(state: State): string;
}

/** How much one key may cost before the answer is `unknown`. */
export interface Limits {
  /** Steps of the model: bounds the time. */
  readonly stepsPerKeyMax: number;
  /** Configurations remembered, some 100 bytes each: bounds the memory. They are forgotten after each key. */
  readonly configurationsPerKeyMax: number;
}

export const defaultLimits: Limits = { stepsPerKeyMax: 10_000_000, configurationsPerKeyMax: 2_000_000 };

export interface Effort {
  readonly steps: number;
  readonly configurations: number;
}

export type Verdict<Input, Output, State = unknown> =
  | { readonly ok: true; readonly effort: Effort }
  | {
      readonly ok: false;
      readonly key: string;
      /** The longest order found, from the beginning of the key's history. */
      readonly ordered: readonly Operation<Input, Output>[];
      /** None of these can come next, and one of them would have to. */
      readonly stuck: readonly Operation<Input, Output>[];
      /** Of the model, behind the longest order. */
      readonly state: State;
      /** For a person. */
      readonly text: string;
      readonly effort: Effort;
    }
  | {
      readonly ok: 'unknown';
      /** The first key whose search was given up; no other key was found to be wrong. */
      readonly key: string;
      readonly limit: keyof Limits;
      readonly why: string;
      readonly effort: Effort;
    };

/** A history that cannot be one, whatever the system did: a fault of who wrote it. */
export class HistoryError extends Error {
  override readonly name = 'HistoryError';
}

/** How long an instance that is registered lives. */
export type Lifetime =
  | { readonly kind: 'persistent' }
  /** A lease of its own or one granted before: it may end by itself at any time. */
  | { readonly kind: 'lease' }
  /** That of a session, by any name that is the session's alone. */
  | { readonly kind: 'session'; readonly session: string };

/**
 * What is asked of one instance. `content` is a number from 1 that stands for the bytes of a spec: equal exactly where
 * they are. A batch, or a write of a session, is one operation on each of its keys. The session in an update or
 * deregister is set where it came through its stream.
 */
export type InstanceInput =
  | {
      readonly kind: 'register';
      readonly content: number;
      readonly lifetime: Lifetime;
      readonly condition: RegisterCondition;
    }
  | { readonly kind: 'update'; readonly content: number; readonly incarnation: number; readonly session?: string }
  | { readonly kind: 'deregister'; readonly incarnation: number; readonly session?: string }
  /** A linearizable read, or what a linearizable Discover of the service said of this id. */
  | { readonly kind: 'read' };

export type RegisterCondition =
  /** An explicit start. */
  | { readonly kind: 'none' }
  | { readonly kind: 'if-absent' }
  | { readonly kind: 'if-incarnation'; readonly incarnation: number }
  /** Of a persistent item in a batch. */
  | { readonly kind: 'keep-equal' }
  /** Automatic, through a session; 0: no incarnation of its own. */
  | { readonly kind: 'restore'; readonly ownIncarnation: number };

export type InstanceRefusal = 'ALREADY_REGISTERED' | 'SUPERSEDED' | 'UNKNOWN_INSTANCE';

export type InstanceOutput =
  /** `replaced` is left out where it is not known. */
  | { readonly kind: 'registered'; readonly incarnation: number; readonly replaced?: boolean }
  /** Of keep-equal, and of a restore of what the session holds already. */
  | { readonly kind: 'kept'; readonly incarnation: number }
  | { readonly kind: 'updated'; readonly changed: boolean }
  | { readonly kind: 'deregistered'; readonly existed: boolean }
  /** `incarnation`: of what is there, where the answer says it, 0 for nothing. */
  | { readonly kind: 'refused'; readonly reason: InstanceRefusal; readonly incarnation?: number }
  | { readonly kind: 'absent' }
  | { readonly kind: 'found'; readonly incarnation: number; readonly content: number };

export type InstanceOperation = Operation<InstanceInput, InstanceOutput>;
