// Whatever clients send to a real member: it is refused by the field's name, ends nothing but its own call, and leaves
// no memory behind.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServiceError } from '@grpc/grpc-js';
import { Client, credentials, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planMembers, ProcessCluster, waitFor } from '../../scripts/cluster/process-cluster.ts';
import { apiBounds } from '../../src/api/bounds.ts';
import { must } from '../../src/base/assert.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { WireWriter } from '../../src/base/wire-writer.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { detailsOf, RawClient, registerBytes } from '../grpc/grpc-harness.ts';
import { openRaw } from '../grpc/raw-http2.ts';
import type { Method } from './malformed.ts';
import { malformedRequests, methods } from './malformed.ts';

const mib = 1024 * 1024;
const lanes = 32;

let directory: string;
let cluster: ProcessCluster;
let clients: RawClient[];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rollcall-bad-input-'));
  cluster = new ProcessCluster({ directory, members: await planMembers(1) });
  clients = [];
  cluster.startAll();
  await cluster.leader(20_000);
});

afterAll(async () => {
  for (const { grpc } of clients) grpc.close();
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** On a connection of its own. */
function connect(): RawClient {
  const { client } = must(cluster.members[0], 'the member');
  const grpc = new Client(`127.0.0.1:${client}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_send_message_length': -1,
    'grpc.enable_retries': 0,
  });
  const made = new RawClient(grpc);
  clients.push(made);
  return made;
}

/** How the member answers one request; undefined: with OK, or for a stream with a message. */
function answer(client: RawClient, method: Method, bytes: Uint8Array): Promise<ServiceError | undefined> {
  if (!method.streams) {
    return client.unary(method.path, bytes, { deadline: Date.now() + 10_000 }).then(
      () => undefined,
      (error: unknown) => error as ServiceError,
    );
  }
  return new Promise((resolve) => {
    const stream = client.bidi(method.name as 'KeepAlive' | 'Watch');
    const timer = setTimeout(() => stream.cancel(), 10_000);
    stream.on('data', () => {
      resolve(undefined);
      stream.cancel();
    });
    stream.on('error', (error: ServiceError) => resolve(error));
    stream.on('status', (end: { code: number }) => {
      clearTimeout(timer);
      if (end.code === status.OK) resolve(undefined);
    });
    stream.write(Buffer.from(bytes));
    stream.end();
  });
}

/** Works through the list, `lanes` at once, so that a failure is told with its place in the list. */
async function each<T>(list: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let one = list[next++]; one !== undefined; one = list[next++]) await work(one);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** Of the member's process, as the kernel counts it. */
function residentBytes(): number {
  const pid = must(cluster.pidOf('a'), 'the process of the member');
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(must(line?.[1], 'VmRSS')) * 1024;
}

async function stillServes(): Promise<void> {
  const client = connect();
  const bytes = await client.registry('Register', registerBytes(`after-${clients.length}`));
  expect(rollcall.v1.RegisterResponse.decode(bytes).incarnation).toBeGreaterThan(0);
}

function errorLines(): string[] {
  const lines = readFileSync(cluster.logFileOf('a'), 'utf8').trimEnd().split('\n');
  return lines.filter((line) => !/^\{"level":"(?:info|warn)",.*\}$/.test(line));
}

describe('a request with one bad field', () => {
  const all = malformedRequests();
  for (const method of methods) {
    const own = all.filter((one) => one.method === method);
    if (own.length === 0) continue;
    it(`is refused by the field's name: ${method.name}, ${own.length} ways`, async () => {
      const client = connect();
      const wrong: string[] = [];
      await each(own, async ({ bytes, field, what }) => {
        const error = await answer(client, method, bytes);
        const named = error === undefined ? undefined : detailsOf(error).badRequest?.fieldViolations[0]?.field;
        if (error?.code === status.INVALID_ARGUMENT && named === field && error.details.startsWith(`${field}: `))
          return;
        wrong.push(`${field} ${what}: ${error?.code} ${named} ${error?.details}`);
      });
      expect(wrong).toEqual([]);
    });
  }

  // The edges of each bound are test/api/parse-bounds.test.ts; here that the parsers stand where the bytes arrive.
  const { v1 } = rollcall;
  const over: readonly (readonly [field: string, method: string, bytes: Uint8Array])[] = [
    ['instance.id', 'Register', registerBytes('a'.repeat(257))],
    ['instance.tags', 'Register', register({ tags: Array.from({ length: 65 }, (_, i) => `t${i}`) })],
    ['instance.metadata', 'Register', register({ metadata: { k: 'a'.repeat(8_192) } })],
    ['instance.endpoints[0].port', 'Register', register({ endpoints: [endpoint(70_000)] })],
    ['instance.status', 'Register', register({ status: 9 as rollcall.v1.InstanceStatus })],
    ['instance', 'Register', new Uint8Array(0)],
    ['ttl_ms', 'Register', registerBytes('i', { ttlMs: 999 })],
    ['request_id', 'Register', registerBytes('i', { requestId: 'a b' })],
    ['incarnation', 'Update', v1.UpdateRequest.encode({ instance: { ...spec('i') } }).finish()],
    ['key', 'Deregister', new Uint8Array(0)],
    ['reason', 'Deregister', v1.DeregisterRequest.encode({ key: spec('i'), reason: 'a'.repeat(257) }).finish()],
    ['ttl_ms', 'GrantLease', v1.GrantLeaseRequest.encode({ ttlMs: 86_400_001 }).finish()],
    ['lease_id', 'RevokeLease', new Uint8Array(0)],
    [
      'lease_ids',
      'KeepAlive',
      v1.KeepAliveRequest.encode({ leaseIds: Array.from({ length: 1_001 }, () => 1) }).finish(),
    ],
    ['service', 'Discover', new Uint8Array(0)],
    ['page_token', 'Discover', v1.DiscoverRequest.encode({ service: 'cart', pageToken: 'AAAA' }).finish()],
    ['page_size', 'ListServices', v1.ListServicesRequest.encode({ pageSize: 1_001 }).finish()],
    ['create.watch_id', 'Watch', v1.WatchRequest.encode({ create: {} }).finish()],
    [
      'create.progress_interval_ms',
      'Watch',
      v1.WatchRequest.encode({ create: { watchId: 1, progressIntervalMs: 9 } }).finish(),
    ],
    ['request', 'Watch', new Uint8Array(0)],
    ['request', 'Status', Buffer.alloc(mib + 1)],
  ];

  it('is refused by name over each kind of bound', async () => {
    const client = connect();
    for (const [field, name, bytes] of over) {
      const method = must(
        methods.find((one) => one.name === name),
        name,
      );
      const error = await answer(client, method, bytes);
      expect([name, error?.code, error?.details]).toEqual([
        name,
        status.INVALID_ARGUMENT,
        expect.stringMatching(`^${field.replace(/[[\]]/g, '\\$&')}: `),
      ]);
    }
  });
});

