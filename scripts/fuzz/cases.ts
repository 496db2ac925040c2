import type { Draw } from './draw.ts';
import type { FuzzConnection } from './connection.ts';
import type { Verdict } from './judge.ts';
import type { FuzzMethod, FuzzMethods } from './proto-methods.ts';

/** Ports of one member on 127.0.0.1. */
export interface Target {
  readonly client: number;
  readonly peer: number;
  readonly http: number;
}

/** A request that is kept because it once mattered, or because it stands at an edge. */
export interface CorpusEntry {
  readonly name: string;
  /** As in the proto file. */
  readonly method: string;
  /** What the one stream or call sends; unary calls have one. */
  readonly messages: readonly Uint8Array[];
}

/** What cases are sent to. */
export interface World {
  readonly targets: readonly Target[];
  readonly methods: FuzzMethods;
  readonly corpus: readonly CorpusEntry[];
  /** Kept connections: every call on them ends with a status. */
  kept(target: Target): FuzzConnection;
  /** Kept connections for calls that may be left. */
  left(target: Target): FuzzConnection;
  /** Kept connections to the peer port. */
  peer(target: Target): FuzzConnection;
}

/** One case, made of the draws of its number; `run` sends it. */
export interface FuzzCase {
  readonly kind: string;
  readonly method: string;
  /** Messages that are sent; each counts as a request. */
  readonly requests: number;
  /** The bytes, for whoever replays it. */
  readonly sent: readonly Uint8Array[];
  run(): Promise<Verdict>;
}

export interface CaseKind {
  readonly name: string;
  readonly weight: number;
  make(world: World, draw: Draw): FuzzCase;
}

export function targetOf(world: World, draw: Draw): Target {
  return draw.pick(world.targets);
}

export function unaryMethods(methods: readonly FuzzMethod[]): FuzzMethod[] {
  return methods.filter(({ requestStream, responseStream }) => !requestStream && !responseStream);
}

export function streamMethods(methods: readonly FuzzMethod[]): FuzzMethod[] {
  return methods.filter(({ requestStream, responseStream }) => requestStream || responseStream);
}
