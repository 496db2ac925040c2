import { must } from '../../src/base/assert.ts';
import type {
  BatchItem,
  ChangeEvent,
  Command,
  CommandBody,
  CommandResult,
  InstanceName,
  LeaseChange,
  Lifetime,
  RefusalReason,
  SessionChange,
  SessionOperation,
  SessionOutcome,
  StateMachineBounds,
} from '../../src/state-machine/types.ts';
import {
  type DumbInstance,
  historyRecord,
  identityBytes,
  keyOf,
  plain,
  printed,
  sha256,
  viewOf,
} from './dumb-encodings.ts';

type Body<Kind extends CommandBody['kind']> = Extract<CommandBody, { kind: Kind }>;
type End = 'expired' | 'revoked' | 'closed';

interface Lease {
  leaseId: number;
  epoch: number;
  ttlMs: number;
  implicit: boolean;
  end: '' | End;
  endReason: string;
}

interface Session {
  sessionId: number;
  attachment: number;
  result: Extract<CommandResult, { kind: 'session-written' }> | undefined;
  lost: Map<string, { name: InstanceName; incarnation: number }>;
  moreLost: boolean;
}

export interface DumbRequest {
  sequence: number;
  timeMs: number;
  requestId: string;
  identity: string;
  fingerprint: Buffer;
  result: CommandResult;
}

interface Remembered {
  event: ChangeEvent;
  index: number;
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
  instances: DumbInstance[] = [];
  leases: Lease[] = [];
  sessions: Session[] = [];
  requests: DumbRequest[] = [];
  removals = new Map<string, number>();
  /** Everything that ever happened, and what of it is remembered. */
  log: ChangeEvent[] = [];
  history: Remembered[] = [];
  floor = 0;
  results: CommandResult[] = [];
  events: ChangeEvent[] = [];
  leaseChanges: LeaseChange[] = [];
  sessionChanges: SessionChange[] = [];
  #wallMs = 0;
  #term = 0;

  constructor(bounds: StateMachineBounds) {
    this.bounds = bounds;
  }

  beginEntry(term: number, wallMs: number, elapsedMs: number): void {
    this.results = [];
    this.events = [];
    this.leaseChanges = [];
    this.sessionChanges = [];
    this.#term = term;
    this.#wallMs = wallMs;
    this.replicatedTimeMs += elapsedMs;
    this.requests = this.requests.filter(
      (request) => this.replicatedTimeMs - request.timeMs < this.bounds.requestIdTtlMs,
    );
  }

