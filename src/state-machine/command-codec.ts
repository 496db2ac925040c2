/*
 * Commands as they stand in the log. Every field is always written, in this order, numbers as varints, texts and bytes
 * with their length before them; so equal commands have equal bytes, and a missing or further byte is seen.
 *
 *   batch    = format wallMs elapsedMs count {length command}
 *   command  = format requestId origin reason identity
 *   identity = actor kind body           (what a repeat of a request must have in common with the first)
 *   register = namespace service id spec lifetime ifAbsent ifIncarnation
 *   lifetime = 0 ttlMs | 1 leaseId | 2
 *   update   = namespace service id spec incarnation
 *   deregister = namespace service id incarnation
 *   grant-lease = ttlMs; revoke-lease = leaseId; expire-lease = leaseId epoch term; reap-lease = leaseId
 *   batch-register = lifetime count {namespace service id spec ifAbsent ifIncarnation keepEqual}
 *   open-session = ttlMs; attach-session = sessionId attachment; close-session = sessionId attachment
 *   write-session = sessionId attachment sequence count {operation}
 *   operation = 0 namespace service id spec restore ownIncarnation   (register)
 *             | 1 namespace service id spec incarnation              (update)
 *             | 2 namespace service id incarnation reason            (deregister)
 */
import { assert, unreachable } from '../base/assert.ts';
import type { WireReader } from '../base/wire-reader.ts';
import { WireWriter } from '../base/wire-writer.ts';
import { instanceKey } from './keys.ts';
import { isInstanceName, isRequestId } from './names.ts';
import { decodeStrictly, expectFormat, readChoice, readFlag } from '../base/strict-decode.ts';
import { stateMachineBounds } from './types.ts';
import type {
  BatchItem,
  Command,
  CommandBody,
  CommandKind,
  InstanceName,
  Lifetime,
  SessionOperation,
} from './types.ts';

/** Relations that a command keeps; the API refuses what breaks them before it becomes one. */
export const commandBounds = {
  actorBytesMax: 256,
  originBytesMax: 256,
  reasonBytesMax: 256,
  specBytesMax: 1024 * 1024,
  ttlMsMax: 86_400_000,
  /** Items of a batch, operations of one write of a session: each may be an event of the one revision. */
  itemsMax: stateMachineBounds.eventsPerRevisionMax,
} as const;

const batchFormat = 1;
const commandFormat = 1;
/** The place in the list is the number on disk: append only. */
const kinds = [
  'register',
  'update',
  'deregister',
  'grant-lease',
  'revoke-lease',
  'expire-lease',
  'reap-lease',
  'batch-register',
  'open-session',
  'attach-session',
  'write-session',
  'close-session',
] as const satisfies readonly CommandKind[];
const lifetimes = ['ttl', 'lease', 'persistent'] as const satisfies readonly Lifetime['kind'][];
const operationKinds = ['register', 'update', 'deregister'] as const satisfies readonly SessionOperation['kind'][];

// Reset before each use: a broken invariant may have left half a message in it.
const writer = new WireWriter();

/** What one entry of the log holds. */
export interface Batch {
  /** Wall time of the proposer, Unix milliseconds: shown, decides nothing. */
  readonly wallMs: number;
  /** Milliseconds of the proposer's monotonic clock since its previous batch; 0 for the first of a leader. */
  readonly elapsedMs: number;
  /** Each as `encodeCommand` gave it. */
  readonly commands: readonly Uint8Array[];
}

export interface DecodedCommand {
  readonly command: Command;
  /** The bytes that a repeat of a request has in common with the first. Shares the memory of the input. */
  readonly identity: Uint8Array;
}

export interface DecodedBatch {
  readonly wallMs: number;
  readonly elapsedMs: number;
  readonly commands: readonly DecodedCommand[];
}

/** Wraps encoded commands with the leader's clock stamps. Does not look into them. */
export function encodeBatch(batch: Batch): Uint8Array {
  writer.reset();
  writer.byte(batchFormat).varint(batch.wallMs).varint(batch.elapsedMs).varint(batch.commands.length);
  for (const command of batch.commands) writer.sized(command);
  return writer.finish();
}

/** Throws InvariantError unless the bytes are exactly what this version writes. Specs share the memory of the input. */
export function decodeBatch(bytes: Uint8Array): DecodedBatch {
  return decodeStrictly('batch', bytes, (reader) => {
    expectFormat(reader, batchFormat);
    const wallMs = reader.varint();
    const elapsedMs = reader.varint();
    const count = reader.varint();
    assert(count <= reader.left, () => `batch: ${count} commands in ${reader.left} bytes`);
    const commands: DecodedCommand[] = [];
    for (let i = 0; i < count; i += 1) commands.push(decodeWithIdentity(reader.sized()));
    return { wallMs, elapsedMs, commands };
  });
}

/** Throws InvariantError where the command breaks a relation that apply relies on. */
export function encodeCommand(command: Command): Uint8Array {
  assertCommand(command);
  writer.reset();
  writer
    .byte(commandFormat)
    .sizedString(command.requestId)
    .sizedString(command.origin)
    .sizedString(command.reason)
    .sizedString(command.actor)
    .byte(kinds.indexOf(command.body.kind));
  writeBody(command.body);
  return writer.finish();
}

