import * as z from 'zod';
import { grpcLimits } from '../grpc/limits.ts';
import { apiBounds } from '../api/bounds.ts';
import { raftDefaults } from '../raft/config.ts';
import { segmentBytesDefault } from '../storage/segment.ts';
import { watchBounds } from '../watch/bounds.ts';
import {
  byteCount,
  choice,
  directory,
  flag,
  listenAddress,
  memberId,
  reachableAddress,
  wholeNumber,
} from './config-fields.ts';

const kib = 1024;
const mib = 1024 * kib;
const gib = 1024 * mib;
const hourMs = 3_600_000;

/** More voters make each write slower and no failure more survivable. */
const initialMembersMax = 9;

const initialMember = z.strictObject({ id: memberId(), peer: reachableAddress(), client: reachableAddress() });

/** As many as a client takes. */
const joinMax = 64;

/** The largest entry fits one frame of 4 MiB, and a frame lies within one segment. */
const segmentBytesMin = 4 * mib;

/**
 * The configuration of one member as its file holds it. Each key that may be left out carries its default here and
 * nowhere else; cluster-configs/ documents every key, and a test compares the two.
 */
export const configSchema = z.strictObject({
  memberId: memberId(),
  dataDirectory: directory(),
  initialMembers: z
    .array(initialMember, { error: 'write a list with id, peer and client of each member' })
    .min(1, { error: 'is empty; write id, peer and client of each member, this one among them' })
    .max(initialMembersMax, { error: `holds more than ${initialMembersMax} members; 3 or 5 are usual` }),
  listen: z.strictObject({ client: listenAddress(), peer: listenAddress(), http: listenAddress() }),
  join: z
    .array(reachableAddress(), { error: 'write a list of addresses for clients, such as ["127.0.0.1:7410"]' })
    .max(joinMax, { error: `holds more than ${joinMax} addresses; those of a few members do` })
    .default([]),
  learner: flag().default(false),
  insecure: flag().default(false),
  stopGraceMs: wholeNumber(0, hourMs, 'ms').default(5_000),
  consensusThread: flag().default(true),
  raft: z
    .strictObject({
      tickMs: wholeNumber(5, 1_000, 'ms').default(50),
      heartbeatTicks: wholeNumber(1, 100, 'ticks').default(raftDefaults.heartbeatTicks),
      electionTicksMin: wholeNumber(2, 1_000, 'ticks').default(raftDefaults.electionTicksMin),
      electionTicksMax: wholeNumber(3, 2_000, 'ticks').default(raftDefaults.electionTicksMax),
    })
    .prefault({}),
  limits: z
    .strictObject({
      callsInFlightMax: wholeNumber(1, 1_000_000, 'calls').default(apiBounds.callsInFlightMax),
      connectionsMax: wholeNumber(1, 1_000_000, 'connections').default(grpcLimits.connectionsMax),
      connectionsPerAddressMax: wholeNumber(1, 1_000_000, 'connections').default(grpcLimits.connectionsPerAddressMax),
      streamsPerConnectionMax: wholeNumber(1, 100_000, 'streams').default(grpcLimits.streamsPerConnectionMax),
      watchesPerConnectionMax: wholeNumber(1, 100_000, 'watches').default(watchBounds.watchesPerStreamMax),
      watchBacklogBytesMax: byteCount(64 * kib, gib).default(watchBounds.backlogBytesMax),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: choice(['debug', 'info', 'warn', 'error']).default('info'),
      format: choice(['auto', 'json', 'pretty']).default('auto'),
      slowMs: wholeNumber(1, hourMs, 'ms').default(500),
    })
    .prefault({}),
  storage: z
    .strictObject({
      segmentBytes: byteCount(segmentBytesMin, 256 * mib, 4 * kib).default(segmentBytesDefault),
      logKeepBytes: byteCount(mib, 64 * gib).default(64 * mib),
      flushIntervalMs: wholeNumber(10, 60_000, 'ms').default(100),
      unflushedBytesMax: byteCount(16 * mib, 16 * gib).default(256 * mib),
    })
    .prefault({}),
});

/** A configuration that was checked; every key is there. Addresses are parsed, `dataDirectory` is as written. */
export type CheckedConfig = z.output<typeof configSchema>;

/** One key of the schema that holds a value, e.g. `raft.tickMs`, or `initialMembers[].id`. */
export interface ConfigKey {
  readonly path: string;
  /** Undefined: the key is required. */
  readonly defaultValue: unknown;
}

/** All keys that hold a value, in the order of the schema. */
export function configKeys(): ConfigKey[] {
  return keysOf(configSchema, '');
}

function keysOf(schema: z.core.$ZodType, path: string): ConfigKey[] {
  if (schema instanceof z.ZodPrefault) return keysOf(schema.def.innerType, path);
  if (schema instanceof z.ZodArray) return keysOf(schema.def.element, `${path}[]`);
  if (schema instanceof z.ZodObject) {
    const prefix = path === '' ? '' : `${path}.`;
    return Object.entries(shapeOf(schema)).flatMap(([name, inner]) => keysOf(inner, `${prefix}${name}`));
  }
  return [{ path, defaultValue: schema instanceof z.ZodDefault ? schema.def.defaultValue : undefined }];
}

/** The names that may stand below `path` (without indexes), for suggestions. */
export function keyNamesBelow(path: readonly PropertyKey[]): string[] {
  let schema: z.core.$ZodType = configSchema;
  for (const part of path) {
    if (schema instanceof z.ZodPrefault) schema = schema.def.innerType;
    if (typeof part === 'number' && schema instanceof z.ZodArray) schema = schema.def.element;
    else if (schema instanceof z.ZodObject) schema = shapeOf(schema)[String(part)] ?? schema;
  }
  if (schema instanceof z.ZodPrefault) schema = schema.def.innerType;
  return schema instanceof z.ZodObject ? Object.keys(schema.def.shape) : [];
}

function shapeOf(schema: z.ZodObject): Readonly<Record<string, z.core.$ZodType>> {
  return schema.def.shape;
}
