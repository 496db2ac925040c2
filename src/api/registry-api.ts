import { InvariantError } from '../base/assert.ts';
import { RollcallError } from '../base/errors.ts';
import type { Replica } from '../replica/types.ts';
import type { CommandBody, CommandResult } from '../state-machine/types.ts';
import { watchBounds } from '../watch/bounds.ts';
import type { WatchSink } from '../watch/types.ts';
import type { WatchHub } from '../watch/watch-hub.ts';
import type { Admission } from './admission.ts';
import { apiBounds } from './bounds.ts';
import { filterHash, readPage } from './discover-page.ts';
import type { PageStart } from './page-token.ts';
import { decodePageToken, encodePageToken } from './page-token.ts';
import type {
  BatchRegisterAnswer,
  BatchRegisterRequest,
  Caller,
  Consistency,
  DeregisterAnswer,
  DeregisterRequest,
  DiscoverAnswer,
  DiscoverRequest,
  GrantLeaseAnswer,
  GrantLeaseRequest,
  Header,
  ListServicesAnswer,
  ListServicesRequest,
  RegisterAnswer,
  RegisterRequest,
  RegistryApi,
  RenewAnswer,
  RevokeLeaseAnswer,
  RevokeLeaseRequest,
  SessionCall,
  SessionOpenRequest,
  SessionSink,
  UpdateAnswer,
  UpdateRequest,
  WatchSession,
} from './types.ts';
import { WatchRooms } from './watch-rooms.ts';
import { HubWatchSession } from './watch-session.ts';

/** Where the streams of sessions are opened; throws RollcallError OVERLOADED where there is no room for one more. */
export interface SessionOpener {
  open(request: SessionOpenRequest, sink: SessionSink, caller: Caller): SessionCall;
}

export interface RegistryApiOptions {
  readonly replica: Replica;
  readonly hub: WatchHub;
  readonly admission: Admission;
  readonly sessions: SessionOpener;
  /** Default 1,000. The hub's bound of one stream is to be the same, or higher. */
  readonly watchesPerConnectionMax?: number;
}

type ResultOf<Kind extends CommandResult['kind']> = Extract<CommandResult, { readonly kind: Kind }>;

/**
 * The use cases over one member's replica. Reads are synchronous on the applied state, behind a barrier or not; writes
 * answer what apply answered. What the replica rejects with goes to the caller as it is.
 */
export class ReplicatedRegistryApi implements RegistryApi {
  readonly #replica: Replica;
  readonly #hub: WatchHub;
  readonly #admission: Admission;
  readonly #sessions: SessionOpener;
  readonly #rooms: WatchRooms;

  constructor(options: RegistryApiOptions) {
    this.#replica = options.replica;
    this.#hub = options.hub;
    this.#admission = options.admission;
    this.#sessions = options.sessions;
    this.#rooms = new WatchRooms(options.watchesPerConnectionMax ?? watchBounds.watchesPerStreamMax);
  }

