import { afterEach, describe, expect, it } from 'vitest';
import { RollcallClient } from '../../src/client/client.ts';
import type { ClientOptions } from '../../src/client/client.ts';
import { ClientError } from '../../src/client/client-error.ts';
import type { Behaviour } from './fake-member.ts';
import { deadAddress, FakeMember, until, v1 } from './fake-member.ts';

const members: FakeMember[] = [];
const clients: RollcallClient[] = [];

async function member(behaviour: Behaviour): Promise<FakeMember> {
  const started = await FakeMember.start(behaviour);
  members.push(started);
  return started;
}

function client(servers: readonly string[], options: Partial<ClientOptions> = {}): RollcallClient {
  const made = new RollcallClient({ spread: false, ...options, servers });
  clients.push(made);
  return made;
}

afterEach(() => {
  for (const made of clients.splice(0)) made.close();
  for (const started of members.splice(0)) started.kill();
});

async function failureOf(promise: Promise<unknown>): Promise<ClientError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ClientError) return error;
  throw new Error(`no ClientError: ${String(error)}`);
}

const header = { revision: 7, member: 'a' };
const registered = v1.RegisterResponse.encode({ header, incarnation: 7, leaseId: 3, ttlMs: 10_000 });
const discovered = v1.DiscoverResponse.encode({ header, known: true });
const instance = {
  service: 'web',
  id: 'web-1',
  endpoints: [{ name: 'main', protocol: 'grpc', address: '10.0.0.1', port: 80 }],
};
const lifetime = { ttlMs: 10_000 };

function requestIds(seen: FakeMember): string[] {
  return seen.seen.map(({ request }) => v1.RegisterRequest.decode(request).requestId);
}