/** Throws InvariantError unless the bytes are exactly what this version writes. */
export function decodeCommand(bytes: Uint8Array): Command {
  return decodeWithIdentity(bytes).command;
}

function decodeWithIdentity(bytes: Uint8Array): DecodedCommand {
  return decodeStrictly('command', bytes, (reader) => {
    expectFormat(reader, commandFormat);
    const requestId = reader.sizedString();
    const origin = reader.sizedString();
    const reason = reader.sizedString();
    const identity = bytes.subarray(reader.offset);
    const actor = reader.sizedString();
    const body = readBody(reader, readChoice(reader, kinds, 'command kind'));
    const command = { actor, origin, reason, requestId, body };
    assertCommand(command);
    return { command, identity };
  });
}

function writeBody(body: CommandBody): void {
  switch (body.kind) {
    case 'register':
      writeName(body.name).sized(body.spec);
      writeLifetime(body.lifetime)
        .byte(body.ifAbsent ? 1 : 0)
        .varint(body.ifIncarnation);
      return;
    case 'update':
      writeName(body.name).sized(body.spec).varint(body.incarnation);
      return;
    case 'deregister':
      writeName(body.name).varint(body.incarnation);
      return;
    case 'grant-lease':
      writer.varint(body.ttlMs);
      return;
    case 'revoke-lease':
    case 'reap-lease':
      writer.varint(body.leaseId);
      return;
    case 'expire-lease':
      writer.varint(body.leaseId).varint(body.epoch).varint(body.term);
      return;
    case 'batch-register':
      writeLifetime(body.lifetime).varint(body.items.length);
      for (const item of body.items) writeItem(item);
      return;
    case 'open-session':
      writer.varint(body.ttlMs);
      return;
    case 'write-session':
      writer.varint(body.sessionId).varint(body.attachment).varint(body.sequence).varint(body.operations.length);
      for (const operation of body.operations) writeOperation(operation);
      return;
    case 'attach-session':
    case 'close-session':
      writer.varint(body.sessionId).varint(body.attachment);
      return;
    default:
      unreachable(body);
  }
}

function writeLifetime(lifetime: Lifetime): WireWriter {
  writer.byte(lifetimes.indexOf(lifetime.kind));
  if (lifetime.kind === 'ttl') writer.varint(lifetime.ttlMs);
  if (lifetime.kind === 'lease') writer.varint(lifetime.leaseId);
  return writer;
}

function writeItem(item: BatchItem): void {
  writeName(item.name)
    .sized(item.spec)
    .byte(item.ifAbsent ? 1 : 0)
    .varint(item.ifIncarnation)
    .byte(item.keepEqual ? 1 : 0);
}

function writeOperation(operation: SessionOperation): void {
  writer.byte(operationKinds.indexOf(operation.kind));
  writeName(operation.name);
  switch (operation.kind) {
    case 'register':
      writer
        .sized(operation.spec)
        .byte(operation.restore ? 1 : 0)
        .varint(operation.ownIncarnation);
      return;
    case 'update':
      writer.sized(operation.spec).varint(operation.incarnation);
      return;
    case 'deregister':
      writer.varint(operation.incarnation).sizedString(operation.reason);
      return;
    default:
      unreachable(operation);
  }
}

function readBody(reader: WireReader, kind: CommandKind): CommandBody {
  switch (kind) {
    case 'register':
      return {
        kind,
        name: readName(reader),
        spec: reader.sized(),
        lifetime: readLifetime(reader),
        ifAbsent: readFlag(reader),
        ifIncarnation: reader.varint(),
      };
    case 'update':
      return { kind, name: readName(reader), spec: reader.sized(), incarnation: reader.varint() };
    case 'deregister':
      return { kind, name: readName(reader), incarnation: reader.varint() };
    case 'grant-lease':
      return { kind, ttlMs: reader.varint() };
    case 'revoke-lease':
    case 'reap-lease':
      return { kind, leaseId: reader.varint() };
    case 'expire-lease':
      return { kind, leaseId: reader.varint(), epoch: reader.varint(), term: reader.varint() };
    case 'batch-register':
      return { kind, lifetime: readLifetime(reader), items: readList(reader, readItem) };
    case 'open-session':
      return { kind, ttlMs: reader.varint() };
    case 'write-session':
      return {
        kind,
        sessionId: reader.varint(),
        attachment: reader.varint(),
        sequence: reader.varint(),
        operations: readList(reader, readOperation),
      };
    case 'attach-session':
    case 'close-session':
      return { kind, sessionId: reader.varint(), attachment: reader.varint() };
    default:
      return unreachable(kind);
  }
}

function readList<T>(reader: WireReader, read: (reader: WireReader) => T): T[] {
  const count = reader.varint();
  assert(count <= commandBounds.itemsMax, () => `command: ${count} items`);
  const items: T[] = [];
  for (let i = 0; i < count; i += 1) items.push(read(reader));
  return items;
}

