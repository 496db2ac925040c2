// Measures the peer transport on loopback: messages per second, bytes per second, and the time of a round trip, between
// two members in two processes. Ends by itself after about 20 s.
import { fork } from 'node:child_process';
import { SystemClock } from '../src/base/system-clock.ts';
import { SystemRandom } from '../src/base/system-random.ts';
import type { Message } from '../src/raft/types.ts';
import { GrpcTransport } from '../src/transport/grpc-transport.ts';
import type { TransportHandlers } from '../src/transport/types.ts';

const clock = new SystemClock();
const directories = { a: 'directory-a', b: 'directory-b' } as const;
type Name = keyof typeof directories;

const secondsPerCase = 3;
const hash = '0123456789abcdef';

function handlers(onBatch: TransportHandlers['onBatch'], onConnected: () => void = () => {}): TransportHandlers {
  return {
    onBatch,
    onConnected,
    onUnreachable: (peer, reason) => process.stderr.write(`${peer} unreachable: ${reason}\n`),
    onSnapshot: async ({ body, snapshot }) => {
      for await (const part of body) if (part.length === 0) throw new Error('empty part');
      return snapshot.index;
    },
    onStreamEnded: () => {},
    onRemoved: () => {},
    acknowledged: () => 0,
    onForm: (asked) => asked,
  };
}

function transport(): GrpcTransport {
  return new GrpcTransport({ host: '127.0.0.1', port: 0, clock, random: new SystemRandom() });
}

function join(own: GrpcTransport, name: Name, peer: Name, port: number): void {
  const fresh = { clusterId: 'bench', boot: 1, startId: 1, clientAddress: '', startIndex: 0 };
  const local = { ...fresh, memberId: name, directoryId: directories[name] };
  own.setIdentity(local, [{ memberId: peer, address: `127.0.0.1:${port}`, directoryId: directories[peer] }]);
}

function reply(index: number): Message {
  const head = { from: 'b', to: 'a', fromBoot: 1, toBoot: 1, term: 1 } as const;
  return {
    kind: 'append-reply',
    ...head,
    accepted: true,
    matchIndex: index,
    rejectedIndex: 0,
    hintIndex: 0,
    hintTerm: 0,
  };
}

function append(index: number, data: Uint8Array): Message {
  const head = { from: 'a', to: 'b', fromBoot: 1, toBoot: 1, term: 1 } as const;
  const entries = [{ index, term: 1, hash, data }];
  return { kind: 'append', ...head, prevIndex: index - 1, prevTerm: 1, prevHash: hash, entries, commit: 0 };
}

/** The follower: answers every append with its index. */
async function runB(): Promise<void> {
  const b = transport();
  const port = await b.start(
    handlers((from, messages) => {
      b.send(
        from,
        messages.flatMap((message) => (message.kind === 'append' ? [reply(message.prevIndex + 1)] : [])),
        [],
      );
    }),
  );
  process.on('message', (portOfA: number) => join(b, 'b', 'a', portOfA));
  process.on('disconnect', () => void b.stop(0));
  process.send?.(port);
}

/** The leader: keeps a window of appends under way. */
class Leader {
  readonly transport = transport();
  #next = 1;
  #acked = 0;
  #onAck: () => void = () => {};
  onConnected: () => void = () => {};

  async start(): Promise<number> {
    return this.transport.start(
      handlers(
        (_from, messages) => {
          for (const message of messages) if (message.kind === 'append-reply') this.#acked = message.matchIndex;
          this.#onAck();
        },
        () => this.onConnected(),
      ),
    );
  }

  async run(what: string, bytes: number, window: number): Promise<void> {
    const data = new Uint8Array(bytes);
    const first = this.#acked;
    const startMs = clock.monotonicMs();
    const startCpu = process.cpuUsage();
    const endMs = startMs + secondsPerCase * 1000;
    await new Promise<void>((resolve) => {
      this.#onAck = () => {
        if (clock.monotonicMs() > endMs) {
          if (this.#acked === this.#next - 1) resolve();
          return;
        }
        while (this.#next - 1 - this.#acked < window) {
          if (!this.transport.send('b', [append(this.#next, data)], [])) throw new Error('queue full');
          this.#next += 1;
        }
      };
      this.#onAck();
    });
    const seconds = (clock.monotonicMs() - startMs) / 1000;
    const count = this.#acked - first;
    const cpu = process.cpuUsage(startCpu);
    const usEach = (cpu.user + cpu.system) / count;
    const rate = Math.round(count / seconds).toLocaleString('en');
    const mib = ((count * bytes) / seconds / 2 ** 20).toFixed(1);
    const msEach = ((window * seconds * 1000) / count).toFixed(2);
    process.stdout.write(
      `${what.padEnd(36)} ${rate.padStart(9)} /s ${mib.padStart(8)} MiB/s ` +
        `${msEach.padStart(7)} ms each ${usEach.toFixed(1).padStart(8)} us CPU\n`,
    );
  }

  async snapshot(bytes: number): Promise<void> {
    const startMs = clock.monotonicMs();
    const piece = new Uint8Array(1024 * 1024);
    const body = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < bytes; at += piece.length) yield piece;
    };
    await this.transport.sendSnapshot('b', 1, { index: 1, term: 1, hash }, body());
    const seconds = (clock.monotonicMs() - startMs) / 1000;
    process.stdout.write(`snapshot of ${bytes / 2 ** 20} MiB: ${(bytes / seconds / 2 ** 20).toFixed(1)} MiB/s\n`);
  }
}

async function runA(): Promise<void> {
  const leader = new Leader();
  const child = fork(import.meta.filename, ['b'], { execArgv: process.execArgv });
  const connected = new Promise<void>((resolve) => (leader.onConnected = resolve));
  const port = await leader.start();
  child.on('message', (portOfB: number) => {
    child.send(port);
    join(leader.transport, 'a', 'b', portOfB);
  });
  await connected;
  await leader.run('warm-up', 100, 64);
  await leader.run('one append of 100 B under way', 100, 1);
  await leader.run('64 appends of 100 B under way', 100, 64);
  await leader.run('1,024 appends of 100 B under way', 100, 1024);
  await leader.run('one append of 256 KiB under way', 256 * 1024, 1);
  await leader.run('32 appends of 256 KiB under way', 256 * 1024, 32);
  await leader.snapshot(512 * 2 ** 20);
  await leader.transport.stop(500);
  child.disconnect();
}

if (process.argv[2] === 'b') await runB();
else await runA();
