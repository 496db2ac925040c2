// What only the gRPC twin has: sockets, hostile bytes, half-open connections, open handles.
import { randomBytes } from 'node:crypto';
import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer, type Socket } from 'node:net';
import { Client, type ClientDuplexStream, credentials, type Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import { GrpcTransport } from '../../src/transport/grpc-transport.ts';
import { encodeBatchHead, encodeItems, type PeerIdentity } from '../../src/transport/peer-codec.ts';
import { asBuffer, identityHeader, peerService } from '../../src/transport/peer-service.ts';
import { identityOf, Member, type MemberOptions, peerOf } from './member.ts';
import { heartbeat } from './messages.ts';
import { Relay } from './relay.ts';
import { grpcTwin, type TransportTwin } from './twins.ts';

let twin: TransportTwin = grpcTwin();
let members: Member[] = [];
let ends: (() => void)[] = [];

beforeEach(() => {
  twin = grpcTwin();
  members = [];
  ends = [];
});

afterEach(async () => {
  for (const end of ends) end();
  await Promise.all(members.map((member) => member.transport.stop(0)));
});

async function member(name: string, options: MemberOptions = {}): Promise<Member> {
  const made = new Member(twin, name, options);
  members.push(made);
  return made.start();
}

/** A member b, formed, that knows a peer a which only the test speaks for. */
async function formed(options: MemberOptions = {}): Promise<Member> {
  const b = await member('b', { boot: 5, ...options });
  b.transport.setIdentity(identityOf(b), [{ memberId: 'a', address: '127.0.0.1:1', directoryId: 'da' }]);
  return b;
}

const asA: PeerIdentity = {
  clusterId: 'cluster',
  memberId: 'a',
  directoryId: 'da',
  boot: 3,
  startId: 30,
  toBoot: 0,
  toStartId: 0,
  clientAddress: '',
  startIndex: 0,
  toMemberId: 'b',
};

/** A stream of batches as a peer would open it, with whatever bytes. */
class RawStream {
  readonly call: ClientDuplexStream<Uint8Array, Uint8Array>;
  status: StatusObject | undefined;
  accepted = false;

  constructor(port: number) {
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_send_message_length': -1,
    });
    this.call = client.makeBidiStreamRequest(peerService.messages.path, asBuffer, asBuffer);
    this.call.on('metadata', (metadata: Metadata) => (this.accepted ||= metadata.get(identityHeader).length > 0));
    this.call.on('error', () => {});
    this.call.on('status', (ended: StatusObject) => (this.status = ended));
    this.call.resume();
    ends.push(() => {
      this.call.cancel();
      client.close();
    });
  }

  batch(identity: PeerIdentity, ...rounds: number[]): void {
    const messages = rounds.map((round) => heartbeat('a', 'b', identity.boot, round));
    const parts = encodeItems(messages, []).flatMap((item) => item.parts);
    this.call.write(Buffer.concat([encodeBatchHead(identity), ...parts]));
  }
}