describe('garbage in place of a request', () => {
  it('never gets an answer that blames the member', async () => {
    const random = new SeededRandom(1);
    const client = connect();
    const counts = new Map<number | undefined, number>();
    const wrong: string[] = [];
    const list = Array.from({ length: 2_000 }, (_, i) => {
      const method = must(methods[i % methods.length], 'a method');
      return { method, bytes: i % 2 === 0 ? noise(random) : damaged(method.valid, random) };
    });
    await each(list, async ({ method, bytes }) => {
      const error = await answer(client, method, bytes);
      counts.set(error?.code, (counts.get(error?.code) ?? 0) + 1);
      if (error === undefined || sound.has(error.code)) {
        // A typed refusal says which of the closed list of reasons it is.
        if (error === undefined || detailsOf(error).errorInfo?.domain === 'rollcall') return;
      }
      wrong.push(`${method.name} ${Buffer.from(bytes).toString('hex')}: ${error.code} ${error.details}`);
    });
    expect(wrong).toEqual([]);
    // Both kinds were met: most is refused, and some damage leaves a request.
    expect(counts.get(status.INVALID_ARGUMENT) ?? 0).toBeGreaterThan(1_000);
    expect(counts.get(undefined) ?? 0).toBeGreaterThan(50);
    await stillServes();
  }, 40_000);

  it('is told apart from a stream that is cut off, and ends only its own call', async () => {
    const { client: port } = must(cluster.members[0], 'the member');
    const whole = Buffer.from(must(methods[0], 'Register').valid);
    for (const [length, sent] of [
      [100, 3],
      [whole.length, whole.length - 1],
      [2 ** 31, 10],
    ] as const) {
      const { session, stream } = openRaw(port, 'Register');
      const head = Buffer.alloc(5);
      head.writeUInt32BE(length, 1);
      const ended = new Promise<Record<string, unknown>>((resolve) => {
        stream.on('response', (headers) => 'grpc-status' in headers && resolve(headers));
        stream.on('trailers', resolve);
      });
      stream.resume();
      stream.end(Buffer.concat([head, whole.subarray(0, sent)]));
      expect([status.UNIMPLEMENTED, status.RESOURCE_EXHAUSTED, status.INVALID_ARGUMENT]).toContain(
        Number((await ended)['grpc-status']),
      );
      session.destroy();
    }
    await stillServes();
  });
});

