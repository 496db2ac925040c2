import { createHash } from 'node:crypto';
import { must } from '../../src/base/assert.ts';
import type {
  ChangeEvent,
  Command,
  CommandBody,
  CommandResult,
  InstanceName,
  Lifetime,
  SessionOperation,
} from '../../src/state-machine/types.ts';

// The formats once more, byte by byte and with no regard for speed.

export interface DumbInstance {
  name: InstanceName;
  spec: Uint8Array;
  incarnation: number;
  createRevision: number;
  modifyRevision: number;
  createTimeMs: number;
  modifyTimeMs: number;
  leaseId: number;
}

const reasons = [
  'ALREADY_REGISTERED',
  'SUPERSEDED',
  'UNKNOWN_INSTANCE',
  'UNKNOWN_LEASE',
  'REQUEST_ID_REUSED',
  'OVERLOADED',
  'UNKNOWN_SESSION',
  'SESSION_TAKEN',
  'INVALID_FIELD',
];

export function keyOf(name: InstanceName): string {
  return `${name.namespace}/${name.service}/${name.id}`;
}

export function viewOf(instance: DumbInstance): Buffer {
  const { incarnation, createRevision, modifyRevision, createTimeMs, modifyTimeMs, leaseId } = instance;
  const fields = [incarnation, createRevision, modifyRevision, createTimeMs, modifyTimeMs, leaseId];
  const meta = Buffer.concat(fields.flatMap((value, i) => (value === 0 ? [] : [byte((i + 1) << 3), varint(value)])));
  return Buffer.concat([byte(0x0a), sized(instance.spec), byte(0x12), sized(meta)]);
}

export function historyRecord(event: ChangeEvent): Buffer {
  const { namespace, service, id } = event.name;
  const names = [namespace, service, id].map(sized);
  const head = [byte(1), varint(event.revision), byte(event.kind === 'put' ? 0 : 1), ...names];
  if (event.kind === 'put') {
    const before = event.before === undefined ? [byte(0)] : [byte(1), sized(event.before)];
    return Buffer.concat([...head, ...before, sized(event.view)]);
  }
  const cause = ['deregistered', 'lease-expired', 'lease-revoked'].indexOf(event.cause);
  return Buffer.concat([...head, byte(cause), sized(event.reason), sized(event.before)]);
}

export function resultBytes(result: CommandResult): Buffer {
  const head = (kind: number): Buffer[] => [byte(1), byte(kind), varint(result.revision)];
  const below = (incarnation: number): Buffer => varint(incarnation === 0 ? 0 : result.revision - incarnation + 1);
  switch (result.kind) {
    case 'registered': {
      const numbers = [result.incarnation, result.leaseId, result.ttlMs].map(varint);
      return Buffer.concat([...head(0), ...numbers, flag(result.replaced)]);
    }
    case 'updated':
      return Buffer.concat([...head(1), flag(result.changed)]);
    case 'deregistered':
      return Buffer.concat([...head(2), flag(result.existed)]);
    case 'lease-granted':
      return Buffer.concat([...head(3), varint(result.leaseId), varint(result.ttlMs)]);
    case 'lease-ended':
      return Buffer.concat([...head(4), flag(result.existed), varint(result.instances), varint(result.remaining)]);
    case 'refused': {
      const reason = must(reasons.indexOf(result.reason), 'reason');
      return Buffer.concat([...head(5), byte(reason), sized(result.message), sized(result.field)]);
    }
    case 'batch-registered': {
      const items = result.items.flatMap(({ status, incarnation }) => [
        byte(['registered', 'replaced', 'kept'].indexOf(status)),
        below(incarnation),
      ]);
      const numbers = [result.leaseId, result.ttlMs, result.items.length].map(varint);
      return Buffer.concat([...head(6), ...numbers, ...items]);
    }
    case 'session-opened': {
      const { sessionId, ttlMs, attachment, lastSequence } = result;
      return Buffer.concat([...head(7), ...[sessionId, ttlMs, attachment, lastSequence].map(varint)]);
    }
    case 'session-written': {
      const statuses = ['registered', 'replaced', 'updated', 'unchanged', 'deregistered', 'absent', 'refused'];
      const outcomes = result.outcomes.flatMap(({ status, incarnation, reason }) => [
        byte(statuses.indexOf(status)),
        ...(reason === '' ? [] : [byte(reasons.indexOf(reason))]),
        below(incarnation),
      ]);
      return Buffer.concat([...head(8), varint(result.sequence), varint(result.outcomes.length), ...outcomes]);
    }
  }
}

