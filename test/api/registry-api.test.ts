import { describe, expect, it } from 'vitest';
import { Admission } from '../../src/api/admission.ts';
import { apiBounds } from '../../src/api/bounds.ts';
import { ReplicaClusterApi } from '../../src/api/cluster-api.ts';
import { decodePageToken, encodePageToken } from '../../src/api/page-token.ts';
import { checkSpec } from '../../src/api/parse-spec.ts';
import { ReplicatedRegistryApi } from '../../src/api/registry-api.ts';
import type { BatchRegisterItem, DiscoverRequest, ListServicesRequest, RegisterRequest } from '../../src/api/types.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { matchAll } from '../../src/filter/compile-filter.ts';
import { noSessions, ReplicaDouble } from './replica-double.ts';
import { fieldOf, specBytes } from './requests.ts';

const caller = { actor: 'anonymous', origin: '127.0.0.1:9' };

function setUp(callsMax?: number): { readonly replica: ReplicaDouble; readonly api: ReplicatedRegistryApi } {
  const replica = new ReplicaDouble();
  const admission = new Admission(callsMax);
  const api = new ReplicatedRegistryApi({ replica, hub: replica.hub, admission, sessions: noSessions });
  return { replica, api };
}

function register(id: string, rest: Partial<RegisterRequest> = {}, text = ''): RegisterRequest {
  const spec = checkSpec(specBytes({ id, metadata: { text } }));
  return { spec, lifetime: { kind: 'ttl', ttlMs: 5_000 }, ifAbsent: false, ifIncarnation: 0, requestId: '', ...rest };
}

const discover: DiscoverRequest = {
  namespace: 'shop',
  service: 'cart',
  consistency: 'linearizable',
  minRevision: 0,
  pageSize: 0,
  pageToken: '',
  matcher: matchAll,
};
const list: ListServicesRequest = {
  namespace: 'shop',
  prefix: '',
  consistency: 'linearizable',
  minRevision: 0,
  pageSize: 0,
  pageToken: '',
};

async function errorOf(promise: Promise<unknown>): Promise<RollcallError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RollcallError) return error;
    throw error;
  }
  throw new Error('not refused');
}