function readItem(reader: WireReader): BatchItem {
  return {
    name: readName(reader),
    spec: reader.sized(),
    ifAbsent: readFlag(reader),
    ifIncarnation: reader.varint(),
    keepEqual: readFlag(reader),
  };
}

function readOperation(reader: WireReader): SessionOperation {
  const kind = readChoice(reader, operationKinds, 'operation');
  const name = readName(reader);
  switch (kind) {
    case 'register':
      return { kind, name, spec: reader.sized(), restore: readFlag(reader), ownIncarnation: reader.varint() };
    case 'update':
      return { kind, name, spec: reader.sized(), incarnation: reader.varint() };
    case 'deregister':
      return { kind, name, incarnation: reader.varint(), reason: reader.sizedString() };
    default:
      return unreachable(kind);
  }
}

function readLifetime(reader: WireReader): Lifetime {
  const kind = readChoice(reader, lifetimes, 'lifetime');
  switch (kind) {
    case 'ttl':
      return { kind, ttlMs: reader.varint() };
    case 'lease':
      return { kind, leaseId: reader.varint() };
    case 'persistent':
      return { kind };
    default:
      return unreachable(kind);
  }
}

function writeName(name: InstanceName): WireWriter {
  return writer.sizedString(name.namespace).sizedString(name.service).sizedString(name.id);
}

function readName(reader: WireReader): InstanceName {
  return { namespace: reader.sizedString(), service: reader.sizedString(), id: reader.sizedString() };
}

function assertCommand(command: Command): void {
  assertText(command.actor, commandBounds.actorBytesMax, 'actor');
  assertText(command.origin, commandBounds.originBytesMax, 'origin');
  assertText(command.reason, commandBounds.reasonBytesMax, 'reason');
  assert(command.requestId === '' || isRequestId(command.requestId), 'command: malformed request id');
  assertBody(command.body);
}

function assertText(text: string, bytesMax: number, what: string): void {
  // No text has fewer UTF-8 bytes than code units, nor more than three times as many.
  const length = text.length * 3 <= bytesMax ? text.length : Buffer.byteLength(text, 'utf8');
  assert(length <= bytesMax, () => `command: ${what} of ${length} bytes, at most ${bytesMax}`);
}

function assertBody(body: CommandBody): void {
  switch (body.kind) {
    case 'register':
      assertInstance(body.name, body.spec);
      assertLifetime(body.lifetime);
      return;
    case 'update':
      assertInstance(body.name, body.spec);
      assert(body.incarnation > 0, 'command: update without incarnation');
      return;
    case 'deregister':
      assert(isInstanceName(body.name), 'command: malformed instance name');
      return;
    case 'grant-lease':
      assertTtl(body.ttlMs);
      return;
    case 'revoke-lease':
    case 'expire-lease':
    case 'reap-lease':
      assert(body.leaseId > 0, 'command: lease id 0');
      return;
    case 'batch-register':
      assertLifetime(body.lifetime);
      assertDistinct(body.items);
      for (const { name, spec } of body.items) assertInstance(name, spec);
      return;
    case 'open-session':
      assertTtl(body.ttlMs);
      return;
    case 'write-session':
      assert(body.sessionId > 0 && body.attachment > 0 && body.sequence > 0, 'command: write of no session');
      assertDistinct(body.operations);
      for (const operation of body.operations) assertOperation(operation);
      return;
    case 'attach-session':
    case 'close-session':
      assert(body.sessionId > 0 && body.attachment > 0, 'command: stream of no session');
      return;
    default:
      unreachable(body);
  }
}

function assertOperation(operation: SessionOperation): void {
  if (operation.kind === 'deregister') {
    assert(isInstanceName(operation.name), 'command: malformed instance name');
    assertText(operation.reason, commandBounds.reasonBytesMax, 'reason');
  } else assertInstance(operation.name, operation.spec);
}

/** One revision may hold each instance once. */
function assertDistinct(items: readonly { readonly name: InstanceName }[]): void {
  assert(items.length >= 1 && items.length <= commandBounds.itemsMax, () => `command: ${items.length} items`);
  if (items.length === 1) return;
  const keys = new Set<string>();
  for (const { name } of items) keys.add(instanceKey(name.namespace, name.service, name.id));
  assert(keys.size === items.length, 'command: two items of one name');
}

function assertLifetime(lifetime: Lifetime): void {
  if (lifetime.kind === 'ttl') assertTtl(lifetime.ttlMs);
  if (lifetime.kind === 'lease') assert(lifetime.leaseId > 0, 'command: lease id 0');
}

function assertInstance(name: InstanceName, spec: Uint8Array): void {
  assert(isInstanceName(name), 'command: malformed instance name');
  assert(spec.length <= commandBounds.specBytesMax, () => `command: spec of ${spec.length} bytes`);
}

function assertTtl(ttlMs: number): void {
  assert(ttlMs >= 1 && ttlMs <= commandBounds.ttlMsMax, () => `command: TTL of ${ttlMs} ms`);
}