describe('calls of a client', () => {
  it('registers, and sends what was given and nothing else', async () => {
    const a = await member({ unary: () => registered });
    const answer = await client([a.address]).register({
      instance: {
        ...instance,
        weight: 0,
        tags: ['x'],
        metadata: { __proto__: 'p', k: 'v' },
        zone: 'z',
        status: 'down',
      },
      lifetime,
      ifAbsent: true,
    });
    expect(answer).toMatchObject({ incarnation: 7, leaseId: 3, ttlMs: 10_000, replaced: false });
    expect(answer.header).toEqual({ revision: 7, member: 'a', consistency: 'linearizable', ageMs: 0 });
    const sent = v1.RegisterRequest.decode(a.seen[0]?.request ?? Buffer.alloc(0));
    expect(sent.instance).toMatchObject({ namespace: 'default', service: 'web', weight: 0, tags: ['x'], status: 4 });
    expect(sent.instance?.locality).toMatchObject({ zone: 'z' });
    expect(sent).toMatchObject({ ttlMs: 10_000, ifAbsent: true, ifIncarnation: 0 });
    expect(sent.requestId).toMatch(/^[0-9a-f]{24}$/);
  });

  it('passes over a member that is not there, and stays with the one that works', async () => {
    const b = await member({ unary: () => discovered });
    const c = client([await deadAddress(), b.address]);
    expect((await c.discover({ service: 'web' })).known).toBe(true);
    await c.discover({ service: 'web' });
    expect(b.seen).toHaveLength(2);
  });

  it('repeats a write with the same request id, and draws another for the next write', async () => {
    const a = await member({
      unary: (_, __, n) => (n === 0 ? { reason: 'OUTCOME_UNKNOWN', retryAfterMs: 1 } : registered),
    });
    const c = client([a.address]);
    await c.register({ instance, lifetime });
    await c.register({ instance, lifetime });
    const [first, second, third] = requestIds(a);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
    expect(a.seen[1]?.request).toEqual(a.seen[0]?.request);
  });

  it('takes a write whose connection breaks to the next member, with the same request id', async () => {
    const a: FakeMember = await member({
      unary: () => {
        a.kill();
        return 'hang';
      },
    });
    const b = await member({ unary: () => registered });
    await client([a.address, b.address]).register({ instance, lifetime });
    expect(requestIds(b)).toEqual(requestIds(a));
  });

  it('leaves a member that does not answer', async () => {
    const a = await member({ unary: () => 'hang' });
    const b = await member({ unary: () => discovered });
    const c = client([a.address, b.address], { attemptTimeoutMs: 50 });
    expect((await c.discover({ service: 'web' })).known).toBe(true);
    expect([a.seen.length, b.seen.length]).toEqual([1, 1]);
  });

  it('waits as long as a member asks', async () => {
    const times: number[] = [];
    const a = await member({
      unary: (_, __, n) => {
        times.push(performance.now());
        return n === 0 ? { reason: 'OVERLOADED', retryAfterMs: 120 } : discovered;
      },
    });
    await client([a.address]).discover({ service: 'web' });
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(119);
  });

  it('tells what the member said, and does not repeat what is pointless', async () => {
    const a = await member({ unary: () => ({ reason: 'INVALID_FIELD', field: 'instance.endpoints[0].port' }) });
    const error = await failureOf(client([a.address]).register({ instance, lifetime }));
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELD',
      field: 'instance.endpoints[0].port',
      retryable: false,
      mayHaveApplied: false,
      message: 'refused: INVALID_FIELD',
    });
    expect(a.seen).toHaveLength(1);
  });

  it('gives up at its deadline, with the last reason', async () => {
    const a = await member({ unary: () => ({ reason: 'NO_LEADER', retryAfterMs: 20 }) });
    const startMs = performance.now();
    const error = await failureOf(client([a.address], { callTimeoutMs: 1_500 }).register({ instance, lifetime }));
    // Well below the 10 s that a call takes by default: the deadline given is the one that counts.
    expect(performance.now() - startMs).toBeLessThan(5_000);
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_LEADER', retryable: true });
    expect(a.seen.length).toBeGreaterThan(1);
  });

  it('gives up at once where a member asks for more time than there is, with nothing applied', async () => {
    const a = await member({ unary: () => ({ reason: 'NO_LEADER', retryAfterMs: 60_000 }) });
    const error = await failureOf(client([a.address]).register({ instance, lifetime }));
    expect(error).toMatchObject({ reason: 'NO_LEADER', retryAfterMs: 60_000, mayHaveApplied: false });
    expect(a.seen).toHaveLength(1);
  });

  it('says of a write that was cut off that it may have been applied', async () => {
    const a = await member({ unary: () => 'hang' });
    const error = await failureOf(client([a.address], { callTimeoutMs: 60 }).register({ instance, lifetime }));
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'TIMEOUT', mayHaveApplied: true });
  });

  it('does not begin an attempt at a write that would be cut off, where nobody has taken it', async () => {
    const a = await member({ unary: (_, __, n) => (n < 1 ? { reason: 'NO_LEADER', afterMs: 700 } : 'hang') });
    const dead = await deadAddress();
    const c = client([a.address, dead], { callTimeoutMs: 1_500 });
    const error = await failureOf(c.register({ instance, lifetime }));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_LEADER', mayHaveApplied: false });
    expect(a.seen).toHaveLength(1);
  });

  it.each(['OUTCOME_UNKNOWN', 'hang'] as const)(
    'does not call a write certainly not applied behind an attempt that may have been: %s',
    async (first) => {
      const a = await member({
        unary: (_, __, n) => {
          if (n > 0) return { reason: 'NO_LEADER', retryAfterMs: 1 };
          return first === 'hang' ? 'hang' : { reason: first, retryAfterMs: 1 };
        },
      });
      const c = client([a.address, await deadAddress()], { callTimeoutMs: 300, attemptTimeoutMs: 50 });
      const error = await failureOf(c.register({ instance, lifetime }));
      expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'OUTCOME_UNKNOWN', mayHaveApplied: true });
      expect(error.message).toContain(first === 'hang' ? `${a.address} did not answer` : 'OUTCOME_UNKNOWN');
      expect(a.seen.length).toBeGreaterThan(1);
    },
  );

  it('says of a write whose answer cannot be read that it may have been applied', async () => {
    const garbage = { finish: () => Buffer.from('0aff', 'hex') };
    const c = client([(await member({ unary: () => garbage })).address]);
    const unread = { reason: 'BAD_ANSWER', mayHaveApplied: true };
    expect(await failureOf(c.register({ instance, lifetime }))).toMatchObject(unread);
    expect(await failureOf(c.discover({ service: 'web' }))).toMatchObject({ ...unread, mayHaveApplied: false });
  });

  it('fails fast with the outcome unknown where a member ends during a write', async () => {
    const a: FakeMember = await member({
      unary: () => {
        a.kill();
        return 'hang';
      },
    });
    const c = client([a.address, await deadAddress()], { failFast: true });
    const error = await failureOf(c.register({ instance, lifetime }));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'OUTCOME_UNKNOWN', mayHaveApplied: true });
  });

  it('waits for a member to come, unless it is to fail fast', async () => {
    const address = await deadAddress();
    const fast = await failureOf(client([address], { failFast: true }).discover({ service: 'web' }));
    expect(fast).toMatchObject({ code: 'UNAVAILABLE', reason: 'UNREACHABLE', address });
    const patient = client([address]).discover({ service: 'web' });
    const late = await FakeMember.start({ unary: () => discovered }, Number(address.split(':')[1]));
    members.push(late);
    expect((await patient).known).toBe(true);
  });

  it('gathers pages, none of a member that is behind the first, and says whether they are one cut', async () => {
    const view = (id: string) => ({ spec: { service: 'web', id }, meta: { incarnation: 1 } });
    const pages = [
      { header: { revision: 5, member: 'a' }, known: true, instances: [view('1')], nextPageToken: 't' },
      { header: { revision: 6, member: 'b' }, known: true, instances: [view('2')] },
    ];
    const a = await member({ unary: (_, __, n) => v1.DiscoverResponse.encode(pages[n] ?? {}) });
    const answer = await client([a.address]).discover({ service: 'web' });
    expect(answer).toMatchObject({ known: true, exact: false, firstRevision: 5, header: { revision: 6, member: 'b' } });
    expect(answer.instances.map(({ id, weight, status }) => [id, weight, status])).toEqual([
      ['1', 100, 'up'],
      ['2', 100, 'up'],
    ]);
    const asked = a.seen.map(({ request }) => v1.DiscoverRequest.decode(request));
    expect(asked.map(({ pageToken, minRevision }) => [pageToken, minRevision])).toEqual([
      ['', 0],
      ['t', 5],
    ]);
  });

  it('registers a batch with its conditions, and tells what became of each', async () => {
    const { BATCH_REGISTER_STATUS_REGISTERED, BATCH_REGISTER_STATUS_REPLACED, BATCH_REGISTER_STATUS_KEPT } =
      v1.BatchRegisterStatus;
    const results = [
      { status: BATCH_REGISTER_STATUS_REGISTERED, incarnation: 7 },
      { status: BATCH_REGISTER_STATUS_REPLACED, incarnation: 7 },
      { status: BATCH_REGISTER_STATUS_KEPT, incarnation: 3 },
      { status: 9 as 1 },
    ];
    const answer = v1.BatchRegisterResponse.encode({ header, results });
    const a = await member({
      unary: (_, __, n) => (n === 0 ? { reason: 'OUTCOME_UNKNOWN', retryAfterMs: 1 } : answer),
    });
    const instances = ['1', '2', '3', '4'].map((id) => ({ ...instance, id }));
    const batch = await client([a.address]).batchRegister({
      instances: [
        { ...instance, id: '1', ifAbsent: true },
        { ...instance, id: '2', ifIncarnation: 5 },
        { ...instance, id: '3', keepEqual: true },
        ...instances.slice(3),
      ],
      lifetime: { persistent: true },
    });
    expect(batch).toMatchObject({ leaseId: 0, ttlMs: 0, header: { revision: 7 } });
    expect(batch.results.map(({ status }) => status)).toEqual(['registered', 'replaced', 'kept', 'unrecognised']);
    const [first, again] = a.seen.map(({ request }) => v1.BatchRegisterRequest.decode(request));
    expect(again).toEqual(first);
    expect(first).toMatchObject({
      persistent: true,
      items: [{ ifAbsent: true }, { ifIncarnation: 5 }, { keepEqual: true }, {}],
    });
    expect(first?.items.map((item) => item.instance?.id)).toEqual(['1', '2', '3', '4']);
    expect(first?.requestId).toMatch(/^[0-9a-f]{24}$/);
  });

  it('discovers by a filter, the same on every page', async () => {
    const a = await member({
      unary: (_, __, n) => v1.DiscoverResponse.encode({ header, known: true, nextPageToken: n === 0 ? 't' : '' }),
    });
    const filter = { tags: ['canary'], statuses: ['up'] } as const;
    expect((await client([a.address]).discover({ service: 'web', filter })).instances).toEqual([]);
    const filters = a.seen.map(({ request }) => v1.DiscoverRequest.decode(request).filter);
    expect(filters[0]).toMatchObject({ tags: ['canary'], statuses: [2] });
    expect(filters[1]).toEqual(filters[0]);
  });

  it('discovers one consistent cut over a stream, within its time', async () => {
    const spec = (id: string) => ({ spec: { service: 'web', id }, meta: { incarnation: 1 } });
    const event = (id: string) => ({ kind: v1.WatchEventKind.WATCH_EVENT_KIND_PUT, revision: 5, instance: spec(id) });
    const creates: unknown[] = [];
    const a = await member({
      watch: (stream) => {
        stream.on('data', (bytes: Buffer) => {
          const { create } = v1.WatchRequest.decode(bytes);
          if (create === undefined || create === null) return;
          creates.push(create);
          if (create.service === 'late') return;
          const watchId = create.watchId ?? 0;
          const part = { watchId, kind: v1.WatchBatchKind.WATCH_BATCH_KIND_SNAPSHOT, toRevision: 5, header };
          for (const response of [
            { ...part, events: [event('1')], more: true },
            { ...part, events: [event('2')] },
            { watchId, kind: v1.WatchBatchKind.WATCH_BATCH_KIND_ENDED },
          ]) {
            stream.write(Buffer.from(v1.WatchResponse.encode(response).finish()));
          }
        });
      },
    });
    const c = client([a.address]);
    const cut = await c.discoverStream({ service: 'web', filter: { zones: ['z'] }, consistency: 'stale' });
    expect([cut.revision, cut.instances.map(({ id }) => id), cut.header.member]).toEqual([5, ['1', '2'], 'a']);
    expect(creates[0]).toMatchObject({ once: true, consistency: 1, filter: { zones: ['z'] } });
    expect(await failureOf(c.discoverStream({ service: 'late', timeoutMs: 50 }))).toMatchObject({ reason: 'TIMEOUT' });
    const cutOff = failureOf(c.discoverStream({ service: 'late' }));
    c.close();
    expect(await cutOff).toMatchObject({ reason: 'CLOSED' });
  });

  it('does not follow page tokens in a circle', async () => {
    const a = await member({ unary: () => v1.ListServicesResponse.encode({ header, nextPageToken: 'again' }) });
    expect(await failureOf(client([a.address]).listServices())).toMatchObject({ reason: 'BAD_ANSWER' });
  });

  it('asks one member for its status, also one that it was not given', async () => {
    const report = { memberId: 'b', role: v1.MemberRole.MEMBER_ROLE_LEADER, members: [{ memberId: 'b' }] };
    const b = await member({ unary: () => v1.StatusResponse.encode(report) });
    const dead = await deadAddress();
    const c = client([dead]);
    expect(await c.statusOf(b.address)).toMatchObject({ memberId: 'b', role: 'leader' });
    expect(await failureOf(c.statusOf(dead))).toMatchObject({ reason: 'UNREACHABLE' });
  });

  it('ends all calls when it is closed, and its connections', async () => {
    const a = await member({ unary: () => 'hang' });
    const c = client([a.address]);
    const call = failureOf(c.discover({ service: 'web' }));
    const paused = client([await deadAddress()]);
    const pausing = failureOf(paused.discover({ service: 'web' }));
    await until(() => a.seen.length === 1, 'the call arrives');
    c.close();
    paused.close();
    expect(await call).toMatchObject({ reason: 'CLOSED' });
    expect(await pausing).toMatchObject({ reason: 'CLOSED' });
    expect(await failureOf(c.discover({ service: 'web' }))).toMatchObject({ reason: 'CLOSED' });
  });

  it('bounds the calls under way', async () => {
    const a = await member({ unary: () => 'hang' });
    const c = client([a.address], { callTimeoutMs: 60_000 });
    const calls = Array.from({ length: 2_048 }, () => failureOf(c.status()));
    expect(await failureOf(c.status())).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'TOO_MANY' });
    c.close();
    expect((await Promise.all(calls)).every(({ reason }) => reason === 'CLOSED')).toBe(true);
  });

  it.each(['', 'host', 'host:0', 'host:70000', 'a b:1', '::1:7400', '[::1:7400', 'http://host:1'])(
    'refuses the address "%s"',
    (address) => {
      expect(() => new RollcallClient({ servers: address })).toThrow(/write host:port/);
    },
  );

  it('takes 1 to 64 addresses', () => {
    const addresses = Array.from({ length: 65 }, (_, i) => `127.0.0.1:${i + 1}`);
    client(addresses.slice(1));
    expect(() => new RollcallClient({ servers: addresses })).toThrow(/at most 64/);
    expect(() => new RollcallClient({ servers: [] })).toThrow(/no address/);
    expect(() => new RollcallClient({ servers: ['[::1]:7400'] })).not.toThrow();
  });
});