describe('writes', () => {
  it('register, update and deregister one instance, with who and why', async () => {
    const { replica, api } = setUp();
    const first = await api.register(register('i', { requestId: 'r1' }), caller);
    expect(first).toEqual({
      header: { revision: 1, member: 'a', consistency: 'linearizable', ageMs: 0 },
      incarnation: 1,
      leaseId: first.leaseId,
      ttlMs: 5_000,
      replaced: false,
    });
    expect(first.leaseId).toBeGreaterThan(0);
    const { spec } = register('i', {}, 'more');
    expect(await api.update({ spec, incarnation: 1, requestId: '' }, caller)).toMatchObject({ changed: true });
    expect(await api.update({ spec, incarnation: 1, requestId: '' }, caller)).toMatchObject({ changed: false });
    const name = spec.name;
    const gone = await api.deregister({ name, incarnation: 0, requestId: '', reason: 'bye' }, caller);
    expect(gone).toMatchObject({ existed: true, header: { revision: 3 } });
    expect(replica.commands.at(-1)).toMatchObject({ ...caller, reason: 'bye', requestId: '' });
    expect(replica.commands[0]).toMatchObject({ ...caller, reason: '', requestId: 'r1' });
  });

  it('answer what apply refuses as the error of that reason', async () => {
    const { api } = setUp();
    await api.register(register('i'), caller);
    const taken = await errorOf(api.register(register('i', { ifAbsent: true }), caller));
    expect([taken.reason, taken.code, taken.field]).toEqual(['ALREADY_REGISTERED', 'ALREADY_EXISTS', 'if_absent']);
    const absent = await errorOf(api.update({ spec: register('j').spec, incarnation: 1, requestId: '' }, caller));
    expect(absent.reason).toBe('UNKNOWN_INSTANCE');
    const lease = await errorOf(api.register(register('k', { lifetime: { kind: 'lease', leaseId: 77 } }), caller));
    expect(lease.reason).toBe('UNKNOWN_LEASE');
  });

  it('register many at one revision, or none', async () => {
    const { replica, api } = setUp();
    const item = (id: string, rest: Partial<BatchRegisterItem> = {}): BatchRegisterItem => {
      return { spec: register(id).spec, ifAbsent: false, ifIncarnation: 0, keepEqual: false, ...rest };
    };
    const lifetime = { kind: 'persistent' } as const;
    await api.register(register('b'), caller);
    const items = [item('a'), item('b')];
    expect(await api.batchRegister({ items, lifetime, requestId: 'r1' }, caller)).toEqual({
      header: { revision: 2, member: 'a', consistency: 'linearizable', ageMs: 0 },
      leaseId: 0,
      ttlMs: 0,
      results: [
        { status: 'registered', incarnation: 2 },
        { status: 'replaced', incarnation: 2 },
      ],
    });
    expect(replica.commands.at(-1)).toMatchObject({ ...caller, requestId: 'r1' });
    const again = [item('a', { keepEqual: true }), item('c')];
    expect((await api.batchRegister({ items: again, lifetime, requestId: '' }, caller)).results).toEqual([
      { status: 'kept', incarnation: 2 },
      { status: 'registered', incarnation: 3 },
    ]);
    const refused = [item('d'), item('a', { ifAbsent: true })];
    const error = await errorOf(api.batchRegister({ items: refused, lifetime, requestId: '' }, caller));
    expect(error.reason).toBe('ALREADY_REGISTERED');
    expect((await api.discover(discover, caller)).views.length).toBe(3);
  });

  it('say until when their caller waits', async () => {
    const { replica, api } = setUp();
    await api.register(register('i'), { ...caller, deadlineMs: 1_234 });
    await api.grantLease({ ttlMs: 3_000, requestId: '' }, caller);
    expect(replica.deadlines).toEqual([1_234, undefined]);
    expect(replica.commands[0]).not.toHaveProperty('deadlineMs');
  });

  it('grant, renew and revoke leases', async () => {
    const { api } = setUp();
    const { leaseId } = await api.grantLease({ ttlMs: 3_000, requestId: '' }, caller);
    for (const id of ['i', 'j']) await api.register(register(id, { lifetime: { kind: 'lease', leaseId } }), caller);
    expect(await api.renew([leaseId, 99], caller)).toEqual([
      { leaseId, status: 'renewed', ttlMs: 3_000 },
      { leaseId: 99, status: 'unknown', ttlMs: 0 },
    ]);
    const revoked = await api.revokeLease({ leaseId, requestId: '', reason: '' }, caller);
    expect(revoked).toMatchObject({ existed: true, instances: 2 });
    expect(await api.revokeLease({ leaseId, requestId: '', reason: '' }, caller)).toMatchObject({ existed: false });
  });

  it('pass on what the replica rejects with', async () => {
    const { replica, api } = setUp();
    replica.refusal = new RollcallError('MEMBER_FENCED', 'fenced', { retryAfterMs: 10 });
    expect(await errorOf(api.register(register('i'), caller))).toBe(replica.refusal);
    expect(await errorOf(api.discover(discover, caller))).toBe(replica.refusal);
    expect(await errorOf(api.discover({ ...discover, consistency: 'stale' }, caller))).toBe(replica.refusal);
    expect(await errorOf(api.listServices({ ...list, consistency: 'stale' }, caller))).toBe(replica.refusal);
  });
});