describe('a stream of batches', () => {
  it('that is malformed is refused with INVALID_ARGUMENT by name, and counted', async () => {
    const b = await formed();
    const first = new RawStream(b.port);
    first.call.write(Buffer.from('ffffffff', 'hex'));
    await twin.until('the end', () => first.status !== undefined);
    expect(first.status).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringMatching(/^malformed: /),
    });
    const later = new RawStream(b.port);
    later.batch(asA, 1);
    later.call.write(Buffer.concat([encodeBatchHead(asA), Buffer.from('1205', 'hex')]));
    await twin.until('the end', () => later.status !== undefined);
    expect(later.status?.code).toBe(status.INVALID_ARGUMENT);
    expect(b.transport.refusals().get('malformed')).toBe(2);
    expect(b.batches.flatMap((batch) => batch.messages)).toHaveLength(1);
  });

  it('above the size of a message ends, and takes nothing else with it', async () => {
    const b = await formed();
    const other = new RawStream(b.port);
    other.batch(asA, 1);
    await twin.until('accepted', () => other.accepted);
    const large = new RawStream(b.port);
    large.call.write(Buffer.alloc(8 * 1024 * 1024 + 1));
    await twin.until('the end', () => large.status !== undefined);
    expect(large.status?.code).toBe(status.RESOURCE_EXHAUSTED);
    other.batch(asA, 2);
    await twin.until('a batch', () => b.batches.length === 2);
  });

  it('replaces an older one of the same peer', async () => {
    const b = await formed();
    const [older, newer] = [new RawStream(b.port), new RawStream(b.port)];
    older.batch(asA, 1);
    await twin.until('accepted', () => older.accepted);
    newer.batch(asA, 2);
    await twin.until('the end', () => older.status !== undefined);
    expect(older.status).toMatchObject({ code: status.ABORTED, details: expect.stringMatching(/^replaced: /) });
    newer.batch(asA, 3);
    await twin.until('both batches', () => b.batches.length === 3);
    expect(newer.status).toBeUndefined();
  });

  it('has one sender: another boot or directory on it is refused', async () => {
    const b = await formed();
    const stream = new RawStream(b.port);
    stream.batch(asA, 1);
    stream.batch({ ...asA, boot: 4 }, 2);
    await twin.until('the end', () => stream.status !== undefined);
    expect(stream.status?.details).toMatch(/^changed-identity: /);
    expect(b.batches).toHaveLength(1);
    expect(b.transport.bootOf('a')).toBe(3);
  });

  it('goes on over batches from or for an earlier life, which are dropped and counted', async () => {
    const b = await formed();
    const stream = new RawStream(b.port);
    stream.batch({ ...asA, toBoot: 4, toStartId: 70 }, 1);
    stream.batch({ ...asA, boot: 2 }, 2);
    stream.batch({ ...asA, startId: 31 }, 2);
    stream.batch({ ...asA, toBoot: 5, toStartId: 8 }, 2);
    stream.batch({ ...asA, toBoot: 5, toStartId: 7 }, 3);
    await twin.until('what is for this life', () => b.batches.length === 1);
    expect(b.batches[0]?.messages[0]).toMatchObject({ round: 3 });
    expect(b.transport.refusals()).toEqual(
      new Map([
        ['earlier-life', 1],
        ['late-boot', 1],
        ['other-start', 2],
      ]),
    );
    expect([stream.accepted, stream.status]).toEqual([true, undefined]);
  });

  it.each([
    ['a later boot', 6, 7],
    ['another start with its boot', 5, 8],
  ])('tells the owner when this member itself is the old copy: %s was heard', async (_name, toBoot, toStartId) => {
    const b = await formed();
    const stream = new RawStream(b.port);
    stream.batch({ ...asA, toBoot, toStartId }, 1);
    await twin.until('the end', () => stream.status !== undefined);
    expect(stream.status).toMatchObject({ code: status.FAILED_PRECONDITION });
    expect(b.unreachable.map((told) => told.reason)).toContainEqual(expect.stringMatching(/^receiver-old-copy: /));
  });

  it('without a first batch is closed after its time', async () => {
    const b = await formed({ limits: { firstBatchMsMax: 60 } });
    const stream = new RawStream(b.port);
    await twin.until('the end', () => stream.status !== undefined);
    expect(stream.status).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect(b.transport.refusals().get('no-first-batch')).toBe(1);
  });
});

