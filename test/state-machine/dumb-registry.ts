import { createHash } from 'node:crypto';
import { must } from '../../src/base/assert.ts';
import type {
  ChangeEvent,
  Command,
  CommandBody,
  CommandResult,
  InstanceName,
  LeaseChange,
  RefusalReason,
  StateMachineBounds,
} from '../../src/state-machine/types.ts';

interface Instance {
  name: InstanceName;
  spec: Uint8Array;
  incarnation: number;
  createRevision: number;
  modifyRevision: number;
  createTimeMs: number;
  modifyTimeMs: number;
  leaseId: number;
}

interface Lease {
  leaseId: number;
  epoch: number;
  ttlMs: number;
  implicit: boolean;
  end: '' | 'expired' | 'revoked';
  endReason: string;
}

interface Request {
  sequence: number;
  timeMs: number;
  requestId: string;
  identity: string;
  fingerprint: Buffer;
  result: CommandResult;
}

/**
 * The second version that the real one is compared with: plain objects, every derived thing worked out anew each time
 * it is asked for, encodings written down byte by byte.
 */
export class DumbRegistry {
  readonly bounds: StateMachineBounds;
  revision = 0;
  replicatedTimeMs = 0;
  nextLeaseId = 1;
  nextSequence = 0;
  instances: Instance[] = [];
  leases: Lease[] = [];
  requests: Request[] = [];
  removals = new Map<string, number>();
  /** Everything that ever happened. */
  log: ChangeEvent[] = [];
  results: CommandResult[] = [];
  events: ChangeEvent[] = [];
  leaseChanges: LeaseChange[] = [];
  #wallMs = 0;
  #term = 0;

  constructor(bounds: StateMachineBounds) {
    this.bounds = bounds;
  }

  beginEntry(term: number, wallMs: number, elapsedMs: number): void {
    this.results = [];
    this.events = [];
    this.leaseChanges = [];
    this.#term = term;
    this.#wallMs = wallMs;
    this.replicatedTimeMs += elapsedMs;
    this.requests = this.requests.filter(
      (request) => this.replicatedTimeMs - request.timeMs < this.bounds.requestIdTtlMs,
    );
  }

