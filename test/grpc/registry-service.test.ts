import { Metadata, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import type { RawClient } from './grpc-harness.ts';
import { detailsOf, failureOf, Harness, registerBytes, until } from './grpc-harness.ts';

const v1 = rollcall.v1;
let harness: Harness;
let client: RawClient;

beforeAll(async () => {
  harness = await Harness.start();
  client = harness.client();
});
afterAll(() => harness.stop());
beforeEach(() => {
  harness.registry.before = async () => undefined;
  harness.observer.calls.length = 0;
});

describe('the unary methods', () => {
  it('registers, and answers with what the registry gave', async () => {
    const answer = v1.RegisterResponse.decode(await client.registry('Register', registerBytes('one')));
    expect(answer).toMatchObject({ incarnation: harness.registry.revision, leaseId: 7_000, ttlMs: 10_000 });
    expect(answer.header).toMatchObject({ member: 'a', revision: harness.registry.revision });
    expect(answer.replaced).toBe(false);
    const again = v1.RegisterResponse.decode(await client.registry('Register', registerBytes('one')));
    expect(again.replaced).toBe(true);
  });

  it('tells the registry from where the call comes', async () => {
    await client.registry('Register', registerBytes('origin'));
    expect(harness.registry.callers.at(-1)).toEqual({
      actor: 'anonymous',
      origin: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    });
  });

  it('answers Discover with the bytes of the spec as they were sent, unknown fields included', async () => {
    const unknownField = [0xfa, 0x3f, 2, 1, 2];
    const spec = Buffer.concat([
      v1.InstanceSpec.encode({
        service: 'bytes',
        id: 'x',
        endpoints: [{ name: 'main', protocol: 'grpc', address: '10.0.0.1', port: 1 }],
        metadata: { colour: 'blau ü' },
      }).finish(),
      Buffer.from(unknownField),
    ]);
    const request = Buffer.concat([Buffer.from([0x0a, spec.length]), spec, Buffer.from([0x20, 1])]);
    const before = harness.observer.unknown;
    await client.registry('Register', request);
    expect(harness.observer.unknown - before).toBe(1);
    const bytes = await client.registry('Discover', v1.DiscoverRequest.encode({ service: 'bytes' }).finish());
    expect(bytes.includes(spec)).toBe(true);
    const answer = v1.DiscoverResponse.decode(bytes);
    expect(answer.known).toBe(true);
    expect(answer.instances[0]?.spec?.metadata).toEqual({ colour: 'blau ü' });
    expect(answer.firstRevision).toBe(harness.registry.revision);
  });

  it('says how old a stale answer may be, rounded up', async () => {
    const request = v1.DiscoverRequest.encode({ service: 'none', consistency: 1 }).finish();
    const answer = v1.DiscoverResponse.decode(await client.registry('Discover', request));
    expect(answer.known).toBe(false);
    expect(answer.header).toMatchObject({ consistency: 1, ageMs: 13 });
  });

  it('serves the other methods', async () => {
    const instance = { service: 'shop', id: 'other', endpoints: [{ name: 'm', protocol: 'p', address: 'h', port: 1 }] };
    await client.registry('Register', registerBytes('other'));
    const update = v1.UpdateRequest.encode({ instance, incarnation: 1 }).finish();
    expect(v1.UpdateResponse.decode(await client.registry('Update', update)).changed).toBe(true);
    const key = { service: 'shop', id: 'other' };
    const remove = v1.DeregisterRequest.encode({ key }).finish();
    expect(v1.DeregisterResponse.decode(await client.registry('Deregister', remove)).existed).toBe(true);
    expect(v1.DeregisterResponse.decode(await client.registry('Deregister', remove)).existed).toBe(false);
    const grant = v1.GrantLeaseRequest.encode({ ttlMs: 5_000 }).finish();
    expect(v1.GrantLeaseResponse.decode(await client.registry('GrantLease', grant)).leaseId).toBe(2 ** 41);
    const revoke = v1.RevokeLeaseRequest.encode({ leaseId: 2 ** 41 }).finish();
    expect(v1.RevokeLeaseResponse.decode(await client.registry('RevokeLease', revoke)).instances).toBe(3);
    const list = v1.ListServicesResponse.decode(await client.registry('ListServices', new Uint8Array()));
    expect(list).toMatchObject({ nextPageToken: 'next', firstRevision: 1 });
    expect(list.services[0]).toMatchObject({ namespace: 'default', service: 'shop', instances: 2 });
  });

  it('registers many, and counts what it does not know of each', async () => {
    const item = (id: string): rollcall.v1.BatchRegisterItem.$Properties => {
      return { instance: { service: 'many', id, endpoints: [{ name: 'm', protocol: 'p', address: 'h', port: 1 }] } };
    };
    const known = v1.BatchRegisterRequest.encode({ items: [item('a')], ttlMs: 5_000 }).finish();
    const unknown = Buffer.concat([
      v1.InstanceSpec.encode(item('b').instance ?? {}).finish(),
      Buffer.from([0xf8, 0x3f, 1]),
    ]);
    const second = Buffer.concat([Buffer.from([0x0a, unknown.length + 2, 0x0a, unknown.length]), unknown]);
    const before = harness.observer.unknown;
    const bytes = await client.registry('BatchRegister', Buffer.concat([known, second]));
    const answer = v1.BatchRegisterResponse.decode(bytes);
    const { revision } = harness.registry;
    expect(v1.BatchRegisterResponse.toObject(answer)).toEqual({
      header: { revision, member: 'a' },
      leaseId: 7_000,
      ttlMs: 5_000,
      results: [
        { status: v1.BatchRegisterStatus.BATCH_REGISTER_STATUS_REGISTERED, incarnation: revision },
        { status: v1.BatchRegisterStatus.BATCH_REGISTER_STATUS_REGISTERED, incarnation: revision },
      ],
    });
    expect(harness.observer.unknown - before).toBe(1);
    expect(harness.observer.calls.at(-1)).toMatchObject({ method: 'BatchRegister', outcome: 'OK' });
    const twice = v1.BatchRegisterRequest.encode({ items: [item('a'), item('a')], persistent: true }).finish();
    const error = await failureOf(client.registry('BatchRegister', twice));
    expect(detailsOf(error).badRequest?.fieldViolations[0]?.field).toBe('items[1]');
  });

  it('discovers by a filter', async () => {
    for (const [id, tags] of [
      ['f1', ['blue']],
      ['f2', ['red', 'blue']],
      ['f3', ['red']],
    ] as const) {
      const endpoints = [{ name: 'm', protocol: 'p', address: 'h', port: 1 }];
      await client.registry(
        'Register',
        registerBytes(id, { instance: { service: 'fil', id, endpoints, tags: [...tags] } }),
      );
    }
    const request = v1.DiscoverRequest.encode({ service: 'fil', filter: { tags: ['blue'] } }).finish();
    const answer = v1.DiscoverResponse.decode(await client.registry('Discover', request));
    expect(answer.instances.map((instance) => instance.spec?.id)).toEqual(['f1', 'f2']);
    const wrong = v1.DiscoverRequest.encode({ service: 'fil', filter: { versionRange: 'latest' } }).finish();
    const error = await failureOf(client.registry('Discover', wrong));
    expect(detailsOf(error).badRequest?.fieldViolations[0]?.field).toBe('filter.version_range');
  });

  it('answers Cluster.Status', async () => {
    const answer = v1.StatusResponse.decode(await client.unary('/rollcall.v1.Cluster/Status', new Uint8Array()));
    expect(v1.StatusResponse.toObject(answer)).toEqual({
      clusterId: 'c1',
      memberId: 'a',
      directoryId: 'd1',
      boot: 3,
      role: v1.MemberRole.MEMBER_ROLE_LEADER,
      leaderId: 'a',
      term: 4,
      commitIndex: 10,
      appliedIndex: 9,
      lastIndex: 12,
      durableIndex: 11,
      flushedIndex: 8,
      firstKeptIndex: 1,
      revision: 7,
      stateHash: '0'.repeat(32),
      members: [
        {
          memberId: 'b',
          peerAddress: '127.0.0.1:7421',
          clientAddress: '127.0.0.1:7420',
          reachable: true,
          matchIndex: 12,
          replicationState: 'replicate',
          lastContactMs: 21,
          kind: v1.MemberKind.MEMBER_KIND_VOTER,
        },
      ],
      version: '0.1.0',
      uptimeMs: 1_234,
      instances: 5,
      services: 2,
      leases: 3,
      sessions: 6,
      sessionStreams: 4,
      watches: 1,
      diskFreeBytes: 2 ** 40,
      logBytes: 4_096,
    });
  });
});

describe('errors', () => {
  it('name the field, with details equal to the status', async () => {
    const bytes = registerBytes('bad', { instance: { service: 'Shop', id: 'x' } });
    const error = await failureOf(client.registry('Register', bytes));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    const details = detailsOf(error);
    expect(details.status).toMatchObject({ code: error.code, message: error.details });
    expect(details.errorInfo).toMatchObject({ reason: 'INVALID_FIELD', domain: 'rollcall' });
    expect(details.badRequest?.fieldViolations[0]?.field).toBe('instance.service');
    expect(details.retryInfo).toBeUndefined();
  });

  it('say when to try again', async () => {
    harness.registry.before = async () => {
      throw new RollcallError('NO_LEADER', 'no leader', { retryAfterMs: 1_250, facts: { leader: '' } });
    };
    const error = await failureOf(client.registry('Register', registerBytes('x')));
    expect(error.code).toBe(status.UNAVAILABLE);
    expect(detailsOf(error).retryInfo?.retryDelay).toMatchObject({ seconds: 1, nanos: 250_000_000 });
    expect(detailsOf(error).errorInfo?.metadata).toEqual({ leader: '' });
    expect(error.metadata.get('grpc-retry-pushback-ms')).toEqual(['1250']);
    expect(harness.observer.calls.at(-1)).toMatchObject({ method: 'Register', outcome: 'UNAVAILABLE' });
  });

  const truncated = registerBytes('cut').slice(0, -3);
  it.each([
    ['Register', Buffer.from('garbage that is no protobuf')],
    ['Register', Buffer.alloc(300, 0xff)],
    ['Register', truncated],
    ['Update', Buffer.from([0x08])],
    ['Deregister', Buffer.from([0x0b, 0x0c])],
    ['Discover', Buffer.from([0x12, 0x7f, 0x61])],
    ['GrantLease', Buffer.alloc(64, 0x80)],
    ['RevokeLease', Buffer.from([0x0d, 1, 2, 3, 4])],
    ['ListServices', Buffer.from([0x0a, 0x02, 0xc3, 0x28])],
  ] as const)('refuse garbage in place of a request of %s', async (method, bytes) => {
    const error = await failureOf(client.registry(method, bytes));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(['INVALID_FIELD', 'MALFORMED_MESSAGE']).toContain(detailsOf(error).errorInfo?.reason);
    expect(detailsOf(error).status.message).toBe(error.details);
  });

  it('refuse an unknown value of an enum by its field', async () => {
    const error = await failureOf(client.registry('Discover', Buffer.from([0x12, 1, 0x61, 0x18, 9])));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(detailsOf(error).badRequest?.fieldViolations[0]?.field).toBe('consistency');
  });

  it('say UNIMPLEMENTED for a method that is not there', async () => {
    const unknownMethods = ['/rollcall.v1.Registry/Nothing', '/rollcall.v1.Nothing/Register', '/x'];
    for (const path of unknownMethods) {
      expect((await failureOf(client.unary(path, new Uint8Array()))).code).toBe(status.UNIMPLEMENTED);
    }
  });

  it('give a fault of ours to the owner, and tell the caller no more than INTERNAL', async () => {
    const fault = new InvariantError('secret state');
    harness.registry.before = async () => {
      throw fault;
    };
    const error = await failureOf(client.registry('Register', registerBytes('x')));
    expect(error.code).toBe(status.INTERNAL);
    expect(error.details).not.toContain('secret');
    expect(detailsOf(error).errorInfo?.reason).toBe('INTERNAL');
    expect(harness.fatal).toEqual([fault]);
    harness.fatal.length = 0;
  });
});

describe('deadlines and cancellation', () => {
  it('answer DEADLINE_EXCEEDED while the registry still works, and record it so', async () => {
    let release: () => void = () => undefined;
    harness.registry.before = () => new Promise((resolve) => (release = resolve));
    const deadline = Date.now() + 60;
    const call = client.unary('/rollcall.v1.Registry/Register', registerBytes('late'), { deadline });
    expect((await failureOf(call)).code).toBe(status.DEADLINE_EXCEEDED);
    // The server counts from the arrival of the call, and so a little later than the client.
    await until(() => Date.now() > deadline + 60, 'the deadline at the server');
    release();
    await until(() => harness.observer.calls.length === 1, 'the call is recorded');
    expect(harness.observer.calls[0]).toMatchObject({ method: 'Register', outcome: 'DEADLINE_EXCEEDED' });
    expect(harness.fatal).toEqual([]);
  });

  it('tell the registry until when the caller waits, and nothing where it does not say', async () => {
    const deadlineOf = async (deadline?: number): Promise<number | undefined> => {
      const options = deadline === undefined ? {} : { deadline };
      await client.unary('/rollcall.v1.Registry/Register', registerBytes('until'), options);
      return harness.registry.callers.at(-1)?.deadlineMs;
    };
    expect(await deadlineOf()).toBeUndefined();
    const startedMs = performance.now();
    const deadlineMs = (await deadlineOf(Date.now() + 30_000)) ?? 0;
    // By the monotonic clock; rounded by gRPC, and counted from the arrival at the server.
    expect(deadlineMs - startedMs).toBeGreaterThan(29_000);
    expect(deadlineMs - performance.now()).toBeLessThan(30_100);
  });

  it('start no work for a call whose deadline has passed when it arrives', async () => {
    const metadata = new Metadata();
    // grpc-js sends the header from the deadline; one of the past never leaves it, so it is written by hand.
    metadata.set('grpc-timeout', '0m');
    const before = harness.registry.discoverCalls;
    const request = rollcall.v1.DiscoverRequest.encode({ service: 'a' }).finish();
    const error = await failureOf(client.unary('/rollcall.v1.Registry/Discover', request, { metadata }));
    expect(error.code).toBe(status.DEADLINE_EXCEEDED);
    expect(harness.registry.discoverCalls).toBe(before);
  });
});