const kinds: CommandBody['kind'][] = [
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
];

export function identityBytes({ actor, body }: Command): Buffer {
  const parts = [sized(actor), byte(kinds.indexOf(body.kind))];
  if ('name' in body) parts.push(nameBytes(body.name));
  if ('spec' in body) parts.push(sized(body.spec));
  if ('lifetime' in body) parts.push(lifetimeBytes(body.lifetime));
  if (body.kind === 'register') parts.push(flag(body.ifAbsent), varint(body.ifIncarnation));
  if (body.kind === 'batch-register') {
    parts.push(varint(body.items.length));
    for (const { name, spec, ifAbsent, ifIncarnation, keepEqual } of body.items) {
      parts.push(nameBytes(name), sized(spec), flag(ifAbsent), varint(ifIncarnation), flag(keepEqual));
    }
  }
  if ('incarnation' in body) parts.push(varint(body.incarnation));
  if ('ttlMs' in body) parts.push(varint(body.ttlMs));
  if ('leaseId' in body) parts.push(varint(body.leaseId));
  if ('epoch' in body) parts.push(varint(body.epoch), varint(body.term));
  if ('sessionId' in body) parts.push(varint(body.sessionId), varint(body.attachment));
  if (body.kind === 'write-session') {
    parts.push(varint(body.sequence), varint(body.operations.length), ...body.operations.map(operationBytes));
  }
  return Buffer.concat(parts);
}

function operationBytes(operation: SessionOperation): Buffer {
  const kind = byte(['register', 'update', 'deregister'].indexOf(operation.kind));
  const head = [kind, nameBytes(operation.name)];
  switch (operation.kind) {
    case 'register':
      return Buffer.concat([...head, sized(operation.spec), flag(operation.restore), varint(operation.ownIncarnation)]);
    case 'update':
      return Buffer.concat([...head, sized(operation.spec), varint(operation.incarnation)]);
    case 'deregister':
      return Buffer.concat([...head, varint(operation.incarnation), sized(operation.reason)]);
  }
}

function nameBytes({ namespace, service, id }: InstanceName): Buffer {
  return Buffer.concat([sized(namespace), sized(service), sized(id)]);
}

function lifetimeBytes(lifetime: Lifetime): Buffer {
  const kind = byte(['ttl', 'lease', 'persistent'].indexOf(lifetime.kind));
  if (lifetime.kind === 'persistent') return kind;
  return Buffer.concat([kind, varint(lifetime.kind === 'ttl' ? lifetime.ttlMs : lifetime.leaseId)]);
}

export function printed(body: CommandBody): string {
  return JSON.stringify(body, (_key, value: unknown) => (value instanceof Uint8Array ? [...value] : value));
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

export function plain(bytes: Buffer): Uint8Array {
  return Uint8Array.from(bytes);
}

export function hex(value: number, digits: number = 14): string {
  return value.toString(16).padStart(digits, '0');
}

export function flag(value: boolean): Buffer {
  return byte(value ? 1 : 0);
}

export function byte(value: number): Buffer {
  return Buffer.from([value]);
}

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest >= 128n; rest /= 128n) bytes.push(Number(rest % 128n) + 128);
  return Buffer.from([...bytes, Number(rest)]);
}

export function sized(value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([varint(bytes.length), bytes]);
}