describe('reads', () => {
  it('are behind a barrier, or say how old they may be', async () => {
    const { replica, api } = setUp();
    await api.register(register('i'), caller);
    const fresh = await api.discover(discover, caller);
    expect(fresh.header).toEqual({ revision: 1, member: 'a', consistency: 'linearizable', ageMs: 0 });
    expect([fresh.known, fresh.views.length, fresh.nextPageToken, replica.barriers]).toEqual([true, 1, '', 1]);
    const stale = await api.discover({ ...discover, consistency: 'stale' }, caller);
    expect(stale.header).toEqual({ revision: 1, member: 'a', consistency: 'stale', ageMs: 12 });
    expect(replica.barriers).toBe(1);
    expect(await api.discover({ ...discover, service: 'nobody' }, caller)).toMatchObject({ known: false, views: [] });
  });

  it('wait for min_revision only where it is not applied', async () => {
    const { replica, api } = setUp();
    await api.register(register('i'), caller);
    await api.discover({ ...discover, consistency: 'stale', minRevision: 1 }, caller);
    expect(replica.waits).toEqual([]);
    expect((await errorOf(api.discover({ ...discover, minRevision: 2 }, caller))).reason).toBe('MEMBER_BEHIND');
    expect((await errorOf(api.listServices({ ...list, minRevision: 3 }, caller))).reason).toBe('MEMBER_BEHIND');
    expect(replica.waits).toEqual([2, 3]);
  });

  it('come in pages by size, each continued by its token', async () => {
    const { api } = setUp();
    for (let i = 0; i < 5; i++) await api.register(register(`i${i}`), caller);
    const seen: number[] = [];
    let pageToken = '';
    do {
      const page = await api.discover({ ...discover, pageSize: 2, pageToken }, caller);
      seen.push(page.views.length);
      expect(page.firstRevision).toBe(5);
      ({ nextPageToken: pageToken } = page);
      if (pageToken !== '') await api.register(register('i0'), caller);
    } while (pageToken !== '');
    expect(seen).toEqual([2, 2, 1]);
  });

  it('keep a page below 4 MiB', async () => {
    const { api } = setUp();
    for (let i = 0; i < 700; i++) await api.register(register(`i${i}`, {}, 'x'.repeat(8_000)), caller);
    const first = await api.discover(discover, caller);
    const bytes = first.views.reduce((sum, view) => sum + view.length + 4, 0);
    expect(bytes).toBeLessThan(apiBounds.pageBytesMax - 1_000);
    expect(bytes).toBeGreaterThan(apiBounds.pageBytesMax * 0.9);
    const second = await api.discover({ ...discover, pageToken: first.nextPageToken }, caller);
    expect(first.views.length + second.views.length).toBe(700);
    expect(second.nextPageToken).toBe('');
  });

  it('list services by prefix and page', async () => {
    const { replica, api } = setUp();
    for (const service of ['cart', 'cat', 'dog']) {
      replica.driver.register(service, 'i');
    }
    const request: ListServicesRequest = { ...list, namespace: 'default', prefix: 'ca', pageSize: 1 };
    const first = await api.listServices(request, caller);
    expect(first.services.map(({ service }) => service)).toEqual(['cart']);
    const second = await api.listServices({ ...request, pageToken: first.nextPageToken }, caller);
    expect(second.services.map(({ service }) => service)).toEqual(['cat']);
    expect(second.nextPageToken).toBe('');
  });

  it('refuse a token of another query, or none of ours', async () => {
    const query = { kind: 'discover', namespace: 'n', name: 's', filter: 'f' } as const;
    const token = encodePageToken({ query, firstRevision: 7, last: 'id' });
    expect(decodePageToken(token, query)).toMatchObject({ firstRevision: 7, last: 'id' });
    const others = [
      { kind: 'list-services' },
      { name: 't' },
      { namespace: 'm' },
      { filter: '' },
      { filter: 'g' },
    ] as const;
    for (const other of others) {
      expect(fieldOf(() => decodePageToken(token, { ...query, ...other }))).toBe('page_token');
    }
    for (let i = 0; i < token.length; i++) {
      expect(fieldOf(() => decodePageToken(token.slice(0, i), query))).toBe('page_token');
    }
    for (const other of [`${token}=`, `${token}A`, ` ${token}`, 'x', '!']) {
      expect(fieldOf(() => decodePageToken(other, query))).toBe('page_token');
    }
    const { api } = setUp();
    expect((await errorOf(api.discover({ ...discover, pageToken: token }, caller))).field).toBe('page_token');
    const longest = {
      kind: 'discover',
      namespace: 'n'.repeat(128),
      name: 's'.repeat(128),
      filter: 'f'.repeat(32),
    } as const;
    const last = 'i'.repeat(256);
    const long = encodePageToken({ query: longest, firstRevision: Number.MAX_SAFE_INTEGER, last });
    expect(long.length).toBeLessThanOrEqual(apiBounds.pageTokenBytesMax);
  });

  it('refuse a token of a revision that the cluster never had', async () => {
    const { replica, api } = setUp();
    await api.register(register('i'), caller);
    const tokenOf = (firstRevision: number): string => {
      const query = { kind: 'discover', namespace: 'shop', name: 'cart', filter: '' } as const;
      return encodePageToken({ query, firstRevision, last: '' });
    };
    expect((await api.discover({ ...discover, pageToken: tokenOf(1) }, caller)).views.length).toBe(1);
    const never = await errorOf(api.discover({ ...discover, pageToken: tokenOf(2) }, caller));
    expect([never.reason, never.field]).toEqual(['OUT_OF_HISTORY', 'page_token']);
    expect(replica.waits).toEqual([]);
    // Without a barrier this member may just be behind the one that gave it.
    const stale: DiscoverRequest = { ...discover, consistency: 'stale', pageToken: tokenOf(2) };
    expect((await errorOf(api.discover(stale, caller))).reason).toBe('MEMBER_BEHIND');
  });
});