  command(command: Command): void {
    const identity = `${command.actor} ${printed(command.body)}`;
    const first = this.requests.find((request) => request.requestId === command.requestId);
    if (command.requestId === '') this.results.push(this.#run(command));
    else if (first?.identity === identity) this.results.push(first.result);
    else if (first !== undefined) this.results.push(this.#refused('REQUEST_ID_REUSED', 'request_id'));
    else if (this.requests.length >= this.bounds.requestIdsMax) {
      this.results.push(this.#refused('OVERLOADED', 'request_id'));
    } else {
      const result = this.#run(command);
      this.results.push(result);
      this.requests.push({
        sequence: this.nextSequence,
        timeMs: this.replicatedTimeMs,
        requestId: command.requestId,
        identity,
        fingerprint: sha256(identityBytes(command)).subarray(0, 16),
        result,
      });
      this.nextSequence += 1;
    }
  }

  find(name: InstanceName): Instance | undefined {
    return this.instances.find((instance) => keyOf(instance.name) === keyOf(name));
  }

  lease(leaseId: number): Lease | undefined {
    return this.leases.find((lease) => lease.leaseId === leaseId);
  }

  membersOf(leaseId: number): Instance[] {
    return this.sorted().filter((instance) => instance.leaseId === leaseId);
  }

  sorted(): Instance[] {
    return this.instances.toSorted((a, b) => (keyOf(a.name) < keyOf(b.name) ? -1 : 1));
  }

  /** The lowest revision from which the last `historyRevisionsMax` revisions are known. */
  floor(): number {
    return Math.max(0, this.revision - this.bounds.historyRevisionsMax);
  }

  modifyRevision(namespace: string, service: string): number {
    const of = this.log.filter((event) => event.name.namespace === namespace && event.name.service === service);
    return of.at(-1)?.revision ?? 0;
  }

  /** Every persisted record, in no order. */
  records(): Map<string, Buffer> {
    const records = new Map<string, Buffer>();
    if (this.revision > 0 || this.replicatedTimeMs > 0 || this.nextLeaseId > 1 || this.nextSequence > 0) {
      records.set('a', this.#meta());
    }
    for (const lease of this.leases) {
      const end = ['', 'expired', 'revoked'].indexOf(lease.end);
      const parts = [byte(1), varint(lease.epoch), varint(lease.ttlMs), byte(lease.implicit ? 1 : 0), byte(end)];
      if (end > 0) parts.push(sized(lease.endReason));
      records.set(`b/${hex(lease.leaseId)}`, Buffer.concat(parts));
    }
    for (const instance of this.instances) records.set(`c/${keyOf(instance.name)}`, viewOf(instance));
    for (const [service, revision] of this.removals) {
      records.set(`d/${service}`, Buffer.concat([byte(1), varint(revision)]));
    }
    for (const request of this.requests) records.set(`e/${hex(request.sequence)}`, requestRecord(request));
    return records;
  }

  stateHash(): string {
    let sum = 0n;
    for (const [key, value] of new Map([...this.records(), ['a', this.#meta()]])) {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(key.length);
      const digest = sha256(Buffer.concat([length, Buffer.from(key), value]));
      sum += BigInt(`0x${digest.subarray(0, 16).toString('hex')}`);
    }
    return (sum % 2n ** 128n).toString(16).padStart(32, '0');
  }

  #meta(): Buffer {
    const counters = [this.revision, this.replicatedTimeMs, this.nextLeaseId, this.nextSequence];
    return Buffer.concat([byte(1), ...counters.map(varint)]);
  }

  #run(command: Command): CommandResult {
    const { body, reason } = command;
    switch (body.kind) {
      case 'register':
        return this.#register(body);
      case 'update':
        return this.#update(body);
      case 'deregister':
        return this.#deregister(body, reason);
      case 'grant-lease': {
        const leaseId = this.#grant(body.ttlMs, false);
        return { kind: 'lease-granted', revision: this.revision, leaseId, ttlMs: body.ttlMs };
      }
      case 'revoke-lease': {
        const lease = this.lease(body.leaseId);
        if (lease !== undefined && lease.end === '') return this.#end(lease, 'revoked', reason);
        const remaining = this.membersOf(body.leaseId).length;
        return { kind: 'lease-ended', revision: this.revision, existed: false, instances: 0, remaining };
      }
      case 'expire-lease': {
        const lease = this.lease(body.leaseId);
        if (lease === undefined || lease.end !== '') return this.#refused('UNKNOWN_LEASE', 'lease_id');
        if (body.term !== this.#term) return this.#refused('UNKNOWN_LEASE', 'term');
        if (body.epoch !== lease.epoch) return this.#refused('UNKNOWN_LEASE', 'epoch');
        return this.#end(lease, 'expired', reason);
      }
      case 'reap-lease':
        return this.#reap(body.leaseId);
    }
  }

  #register(body: Extract<CommandBody, { kind: 'register' }>): CommandResult {
    const { lifetime, name, ifAbsent, ifIncarnation } = body;
    const old = this.find(name);
    if (old !== undefined && ifAbsent) return this.#refused('ALREADY_REGISTERED', 'if_absent');
    if (ifIncarnation !== 0 && old === undefined) return this.#refused('UNKNOWN_INSTANCE', 'if_incarnation');
    if (ifIncarnation !== 0 && old?.incarnation !== ifIncarnation) return this.#refused('SUPERSEDED', 'if_incarnation');
    let leaseId = 0;
    let ttlMs = 0;
    if (lifetime.kind === 'lease') {
      const lease = this.lease(lifetime.leaseId);
      if (lease === undefined || lease.end !== '') return this.#refused('UNKNOWN_LEASE', 'lease_id');
      lease.epoch += 1;
      ({ leaseId, ttlMs } = lease);
      this.leaseChanges.push({ kind: 'live', leaseId, epoch: lease.epoch, ttlMs });
    } else if (lifetime.kind === 'ttl') {
      ttlMs = lifetime.ttlMs;
      leaseId = this.#grant(ttlMs, true);
    }
    this.revision += 1;
    this.#put({
      name,
      spec: body.spec,
      incarnation: this.revision,
      createRevision: old?.createRevision ?? this.revision,
      modifyRevision: this.revision,
      createTimeMs: old?.createTimeMs ?? this.#wallMs,
      modifyTimeMs: this.#wallMs,
      leaseId,
    });
    this.#dropEmpty(old?.leaseId ?? 0);
    return {
      kind: 'registered',
      revision: this.revision,
      incarnation: this.revision,
      leaseId,
      ttlMs,
      replaced: old !== undefined,
    };
  }

  #update(body: Extract<CommandBody, { kind: 'update' }>): CommandResult {
    const old = this.find(body.name);
    if (old === undefined) return this.#refused('UNKNOWN_INSTANCE', 'instance.id');
    if (old.incarnation !== body.incarnation) return this.#refused('SUPERSEDED', 'incarnation');
    if (old.leaseId !== 0 && this.lease(old.leaseId)?.end !== '') {
      return this.#refused('UNKNOWN_INSTANCE', 'instance.id');
    }
    if (Buffer.from(old.spec).equals(body.spec)) return { kind: 'updated', revision: this.revision, changed: false };
    this.revision += 1;
    this.#put({ ...old, spec: body.spec, modifyRevision: this.revision, modifyTimeMs: this.#wallMs });
    return { kind: 'updated', revision: this.revision, changed: true };
  }

  #deregister(body: Extract<CommandBody, { kind: 'deregister' }>, reason: string): CommandResult {
    const old = this.find(body.name);
    if (old === undefined) return { kind: 'deregistered', revision: this.revision, existed: false };
    if (body.incarnation !== 0 && body.incarnation !== old.incarnation) {
      return this.#refused('SUPERSEDED', 'incarnation');
    }
    this.revision += 1;
    this.#remove(old, 'deregistered', reason);
    this.#dropEmpty(old.leaseId);
    return { kind: 'deregistered', revision: this.revision, existed: true };
  }

  #grant(ttlMs: number, implicit: boolean): number {
    const leaseId = this.nextLeaseId;
    this.nextLeaseId += 1;
    this.leases.push({ leaseId, epoch: 1, ttlMs, implicit, end: '', endReason: '' });
    this.leaseChanges.push({ kind: 'live', leaseId, epoch: 1, ttlMs });
    return leaseId;
  }

