import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { RaftCore } from '../../../src/raft/raft-core.ts';

/**
 * The core as the explorer needs it: the very source of src/raft, in a copy in which private names are spelled
 * `_name` instead of `#name`. So a core can be copied and compared in full, a field that is added later included, and
 * src/ needs no view for debugging. That the copy behaves as the original does is not believed: paths found with it are
 * replayed on the untouched core and compared.
 */
export interface Glass {
  readonly Core: typeof RaftCore;
}

const sourceRoot = join(import.meta.dirname, '../../../src');

let loading: Promise<Glass> | undefined;

/** Writes the copy to a temporary directory, loads it and removes it again; once in a process. */
export function loadGlass(): Promise<Glass> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Glass> {
  const directory = mkdtempSync(join(tmpdir(), 'rollcall-glass-'));
  try {
    // Without it the files would be loaded as CommonJS.
    writeFileSync(join(directory, 'package.json'), '{"type":"module"}\n');
    for (const folder of ['base', 'raft']) openFolder(join(sourceRoot, folder), join(directory, folder));
    const loaded: unknown = await import(pathToFileURL(join(directory, 'raft/raft-core.ts')).href);
    return { Core: (loaded as { readonly RaftCore: typeof RaftCore }).RaftCore };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function openFolder(from: string, to: string): void {
  mkdirSync(to);
  for (const name of readdirSync(from)) {
    if (!name.endsWith('.ts')) {
      cpSync(join(from, name), join(to, name), { recursive: true });
      continue;
    }
    writeFileSync(join(to, name), opened(readFileSync(join(from, name), 'utf8')));
  }
}

/** A private name is `#` before a letter; a word like that in a comment or message is changed as well, to no harm. */
function opened(source: string): string {
  return source.replaceAll(/#([A-Za-z])/g, '_$1');
}

/** What is never changed after it was made, and hence shared between a core and its copies. */
function isShared(value: object): boolean {
  return value instanceof Uint8Array || 'data' in value || 'fromBoot' in value || 'voters' in value;
}

/** A copy of a core (or of any part) that has nothing in common with it but what is never changed. */
export function copyOf<T>(value: T): T {
  return copied(value) as T;
}

function copied(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copied);
  if (value instanceof Map) return new Map([...value].map(([key, held]) => [key, copied(held)]));
  if (value instanceof Set) return new Set(value);
  if (isShared(value)) return value;
  const made = Object.create(Object.getPrototypeOf(value) as object) as Record<string, unknown>;
  const fields = value as Record<string, unknown>;
  for (const name in fields) made[name] = copied(fields[name]);
  return made;
}

/**
 * Text of everything in a core that its future depends on; equal for two cores only if the same calls will make both
 * do the same. Counters of which only differences matter are given as differences, so that two ways to the same place
 * meet: ticks, sequence numbers of persist steps, versions of the hard state.
 */
export function fingerprintOf(core: RaftCore): string {
  const state = (core as unknown as { readonly _core: GlassState })._core;
  const { ticks, durability } = state;
  const zeros: Zeros = { ticks, hardVersion: durability._durableHardVersion, sequence: durability._sequence };
  const out: string[] = [];
  put(out, '', core, zeros);
  return out.join('');
}

/** Ticks since a follower last heard its leader; decides whether it doubts it. */
export function elapsedTicksOf(core: RaftCore): number {
  return (core as unknown as { readonly _core: GlassState })._core.electionElapsedTicks;
}

/** The few private fields that are named here. */
interface GlassState {
  readonly ticks: number;
  readonly electionElapsedTicks: number;
  readonly durability: { readonly _durableHardVersion: number; readonly _sequence: number };
}

interface Zeros {
  readonly ticks: number;
  readonly hardVersion: number;
  readonly sequence: number;
}

/** Ages above this are all alike: electionTicksMin, the only age that the core compares with, is not larger. */
const ageMaxTicks = 2;

function put(out: string[], name: string, value: unknown, zeros: Zeros): void {
  if (typeof value === 'number') out.push(String(relative(name, value, zeros)), ' ');
  else if (typeof value !== 'object' || value === null) out.push(String(value), ' ');
  else if (Array.isArray(value)) {
    out.push('[');
    for (const element of value) put(out, name, element, zeros);
    out.push(']');
  } else if (value instanceof Map) putMap(out, name, value, zeros);
  else if (value instanceof Set) out.push('(', [...value].map(String).sort().join(','), ')');
  else if (value instanceof Uint8Array) out.push(Buffer.from(value).toString('hex'), ' ');
  else if ('voters' in value) out.push(membershipName(value), ' ');
  else putFields(out, value as Record<string, unknown>, zeros);
}

/** Memberships are never changed: each is written out once. */
const membershipNames = new WeakMap<object, string>();

function membershipName(membership: object): string {
  let name = membershipNames.get(membership);
  if (name === undefined) {
    name = JSON.stringify(membership, (key, held: unknown) => (key === 'directoryId' ? undefined : held));
    membershipNames.set(membership, name);
  }
  return name;
}

function putFields(out: string[], fields: Record<string, unknown>, zeros: Zeros): void {
  out.push('{');
  for (const name in fields) {
    // Settings never change; drops are counted and not looked at; how many ticks have passed is told by the ages.
    if (name === 'config' || name === 'drops' || name === 'ticks' || name === 'quorum') continue;
    put(out, name, fields[name], zeros);
  }
  out.push('}');
}

function putMap(out: string[], name: string, map: ReadonlyMap<unknown, unknown>, zeros: Zeros): void {
  let pairs = [...map];
  // Who answered first is of no account; elsewhere the order may be the order of sending.
  if (name === '_answers' || name === '_boots') pairs = pairs.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
  out.push('<');
  for (const [key, held] of pairs) {
    out.push(String(key), '=');
    put(out, name, held, zeros);
  }
  out.push('>');
}

function relative(name: string, value: number, zeros: Zeros): number {
  switch (name) {
    case '_heardTick':
    case 'sentTick':
    case 'sinceTick':
    case '_sinceTick':
      return Math.min(zeros.ticks - value, ageMaxTicks);
    case '_hardVersion':
    case '_handedHardVersion':
    case '_durableHardVersion':
    case 'hardVersion':
      return value - zeros.hardVersion;
    case '_sequence':
    case 'sequence':
      return value - zeros.sequence;
    default:
      return value;
  }
}