describe('calls in flight', () => {
  it('are bounded: one more is refused with a hint, and room comes back', async () => {
    const { replica, api } = setUp();
    replica.held = [];
    const calls = Array.from({ length: apiBounds.callsInFlightMax }, () => api.discover(discover, caller));
    const refused = await errorOf(api.discover(discover, caller));
    expect([refused.reason, refused.retryAfterMs]).toEqual(['OVERLOADED', apiBounds.overloadedRetryAfterMs]);
    expect((await errorOf(api.register(register('i'), caller))).reason).toBe('OVERLOADED');
    replica.release();
    expect((await Promise.all(calls)).length).toBe(2_048);
    replica.held = undefined;
    expect(await api.discover(discover, caller)).toMatchObject({ known: false });
  });

  it('give their place back when they fail', async () => {
    const { replica, api } = setUp(1);
    replica.refusal = new RollcallError('NO_LEADER', 'none', { retryAfterMs: 10 });
    for (let i = 0; i < 3; i++) expect((await errorOf(api.register(register('i'), caller))).reason).toBe('NO_LEADER');
  });
});

describe('status', () => {
  it('names all members in order, with what is known of each', () => {
    const { replica } = setUp();
    replica.driver.register('cart', 'i');
    replica.clock.advance(500);
    const status = new ReplicaClusterApi({
      replica,
      hub: replica.hub,
      sessionStreams: () => 4,
      clock: replica.clock,
      version: '0.1.0',
      peerAddress: 'a:7401',
      clientAddress: 'a:7400',
    }).status();
    expect(status).toMatchObject({
      version: '0.1.0',
      instances: 1,
      services: 1,
      leases: 0,
      watches: 0,
      sessionStreams: 4,
    });
    expect(status.members).toEqual([
      expect.objectContaining({
        memberId: 'a',
        clientAddress: 'a:7400',
        reachable: true,
        lastContactMs: 0,
        matchIndex: 11,
      }),
      expect.objectContaining({
        memberId: 'b',
        peerAddress: 'b:7401',
        reachable: true,
        lastContactMs: 400,
        matchIndex: 9,
      }),
      expect.objectContaining({ memberId: 'c', reachable: false, lastContactMs: 5_000 }),
    ]);
  });
});