  async register(request: RegisterRequest, caller: Caller): Promise<RegisterAnswer> {
    const { spec, lifetime, ifAbsent, ifIncarnation } = request;
    const { name, bytes } = spec;
    const body: CommandBody = { kind: 'register', name, spec: bytes, lifetime, ifAbsent, ifIncarnation };
    const result = await this.#write('registered', body, caller, request.requestId);
    const { incarnation, leaseId, ttlMs, replaced } = result;
    return { header: this.#writeHeader(result), incarnation, leaseId, ttlMs, replaced };
  }

  async batchRegister(request: BatchRegisterRequest, caller: Caller): Promise<BatchRegisterAnswer> {
    const { items, lifetime, requestId } = request;
    const body: CommandBody = {
      kind: 'batch-register',
      lifetime,
      items: items.map(({ spec, ifAbsent, ifIncarnation, keepEqual }) => {
        return { name: spec.name, spec: spec.bytes, ifAbsent, ifIncarnation, keepEqual };
      }),
    };
    const result = await this.#write('batch-registered', body, caller, requestId);
    const { leaseId, ttlMs, items: results } = result;
    return { header: this.#writeHeader(result), leaseId, ttlMs, results };
  }

  async update(request: UpdateRequest, caller: Caller): Promise<UpdateAnswer> {
    const { spec, incarnation } = request;
    const body: CommandBody = { kind: 'update', name: spec.name, spec: spec.bytes, incarnation };
    const result = await this.#write('updated', body, caller, request.requestId);
    return { header: this.#writeHeader(result), changed: result.changed };
  }

  async deregister(request: DeregisterRequest, caller: Caller): Promise<DeregisterAnswer> {
    const { name, incarnation, requestId, reason } = request;
    const body: CommandBody = { kind: 'deregister', name, incarnation };
    const result = await this.#write('deregistered', body, caller, requestId, reason);
    return { header: this.#writeHeader(result), existed: result.existed };
  }

  async grantLease(request: GrantLeaseRequest, caller: Caller): Promise<GrantLeaseAnswer> {
    const body: CommandBody = { kind: 'grant-lease', ttlMs: request.ttlMs };
    const result = await this.#write('lease-granted', body, caller, request.requestId);
    return { header: this.#writeHeader(result), leaseId: result.leaseId, ttlMs: result.ttlMs };
  }

  async revokeLease(request: RevokeLeaseRequest, caller: Caller): Promise<RevokeLeaseAnswer> {
    const { leaseId, requestId, reason } = request;
    const body: CommandBody = { kind: 'revoke-lease', leaseId };
    const result = await this.#write('lease-ended', body, caller, requestId, reason);
    return { header: this.#writeHeader(result), existed: result.existed, instances: result.instances };
  }

  renew(leaseIds: readonly number[], _caller: Caller): Promise<readonly RenewAnswer[]> {
    return this.#admission.run(() => this.#replica.renew(leaseIds));
  }

  discover(request: DiscoverRequest, _caller: Caller): Promise<DiscoverAnswer> {
    return this.#admission.run(async () => {
      const { namespace, service, pageToken, matcher } = request;
      const query = { kind: 'discover', namespace, name: service, filter: filterHash(matcher) } as const;
      const token = pageToken === '' ? undefined : decodePageToken(pageToken, query);
      await this.#fresh(request.consistency, request.minRevision, token);
      const { state } = this.#replica;
      const { views, lastId, more } = readPage(state, request, token?.last ?? '');
      const header = this.#header(request.consistency);
      const firstRevision = token?.firstRevision ?? header.revision;
      const nextPageToken = more ? encodePageToken({ query, firstRevision, last: lastId }) : '';
      return { header, known: state.isKnown(namespace, service), views, nextPageToken, firstRevision };
    });
  }

  listServices(request: ListServicesRequest, _caller: Caller): Promise<ListServicesAnswer> {
    return this.#admission.run(async () => {
      const { namespace, prefix, pageSize, pageToken } = request;
      const query = { kind: 'list-services', namespace, name: prefix, filter: '' } as const;
      const token = pageToken === '' ? undefined : decodePageToken(pageToken, query);
      await this.#fresh(request.consistency, request.minRevision, token);
      const { state } = this.#replica;
      const countMax = pageSize === 0 ? apiBounds.listPageSizeMax : pageSize;
      const { services, more } = state.services(namespace, prefix, token?.last ?? '', countMax);
      const header = this.#header(request.consistency);
      const firstRevision = token?.firstRevision ?? header.revision;
      const last = services.at(-1)?.service;
      const nextPageToken = more && last !== undefined ? encodePageToken({ query, firstRevision, last }) : '';
      return { header, services, nextPageToken, firstRevision };
    });
  }

  openSession(request: SessionOpenRequest, sink: SessionSink, caller: Caller): SessionCall {
    return this.#sessions.open(request, sink, caller);
  }

  openWatch(sink: WatchSink, caller: Caller): WatchSession {
    return new HubWatchSession(this.#replica, this.#hub, sink, this.#rooms, caller.origin);
  }

  /** Proposes one command; a refusal by apply becomes the error of that reason. */
  #write<Kind extends CommandResult['kind']>(
    kind: Kind,
    body: CommandBody,
    caller: Caller,
    requestId: string,
    reason = '',
  ): Promise<ResultOf<Kind>> {
    return this.#admission.run(async () => {
      const { actor, origin, deadlineMs } = caller;
      const result = await this.#replica.execute({ actor, origin, reason, requestId, body }, deadlineMs);
      if (result.kind === 'refused') throw refusal(result);
      if (!isOfKind(result, kind)) throw new InvariantError(`${body.kind} answered with ${result.kind}`);
      return result;
    });
  }

  /**
   * Resolves when this member may answer from what it has applied, not older than the first page where there was one;
   * read right after it, before anything else runs.
   */
  async #fresh(consistency: Consistency, minRevision: number, page: PageStart | undefined): Promise<void> {
    const firstRevision = page?.firstRevision ?? 0;
    if (consistency === 'linearizable') {
      await this.#replica.readBarrier();
      // Behind a barrier everything that any member ever answered from is applied here.
      if (firstRevision > this.#replica.state.position.revision) throw outOfHistory(firstRevision);
    } else {
      this.#replica.assertServing();
    }
    const needed = Math.max(minRevision, firstRevision);
    if (needed > this.#replica.state.position.revision) await this.#replica.waitForRevision(needed);
  }

  #header(consistency: Consistency): Header {
    const { memberId: member, state } = this.#replica;
    const ageMs = consistency === 'linearizable' ? 0 : this.#replica.ageMs();
    return { revision: state.position.revision, member, consistency, ageMs };
  }

  #writeHeader(result: CommandResult): Header {
    return { revision: result.revision, member: this.#replica.memberId, consistency: 'linearizable', ageMs: 0 };
  }
}

function isOfKind<Kind extends CommandResult['kind']>(result: CommandResult, kind: Kind): result is ResultOf<Kind> {
  return result.kind === kind;
}

function outOfHistory(revision: number): RollcallError {
  const message = `page_token: is of revision ${revision}, which this cluster has never had; begin with the first page`;
  return new RollcallError('OUT_OF_HISTORY', message, { field: 'page_token' });
}

function refusal(result: ResultOf<'refused'>): RollcallError {
  const { reason, message, field } = result;
  return new RollcallError(reason, message, {
    ...(field === '' ? {} : { field }),
    ...(reason === 'OVERLOADED' ? { retryAfterMs: apiBounds.overloadedRetryAfterMs } : {}),
  });
}