  #end(lease: Lease, end: 'expired' | 'revoked', reason: string): CommandResult {
    lease.end = end;
    lease.endReason = reason;
    const instances = this.membersOf(lease.leaseId).length;
    const remaining = this.#removeSome(lease);
    return { kind: 'lease-ended', revision: this.revision, existed: true, instances, remaining };
  }

  #reap(leaseId: number): CommandResult {
    const lease = this.lease(leaseId);
    const none = { kind: 'lease-ended', revision: this.revision, existed: false, instances: 0, remaining: 0 } as const;
    if (lease === undefined) return none;
    if (lease.end === '') return this.#refused('UNKNOWN_LEASE', 'lease_id');
    const before = this.membersOf(leaseId).length;
    const remaining = this.#removeSome(lease);
    return { ...none, revision: this.revision, existed: true, instances: before - remaining, remaining };
  }

  #removeSome(lease: Lease): number {
    const members = this.membersOf(lease.leaseId);
    if (members.length > 0) this.revision += 1;
    for (const member of members.slice(0, this.bounds.eventsPerRevisionMax)) {
      this.#remove(member, lease.end === 'expired' ? 'lease-expired' : 'lease-revoked', lease.endReason);
    }
    const remaining = this.membersOf(lease.leaseId).length;
    if (remaining === 0) this.leases = this.leases.filter((other) => other !== lease);
    this.leaseChanges.push({ kind: 'ended', leaseId: lease.leaseId, remaining });
    return remaining;
  }

  #dropEmpty(leaseId: number): void {
    const lease = this.lease(leaseId);
    if (lease === undefined || this.membersOf(leaseId).length > 0) return;
    if (!lease.implicit && lease.end === '') return;
    this.leases = this.leases.filter((other) => other !== lease);
    this.leaseChanges.push({ kind: 'ended', leaseId, remaining: 0 });
  }

  #put(instance: Instance): void {
    this.instances = [...this.instances.filter((other) => keyOf(other.name) !== keyOf(instance.name)), instance];
    this.#happened({ kind: 'put', revision: this.revision, name: instance.name, view: plain(viewOf(instance)) });
  }

  #remove(instance: Instance, cause: 'deregistered' | 'lease-expired' | 'lease-revoked', reason: string): void {
    this.instances = this.instances.filter((other) => other !== instance);
    const service = `${instance.name.namespace}/${instance.name.service}`;
    this.removals.set(service, this.revision);
    if (!this.instances.some((other) => keyOf(other.name).startsWith(`${service}/`))) this.removals.delete(service);
    const { name, incarnation } = instance;
    this.#happened({ kind: 'delete', revision: this.revision, name, incarnation, cause, reason });
  }

  #happened(event: ChangeEvent): void {
    this.events.push(event);
    this.log.push(event);
  }

  /** Without the message, which is for people and compared by nobody. */
  #refused(reason: RefusalReason, field: string): CommandResult {
    return { kind: 'refused', revision: this.revision, reason, message: '', field };
  }
}