describe('the peer port', () => {
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  const settings = Buffer.from('000000040000000000', 'hex');
  const ping = Buffer.from('0000080600000000000102030405060708', 'hex');
  const hostile: readonly (readonly [string, () => Buffer])[] = [
    ['nothing', () => Buffer.alloc(0)],
    ['HTTP/1', () => Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['random bytes', () => randomBytes(50_000)],
    ['half a preface', () => preface.subarray(0, 10)],
    ['a preface alone', () => preface],
    ['a preface and random bytes', () => Buffer.concat([preface, settings, randomBytes(50_000)])],
    ['a frame of 16 MiB announced', () => Buffer.concat([preface, settings, Buffer.from('ffffff000100000001', 'hex')])],
    ['headers without end', () => Buffer.concat([preface, settings, Buffer.from('000005010000000001', 'hex')])],
    ['data for no stream', () => Buffer.concat([preface, settings, Buffer.from('000001000000000003ff', 'hex')])],
    ['pings without end', () => Buffer.concat([preface, settings, ...Array<Buffer>(5_000).fill(ping)])],
    ['settings without end', () => Buffer.concat([preface, ...Array<Buffer>(5_000).fill(settings)])],
  ];
  it.each(hostile)('is not hurt by %s, and closes such a connection', async (_name, bytes) => {
    const [a, b] = [await member('a'), await member('b', { limits: { silentMsMax: 200 } })];
    a.join([b]);
    b.join([a]);
    await twin.until('connected', () => a.isConnected(b) && b.isConnected(a));
    const socket = connect(b.port, '127.0.0.1');
    ends.push(() => socket.destroy());
    let closed = false;
    socket.on('close', () => (closed = true));
    socket.on('error', () => {});
    socket.resume();
    socket.write(bytes());
    await twin.until('closed', () => closed);
    a.beat(b, 1);
    await twin.until('a batch', () => b.rounds(a).length === 1);
    expect(a.unreachable).toEqual([]);
  });

  it('answers what is no method of it, and takes no request that is not gRPC', async () => {
    const b = await formed();
    const client = new Client(`127.0.0.1:${b.port}`, credentials.createInsecure());
    ends.push(() => client.close());
    const error = await new Promise<{ code?: number } | null>((resolve) => {
      client.makeUnaryRequest('/rollcall.raft.v1.Peer/Nothing', asBuffer, asBuffer, new Uint8Array(1), resolve);
    });
    expect(error?.code).toBe(status.UNIMPLEMENTED);
    const session = connectHttp2(`http://127.0.0.1:${b.port}`);
    ends.push(() => session.destroy());
    session.on('error', () => {});
    const request = session.request({
      ':path': peerService.messages.path,
      ':method': 'POST',
      'content-type': 'text/plain',
    });
    const answered = new Promise<unknown>((resolve) =>
      request.on('response', (headers) => resolve(headers[':status'])),
    );
    request.end('x');
    expect(await answered).toBe(415);
  });

  it('takes 128 connections and no more', async () => {
    const b = await formed();
    let open = 0;
    const dial = (): Socket => {
      const socket = connect(b.port, '127.0.0.1');
      ends.push(() => socket.destroy());
      socket.on('connect', () => (open += 1));
      socket.on('close', () => (open -= 1));
      socket.on('error', () => {});
      socket.resume();
      return socket;
    };
    const sockets = Array.from({ length: 128 }, dial);
    await twin.until('all open', () => open === 128);
    await twin.pass(50);
    expect(open).toBe(128);
    let refused = false;
    dial().on('close', () => (refused = true));
    await twin.until('one more refused', () => refused && open === 128);
    sockets[0]?.destroy();
    await twin.until('one closed', () => open === 127);
    await twin.pass(20);
    dial();
    await twin.until('its place taken', () => open === 128);
    await twin.pass(20);
    expect(open).toBe(128);
  });

  it('rejects where it is taken, and is free again after a stop', async () => {
    const b = await formed();
    const clock = new SystemClock();
    const make = (): GrpcTransport =>
      new GrpcTransport({ host: '127.0.0.1', port: b.port, clock, random: new SeededRandom(1) });
    const second = make();
    await expect(second.start(b)).rejects.toThrow('EADDRINUSE');
    await second.stop(0);
    await b.transport.stop(0);
    const third = make();
    expect(await third.start(b)).toBe(b.port);
    await third.stop(0);
  });
});

function relayTo(port: number): Promise<Relay> {
  const relay = new Relay(port);
  ends.push(() => relay.stop());
  return relay.start();
}

describe('a connection', () => {
  it('that is half open is found by keepalive, at both ends, and dialed anew', async () => {
    const limits = { keepaliveMs: 150, keepaliveAnswerMsMax: 150 };
    const [a, b] = [await member('a', { limits }), await member('b', { limits })];
    const relay = await relayTo(b.port);
    a.transport.setIdentity(identityOf(a), [{ ...peerOf(b), address: `127.0.0.1:${relay.port}` }]);
    b.join([a]);
    await twin.until('connected', () => a.isConnected(b) && b.isConnected(a));
    relay.swallows = true;
    a.beat(b, 1);
    await twin.until('a told', () => a.unreachable.length > 0);
    expect(a.isConnected(b)).toBe(false);
    relay.swallows = false;
    await twin.until('connected again', () => a.isConnected(b));
    a.beat(b, 2);
    await twin.until('a batch', () => b.rounds(a).length > 0);
    expect(b.rounds(a)).toEqual([2]);
  });

  it('to an earlier start of a peer is left as soon as the next one calls', async () => {
    const [a, b] = [await member('a'), await member('b', { boot: 3 })];
    const relay = await relayTo(b.port);
    a.transport.setIdentity(identityOf(a), [{ ...peerOf(b), address: `127.0.0.1:${relay.port}` }]);
    b.join([a]);
    await twin.until('connected', () => a.isConnected(b) && b.isConnected(a));
    // As if its machine had lost power: nothing tells a that the stream leads to nobody.
    relay.swallows = true;
    await b.transport.stop(0);
    await twin.pass(50);
    relay.swallows = false;
    expect(a.isConnected(b)).toBe(true);
    const next = await member('b', { boot: 4, port: b.port });
    next.join([a]);
    // Long before keepalive would have found out.
    await twin.until('told', () => a.reasons(b).length > 0);
    expect(a.reasons(b)).toEqual(['restarted: the stream was to an earlier start of the peer']);
    await twin.until('connected again', () => a.isConnected(next));
    a.beat(next, 1);
    await twin.until('a batch', () => next.rounds(a).length === 1);
    // The stream from it had broken by itself.
    expect(a.ended).toEqual([{ peer: 'b', boot: 3 }]);
  });

  it('to a port that takes it and says nothing is given up in its time, and its socket closed', async () => {
    let taken = 0;
    let open = 0;
    const silent = createServer((socket) => {
      taken += 1;
      open += 1;
      socket.on('error', () => {});
      socket.on('close', () => (open -= 1));
      socket.resume();
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    ends.push(() => silent.close());
    const address = silent.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const a = await member('a', { limits: { connectMsMax: 80 } });
    a.transport.setIdentity(identityOf(a), [{ memberId: 'b', address: `127.0.0.1:${port}`, directoryId: '' }]);
    await twin.until('a few attempts', () => taken >= 3);
    expect(a.unreachable).toEqual([{ peer: 'b', reason: 'not accepted within 80 ms' }]);
    expect(open).toBe(1);
    await a.transport.stop(50);
    await twin.until('all closed', () => open === 0);
  });

  it('leaves nothing open after a stop', async () => {
    const handles = (): string[] => process.getActiveResourcesInfo().filter((name) => /TCP|Timeout|GetAddr/.test(name));
    await twin.pass(20);
    const before = handles().length;
    const [a, b] = [await member('a'), await member('b')];
    a.transport.setIdentity(identityOf(a), [peerOf(b), { memberId: 'c', address: 'localhost:1', directoryId: '' }]);
    b.join([a]);
    await twin.until('connected', () => a.isConnected(b) && b.isConnected(a));
    const silent = connect(b.port, '127.0.0.1');
    await new Promise<void>((resolve) => silent.on('connect', resolve));
    silent.on('error', () => {});
    silent.resume();
    expect(handles().length).toBeGreaterThan(before);
    await Promise.all([a.transport.stop(200), b.transport.stop(200)]);
    await twin.until('nothing open', () => handles().length <= before);
  });
});