  command(command: Command): void {
    const eventsBefore = this.log.length;
    this.results.push(this.#once(command));
    this.#forget(this.log.length - eventsBefore);
  }

  find(name: InstanceName): DumbInstance | undefined {
    return this.instances.find((instance) => keyOf(instance.name) === keyOf(name));
  }

  lease(leaseId: number): Lease | undefined {
    return this.leases.find((lease) => lease.leaseId === leaseId);
  }

  session(sessionId: number): Session | undefined {
    return this.sessions.find((session) => session.sessionId === sessionId);
  }

  membersOf(leaseId: number): DumbInstance[] {
    return this.sorted().filter((instance) => instance.leaseId === leaseId);
  }

  sorted(): DumbInstance[] {
    return this.instances.toSorted((a, b) => (keyOf(a.name) < keyOf(b.name) ? -1 : 1));
  }

  modifyRevision(namespace: string, service: string): number {
    const of = this.log.filter((event) => event.name.namespace === namespace && event.name.service === service);
    return of.at(-1)?.revision ?? 0;
  }

  #once(command: Command): CommandResult {
    const { requestId } = command;
    const identity = `${command.actor} ${printed(command.body)}`;
    const first = this.requests.find((request) => request.requestId === requestId);
    if (requestId === '') return this.#run(command);
    if (first?.identity === identity) return first.result;
    if (first !== undefined) return this.#refused('REQUEST_ID_REUSED', 'request_id');
    if (this.requests.length >= this.bounds.requestIdsMax) return this.#refused('OVERLOADED', 'request_id');
    const result = this.#run(command);
    this.requests.push({
      sequence: this.nextSequence,
      timeMs: this.replicatedTimeMs,
      requestId,
      identity,
      fingerprint: sha256(identityBytes(command)).subarray(0, 16),
      result,
    });
    this.nextSequence += 1;
    return result;
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
      case 'batch-register':
        return this.#batch(body);
      case 'open-session': {
        const sessionId = this.#grant(body.ttlMs, false);
        this.sessions.push({ sessionId, attachment: 1, result: undefined, lost: new Map(), moreLost: false });
        return this.#opened(sessionId);
      }
      case 'attach-session': {
        const session = this.session(body.sessionId);
        if (session === undefined) return this.#refused('UNKNOWN_SESSION', 'open.session_id');
        if (body.attachment < session.attachment) return this.#refused('SESSION_TAKEN', 'open.session_id');
        if (body.attachment > session.attachment) {
          session.attachment = body.attachment;
          this.#restart(body.sessionId);
          this.sessionChanges.push({ kind: 'attached', sessionId: body.sessionId, attachment: body.attachment });
        }
        return this.#opened(body.sessionId);
      }
      case 'write-session':
        return this.#write(body);
      case 'close-session': {
        const session = this.session(body.sessionId);
        if (session === undefined) return this.#refused('UNKNOWN_SESSION', 'open.session_id');
        if (body.attachment !== session.attachment) return this.#refused('SESSION_TAKEN', 'open.session_id');
        return this.#end(must(this.lease(body.sessionId), 'lease'), 'closed', reason);
      }
    }
  }

  #register(body: Body<'register'>): CommandResult {
    const { name } = body;
    const old = this.find(name);
    const refusal = this.#conditions({ ...body, keepEqual: false }, '') ?? this.#noLease(body.lifetime);
    if (refusal !== undefined) return refusal;
    const leaseId = this.#take(body.lifetime);
    const ttlMs = leaseId === 0 ? 0 : must(this.lease(leaseId), 'lease').ttlMs;
    this.revision += 1;
    this.#start(name, body.spec, leaseId);
    const { revision } = this;
    return { kind: 'registered', revision, incarnation: revision, leaseId, ttlMs, replaced: old !== undefined };
  }

  #batch({ lifetime, items }: Body<'batch-register'>): CommandResult {
    for (const [i, item] of items.entries()) {
      const refusal = this.#conditions(item, `items[${i}].`);
      if (refusal !== undefined) return refusal;
    }
    const refusal = this.#noLease(lifetime);
    if (refusal !== undefined) return refusal;
    const leaseId = this.#take(lifetime);
    const ttlMs = leaseId === 0 ? 0 : must(this.lease(leaseId), 'lease').ttlMs;
    const isKept = ({ name, spec, keepEqual }: BatchItem): boolean => {
      const old = this.find(name);
      return keepEqual && lifetime.kind === 'persistent' && old?.leaseId === 0 && Buffer.from(old.spec).equals(spec);
    };
    if (!items.every(isKept)) this.revision += 1;
    const outcomes = items.map((item) => {
      const old = this.find(item.name);
      if (isKept(item)) return { status: 'kept', incarnation: must(old, 'kept').incarnation } as const;
      this.#start(item.name, item.spec, leaseId);
      return { status: old === undefined ? 'registered' : 'replaced', incarnation: this.revision } as const;
    });
    return { kind: 'batch-registered', revision: this.revision, leaseId, ttlMs, items: outcomes };
  }

  #conditions({ name, ifAbsent, ifIncarnation }: BatchItem, path: string): CommandResult | undefined {
    const old = this.find(name);
    if (old !== undefined && ifAbsent) return this.#refused('ALREADY_REGISTERED', `${path}if_absent`);
    if (ifIncarnation === 0 || old?.incarnation === ifIncarnation) return undefined;
    return this.#refused(old === undefined ? 'UNKNOWN_INSTANCE' : 'SUPERSEDED', `${path}if_incarnation`);
  }

  #noLease(lifetime: Lifetime): CommandResult | undefined {
    if (lifetime.kind !== 'lease') return undefined;
    const isLive = this.lease(lifetime.leaseId)?.end === '' && this.session(lifetime.leaseId) === undefined;
    return isLive ? undefined : this.#refused('UNKNOWN_LEASE', 'lease_id');
  }

  #take(lifetime: Lifetime): number {
    if (lifetime.kind === 'ttl') return this.#grant(lifetime.ttlMs, true);
    if (lifetime.kind === 'lease') this.#restart(lifetime.leaseId);
    return lifetime.kind === 'lease' ? lifetime.leaseId : 0;
  }

  #restart(leaseId: number): void {
    const lease = must(this.lease(leaseId), 'lease');
    lease.epoch += 1;
    this.leaseChanges.push({ kind: 'live', leaseId, epoch: lease.epoch, ttlMs: lease.ttlMs });
  }

  /** A new incarnation at this revision. */
  #start(name: InstanceName, spec: Uint8Array, leaseId: number): void {
    const old = this.find(name);
    this.#put({
      name,
      spec,
      incarnation: this.revision,
      createRevision: old?.createRevision ?? this.revision,
      modifyRevision: this.revision,
      createTimeMs: old?.createTimeMs ?? this.#wallMs,
      modifyTimeMs: this.#wallMs,
      leaseId,
    });
    if (old === undefined || old.leaseId === leaseId) return;
    this.#lose(old, this.revision);
    this.#dropEmpty(old.leaseId);
  }

  #lose({ leaseId, name }: DumbInstance, incarnation: number): void {
    const session = this.session(leaseId);
    if (session === undefined) return;
    if (session.lost.size < this.bounds.lostPerSessionMax) session.lost.set(keyOf(name), { name, incarnation });
    else session.moreLost = true;
    const cause = incarnation === 0 ? 'deregistered' : 'superseded';
    this.sessionChanges.push({ kind: 'lost', sessionId: leaseId, lost: { name, cause, incarnation } });
  }

  #opened(sessionId: number): CommandResult {
    const { attachment, result } = must(this.session(sessionId), 'session');
    const { ttlMs } = must(this.lease(sessionId), 'lease');
    const lastSequence = result?.sequence ?? 0;
    return { kind: 'session-opened', revision: this.revision, sessionId, ttlMs, attachment, lastSequence };
  }

  #write({ sessionId, attachment, sequence, operations }: Body<'write-session'>): CommandResult {
    const session = this.session(sessionId);
    if (session === undefined) return this.#refused('UNKNOWN_SESSION', 'open.session_id');
    if (session.attachment !== attachment) return this.#refused('SESSION_TAKEN', 'open.session_id');
    const last = session.result?.sequence ?? 0;
    if (session.result !== undefined && sequence === last) {
      const isSame = session.result.outcomes.length === operations.length;
      return isSame ? session.result : this.#refused('REQUEST_ID_REUSED', 'write.sequence');
    }
    if (sequence < last) return this.#refused('SUPERSEDED', 'write.sequence');
    if (sequence > last + 1) return this.#refused('INVALID_FIELD', 'write.sequence');
    const revisionBefore = this.revision;
    const open = (): void => {
      if (this.revision === revisionBefore) this.revision += 1;
    };
    const outcomes = operations.map((operation) => this.#operation(session, operation, open));
    session.result = { kind: 'session-written', revision: this.revision, sequence, outcomes };
    return session.result;
  }

  #operation(session: Session, operation: SessionOperation, open: () => void): SessionOutcome {
    const { name } = operation;
    const old = this.find(name);
    const done = (status: SessionOutcome['status'], incarnation: number): SessionOutcome => {
      return { status, incarnation, reason: '' };
    };
    const superseded = { status: 'refused', incarnation: old?.incarnation ?? 0, reason: 'SUPERSEDED' } as const;
    const isMine = old?.leaseId === session.sessionId;
    const isEqual = 'spec' in operation && old !== undefined && Buffer.from(old.spec).equals(operation.spec);
    if (operation.kind === 'register') {
      if (operation.restore) {
        const mayBeLost = session.lost.has(keyOf(name)) || (old === undefined && session.moreLost);
        if (isMine && isEqual) return done('unchanged', old.incarnation);
        if (mayBeLost) return superseded;
        if (old !== undefined && old.incarnation !== operation.ownIncarnation) return superseded;
      }
      session.lost.delete(keyOf(name));
      open();
      this.#start(name, operation.spec, session.sessionId);
      return done(old === undefined ? 'registered' : 'replaced', this.revision);
    }
    if (old === undefined) {
      if (operation.kind === 'deregister') return done('absent', 0);
      return { status: 'refused', incarnation: 0, reason: 'UNKNOWN_INSTANCE' };
    }
    if (!isMine || ![0, old.incarnation].includes(operation.incarnation)) return superseded;
    if (operation.kind === 'update') {
      if (isEqual) return done('unchanged', old.incarnation);
      open();
      this.#put({ ...old, spec: operation.spec, modifyRevision: this.revision, modifyTimeMs: this.#wallMs });
      return done('updated', old.incarnation);
    }
    open();
    this.#remove(old, 'deregistered', operation.reason);
    return done('deregistered', 0);
  }

  #update(body: Body<'update'>): CommandResult {
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

  #deregister(body: Body<'deregister'>, reason: string): CommandResult {
    const old = this.find(body.name);
    if (old === undefined) return { kind: 'deregistered', revision: this.revision, existed: false };
    if (body.incarnation !== 0 && body.incarnation !== old.incarnation) {
      return this.#refused('SUPERSEDED', 'incarnation');
    }
    this.revision += 1;
    this.#lose(old, 0);
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

  #end(lease: Lease, end: End, reason: string): CommandResult {
    if (this.session(lease.leaseId) !== undefined) {
      this.sessions = this.sessions.filter(({ sessionId }) => sessionId !== lease.leaseId);
      this.sessionChanges.push({ kind: 'ended', sessionId: lease.leaseId, end });
    }
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
    const causes = { '': 'deregistered', closed: 'deregistered', expired: 'lease-expired', revoked: 'lease-revoked' };
    const cause = causes[lease.end] as 'deregistered' | 'lease-expired' | 'lease-revoked';
    if (members.length > 0) this.revision += 1;
    for (const member of members.slice(0, this.bounds.eventsPerRevisionMax)) {
      this.#remove(member, cause, lease.endReason);
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

  #put(instance: DumbInstance): void {
    const old = this.find(instance.name);
    this.instances = [...this.instances.filter((other) => other !== old), instance];
    const before = old === undefined ? undefined : plain(viewOf(old));
    this.#happened({
      kind: 'put',
      revision: this.revision,
      name: instance.name,
      view: plain(viewOf(instance)),
      before,
    });
  }

  #remove(instance: DumbInstance, cause: 'deregistered' | 'lease-expired' | 'lease-revoked', reason: string): void {
    this.instances = this.instances.filter((other) => other !== instance);
    const service = `${instance.name.namespace}/${instance.name.service}`;
    this.removals.set(service, this.revision);
    if (!this.instances.some((other) => keyOf(other.name).startsWith(`${service}/`))) this.removals.delete(service);
    const { name, incarnation } = instance;
    const before = plain(viewOf(instance));
    this.#happened({ kind: 'delete', revision: this.revision, name, incarnation, cause, reason, before });
  }

  #happened(event: ChangeEvent): void {
    this.events.push(event);
    this.log.push(event);
    const index = this.history.filter(({ event: { revision } }) => revision === event.revision).length;
    this.history.push({ event, index });
  }

  #forget(added: number): void {
    for (let left = 8 + 2 * added; left > 0; left -= 1) {
      const first = this.history[0];
      if (first === undefined) return;
      const bytes = this.history.reduce((sum, { event }) => sum + historyRecord(event).length, 0);
      const isOver =
        this.revision - this.floor > this.bounds.historyRevisionsMax || bytes > this.bounds.historyBytesMax;
      if (first.index === 0 && !isOver) return;
      this.floor = first.event.revision;
      this.history.shift();
    }
  }

  /** Without the message, which is for people and compared by nobody. */
  #refused(reason: RefusalReason, field: string): CommandResult {
    return { kind: 'refused', revision: this.revision, reason, message: '', field };
  }
}