describe('after a flood of bad input', () => {
  it('the member serves, and holds no memory of it', async (context) => {
    if (process.platform !== 'linux') context.skip('reads the memory of a process from /proc, which only Linux has');
    const sentBytes = 256 * mib;
    // What the flood is made of, once: the heap and the buffers have then grown as far as a working member's do.
    await flood(32 * mib);
    const before = residentBytes();
    await flood(sentBytes);
    // A member that kept a fourth of what it was sent would fail; a young generation that has grown (up to 48 MiB) and
    // buffers that are not collected yet would not.
    const roomBytes = sentBytes / 4;
    const held = await waitFor('the memory of the flood', 15_000, async () => {
      const bytes = residentBytes() - before;
      return bytes <= roomBytes ? bytes : undefined;
    });
    expect(held).toBeLessThanOrEqual(roomBytes);
    await stillServes();
  }, 40_000);

  it('its log blames nobody, and its metrics count the refusals', async () => {
    expect(errorLines()).toEqual([]);
    const { http } = must(cluster.members[0], 'the member');
    const metrics = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
    expect(metrics).toMatch(/rollcall_grpc_calls_total\{method="Register",code="INVALID_ARGUMENT"\} \d+/);
    expect(metrics).not.toMatch(/rollcall_grpc_calls_total\{method="\w+",code="INTERNAL"\}/);
    expect(metrics).toMatch(/^rollcall_api_calls_in_flight 0$/m);
    expect(cluster.isRunning('a')).toBe(true);
  });
});

describe('watches of one connection', () => {
  it('are 1,000 over all its streams, and another connection has its own', async () => {
    const client = connect();
    const ends: string[] = [];
    let snapshots = 0;
    const streams = [0, 1, 2].map((i) => {
      const stream = (i === 2 ? connect() : client).bidi('Watch');
      stream.on('error', () => undefined);
      stream.on('data', (bytes: Buffer) => {
        const { kind, errorReason } = rollcall.v1.WatchResponse.decode(bytes);
        if (kind === rollcall.v1.WatchBatchKind.WATCH_BATCH_KIND_SNAPSHOT) snapshots++;
        else ends.push(`${i} ${errorReason}`);
      });
      return stream;
    });
    const create = (stream: number, watchId: number): void => {
      const bytes = rollcall.v1.WatchRequest.encode({ create: { watchId, service: 'none' } }).finish();
      must(streams[stream], 'stream').write(Buffer.from(bytes));
    };
    for (let i = 0; i < 500; i++) for (const stream of [0, 1]) create(stream, i + 1);
    await waitFor('1,000 snapshots', 10_000, async () => (snapshots === 1_000 ? true : undefined));
    create(1, 501);
    await waitFor('the refusal', 10_000, async () => (ends.length === 1 ? true : undefined));
    create(2, 1);
    await waitFor('the snapshot of the other connection', 10_000, async () => (snapshots === 1_001 ? true : undefined));
    expect(ends).toEqual(['1 OVERLOADED']);
    for (const stream of streams) stream.cancel();
  });
});