export function keyOf(name: InstanceName): string {
  return `${name.namespace}/${name.service}/${name.id}`;
}

export function viewOf(instance: Instance): Buffer {
  const { incarnation, createRevision, modifyRevision, createTimeMs, modifyTimeMs, leaseId } = instance;
  const fields = [incarnation, createRevision, modifyRevision, createTimeMs, modifyTimeMs, leaseId];
  const meta = Buffer.concat(fields.flatMap((value, i) => (value === 0 ? [] : [byte((i + 1) << 3), varint(value)])));
  return Buffer.concat([byte(0x0a), sized(instance.spec), byte(0x12), sized(meta)]);
}

function requestRecord(request: Request): Buffer {
  const words = [0, 4, 8, 12].map((at) => varint(request.fingerprint.readUInt32BE(at)));
  const head = [byte(1), varint(request.timeMs), sized(request.requestId)];
  return Buffer.concat([...head, ...words, sized(resultBytes(request.result))]);
}

function resultBytes(result: CommandResult): Buffer {
  const flag = (value: boolean): Buffer => byte(value ? 1 : 0);
  const head = (kind: number): Buffer[] => [byte(1), byte(kind), varint(result.revision)];
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
      const reasons = ['ALREADY_REGISTERED', 'SUPERSEDED', 'UNKNOWN_INSTANCE', 'UNKNOWN_LEASE'];
      const reason = must(reasons.indexOf(result.reason), 'reason');
      return Buffer.concat([...head(5), byte(reason), sized(result.message), sized(result.field)]);
    }
  }
}

function identityBytes({ actor, body }: Command): Buffer {
  const kinds = ['register', 'update', 'deregister', 'grant-lease', 'revoke-lease', 'expire-lease', 'reap-lease'];
  const parts = [sized(actor), byte(kinds.indexOf(body.kind))];
  if ('name' in body) parts.push(sized(body.name.namespace), sized(body.name.service), sized(body.name.id));
  if ('spec' in body) parts.push(sized(body.spec));
  if (body.kind === 'register') {
    parts.push(byte(['ttl', 'lease', 'persistent'].indexOf(body.lifetime.kind)));
    if (body.lifetime.kind === 'ttl') parts.push(varint(body.lifetime.ttlMs));
    if (body.lifetime.kind === 'lease') parts.push(varint(body.lifetime.leaseId));
    parts.push(byte(body.ifAbsent ? 1 : 0), varint(body.ifIncarnation));
  }
  if ('incarnation' in body) parts.push(varint(body.incarnation));
  if ('ttlMs' in body) parts.push(varint(body.ttlMs));
  if ('leaseId' in body) parts.push(varint(body.leaseId));
  if ('epoch' in body) parts.push(varint(body.epoch), varint(body.term));
  return Buffer.concat(parts);
}

function printed(body: CommandBody): string {
  return JSON.stringify(body, (_key, value: unknown) => (value instanceof Uint8Array ? [...value] : value));
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function plain(bytes: Buffer): Uint8Array {
  return Uint8Array.from(bytes);
}

function hex(value: number): string {
  return `00000000000000${value.toString(16)}`.slice(-14);
}

function byte(value: number): Buffer {
  return Buffer.from([value]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest >= 128n; rest /= 128n) bytes.push(Number(rest % 128n) + 128);
  return Buffer.from([...bytes, Number(rest)]);
}

function sized(value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([varint(bytes.length), bytes]);
}
