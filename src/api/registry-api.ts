import { InvariantError } from '../base/assert.ts';
import { RollcallError } from '../base/errors.ts';
import type { Replica } from '../replica/types.ts';
import type { CommandBody, CommandResult } from '../state-machine/types.ts';
import { watchBounds } from '../watch/bounds.ts';
import type { WatchSink } from '../watch/types.ts';
import type { WatchHub } from '../watch/watch-hub.ts';
import type { Admission } from './admission.ts';
import { apiBounds } from './bounds.ts';
import { decodePageToken, encodePageToken } from './page-token.ts';
import type {
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
  UpdateAnswer,
  UpdateRequest,
  WatchSession,
} from './types.ts';
import { WatchRooms } from './watch-rooms.ts';
import { HubWatchSession } from './watch-session.ts';

/**
 * Of the views of a page: the rest of `pageBytesMax` is for the header, the token and the two to four bytes in front of
 * each view, which has at least 43 itself.
 */
const pageViewBytesMax = apiBounds.pageBytesMax - apiBounds.pageBytesMax / 16;
const pageViewsMax = 2 ** 31 - 1;

export interface RegistryApiOptions {
  readonly replica: Replica;
  readonly hub: WatchHub;
  readonly admission: Admission;
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
  readonly #rooms: WatchRooms;

  constructor(options: RegistryApiOptions) {
    this.#replica = options.replica;
    this.#hub = options.hub;
    this.#admission = options.admission;
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
      const { namespace, service, pageSize, pageToken } = request;
      const token = pageToken === '' ? undefined : decodePageToken(pageToken, 'discover', namespace, service);
      await this.#fresh(request.consistency, Math.max(request.minRevision, token?.firstRevision ?? 0));
      const { state } = this.#replica;
      const countMax = pageSize === 0 ? pageViewsMax : pageSize;
      const { views, lastId, more } = state.views(namespace, service, token?.last ?? '', countMax, pageViewBytesMax);
      const header = this.#header(request.consistency);
      const firstRevision = token?.firstRevision ?? header.revision;
      const nextPageToken = more
        ? encodePageToken({ query: 'discover', namespace, name: service, firstRevision, last: lastId })
        : '';
      return { header, known: state.isKnown(namespace, service), views, nextPageToken, firstRevision };
    });
  }

  listServices(request: ListServicesRequest, _caller: Caller): Promise<ListServicesAnswer> {
    return this.#admission.run(async () => {
      const { namespace, prefix, pageSize, pageToken } = request;
      const token = pageToken === '' ? undefined : decodePageToken(pageToken, 'list-services', namespace, prefix);
      await this.#fresh(request.consistency, Math.max(request.minRevision, token?.firstRevision ?? 0));
      const { state } = this.#replica;
      const countMax = pageSize === 0 ? apiBounds.listPageSizeMax : pageSize;
      const { services, more } = state.services(namespace, prefix, token?.last ?? '', countMax);
      const header = this.#header(request.consistency);
      const firstRevision = token?.firstRevision ?? header.revision;
      const last = services.at(-1)?.service;
      const nextPageToken =
        more && last !== undefined
          ? encodePageToken({ query: 'list-services', namespace, name: prefix, firstRevision, last })
          : '';
      return { header, services, nextPageToken, firstRevision };
    });
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
      const { actor, origin } = caller;
      const result = await this.#replica.execute({ actor, origin, reason, requestId, body });
      if (result.kind === 'refused') throw refusal(result);
      if (!isOfKind(result, kind)) throw new InvariantError(`${body.kind} answered with ${result.kind}`);
      return result;
    });
  }

  /** Resolves when this member may answer from what it has applied; read right after it, before anything else runs. */
  async #fresh(consistency: Consistency, minRevision: number): Promise<void> {
    if (consistency === 'linearizable') await this.#replica.readBarrier();
    else this.#replica.assertServing();
    if (minRevision > this.#replica.state.position.revision) await this.#replica.waitForRevision(minRevision);
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

function refusal(result: ResultOf<'refused'>): RollcallError {
  const { reason, message, field } = result;
  return new RollcallError(reason, message, {
    ...(field === '' ? {} : { field }),
    ...(reason === 'OVERLOADED' ? { retryAfterMs: apiBounds.overloadedRetryAfterMs } : {}),
  });
}