/** What a request may be answered with whose form is right, or is not. */
const sound: ReadonlySet<number> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.ALREADY_EXISTS,
  status.FAILED_PRECONDITION,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
]);

/** Up to 300 bytes of anything. */
function noise(random: SeededRandom): Uint8Array {
  return random.bytes('noise', 1 + random.below('noise', 300));
}

/** A good request with up to two bytes changed, and perhaps cut off or followed by more. */
function damaged(valid: Uint8Array, random: SeededRandom): Uint8Array {
  const bytes = Buffer.from(valid);
  const changes = bytes.length === 0 ? 0 : random.below('damage', 3);
  for (let i = 0; i < changes; i++) bytes[random.below('damage', bytes.length)] = random.below('damage', 256);
  switch (random.below('damage', 4)) {
    case 0:
      return bytes.subarray(0, random.below('damage', bytes.length + 1));
    case 1:
      return Buffer.concat([bytes, random.bytes('damage', 1 + random.below('damage', 8))]);
    default:
      return bytes;
  }
}

/** Requests of 1 MiB, each of another kind that costs as much as a bad request can. */
async function flood(totalBytes: number): Promise<void> {
  const room = apiBounds.requestBytesMax - 16;
  const instance = (bytes: Uint8Array): Uint8Array => new WireWriter().bytesPresent(1, bytes).finish();
  const repeated = (unit: readonly number[]): Uint8Array =>
    Buffer.alloc(room - (room % unit.length), Uint8Array.from(unit));
  const kinds: readonly Uint8Array[] = [
    // Empty endpoints, tags, pairs and ids by the hundred thousand; one unknown field, and very many; too long; zeros.
    instance(repeated([0x22, 0])),
    instance(repeated([0x3a, 0])),
    instance(repeated([0x42, 0])),
    instance(repeated([0xa0, 0x06, 1])),
    instance(new WireWriter().bytesPresent(100, new Uint8Array(room - 16)).finish()),
    instance(new WireWriter().bytesPresent(2, Buffer.alloc(room - 16, 'a')).finish()),
    Buffer.alloc(apiBounds.requestBytesMax + 1, 0x0a),
    Buffer.alloc(room),
  ];
  const client = connect();
  const list = Array.from({ length: Math.ceil(totalBytes / mib) }, (_, i) => must(kinds[i % kinds.length], 'a kind'));
  const [method] = methods;
  await each(list, async (bytes) => {
    const error = await answer(client, must(method, 'Register'), bytes);
    if (error?.code === status.INVALID_ARGUMENT) return;
    throw new Error(
      `1 MiB of ${Buffer.from(bytes.subarray(0, 8)).toString('hex')}...: ${error?.code} ${error?.details}`,
    );
  });
}

function endpoint(port: number): rollcall.v1.IEndpoint {
  return { name: 'main', protocol: 'grpc', address: '127.0.0.1', port };
}

function spec(id: string): rollcall.v1.IInstanceSpec {
  return { service: 'shop', id, endpoints: [endpoint(8_080)] };
}

function register(changes: rollcall.v1.IInstanceSpec): Uint8Array {
  return registerBytes('i', { instance: { ...spec('i'), ...changes } });
}
