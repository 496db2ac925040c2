// What a probe meets on real sockets: each answer that a kernel, a middlebox or a process can give.
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SystemClock } from '../../src/base/system-clock.ts';
import { transportDefaults } from '../../src/transport/limits.ts';
import { Prober } from '../../src/transport/prober.ts';
import { Member } from './member.ts';
import { grpcTwin } from './twins.ts';

const clock = new SystemClock();
const twin = grpcTwin();
const withinMs = transportDefaults.probeMsMax;
/** For what must come by itself, on a machine that is busy. */
const patientMs = 5_000;
let prober = new Prober(clock);
let ends: (() => void)[] = [];

beforeEach(() => {
  prober = new Prober(clock);
});

afterEach(() => {
  prober.close();
  for (const end of ends) end();
  ends = [];
});

/** A port of 127.0.0.1 that does with a connection what it is told to. */
async function listening(
  onSocket: (socket: Socket) => void,
): Promise<{ port: number; server: Server; open: Set<Socket> }> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  const address = server.address();
  return { port: typeof address === 'object' && address !== null ? address.port : 0, server, open };
}

async function closedPort(): Promise<number> {
  const { port, server } = await listening(() => {});
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

describe('a probe', () => {
  it('of a transport that listens is open, before and after it has an identity', async () => {
    const member = await new Member(twin, 'a').start();
    try {
      expect(await prober.probe(member.address, patientMs)).toBe('open');
      member.join([]);
      expect(await prober.probe(`localhost:${member.port}`, patientMs)).toBe('open');
    } finally {
      await member.transport.stop(0);
    }
    expect(await prober.probe(member.address, patientMs)).toBe('refused');
  });

  it('of a closed port is refused, by address and by name', async () => {
    const port = await closedPort();
    expect(await prober.probe(`127.0.0.1:${port}`, patientMs)).toBe('refused');
    expect(await prober.probe(`localhost:${port}`, patientMs)).toBe('refused');
    expect(await prober.probe(`[::1]:${port}`, patientMs)).toMatch(/^(refused|silent)$/);
  });

  it.each([
    ['closes', (socket: Socket) => socket.end()],
    ['resets', (socket: Socket) => socket.resetAndDestroy()],
    ['closes after a while', (socket: Socket) => void clock.setTimer(20, () => socket.end())],
    ['resets after a while', (socket: Socket) => void clock.setTimer(20, () => socket.resetAndDestroy())],
  ])('of a port that takes it and %s is reset', async (_name, what) => {
    const { port } = await listening(what);
    expect(await prober.probe(`127.0.0.1:${port}`, patientMs)).toBe('reset');
  });

  it('of a port that takes it and says nothing is silent, in its time, and closes its socket', async () => {
    const { port, open } = await listening((socket) => socket.resume());
    const startMs = clock.monotonicMs();
    const probing = prober.probe(`127.0.0.1:${port}`, withinMs);
    await twin.until('taken', () => open.size === 1);
    expect(await probing).toBe('silent');
    const ms = clock.monotonicMs() - startMs;
    expect(ms).toBeGreaterThanOrEqual(withinMs - 1);
    await twin.until('closed', () => open.size === 0);
  });

  it('is open by a single byte, and closes its socket', async () => {
    const { port, open } = await listening((socket) => socket.write('x'));
    expect(await prober.probe(`127.0.0.1:${port}`, patientMs)).toBe('open');
    await twin.until('closed', () => open.size === 0);
  });

  it('says nothing of a member where its name has no address, or what is given is none', async () => {
    expect(await prober.probe('no-such-member.invalid:7', 300)).toBe('silent');
    for (const odd of ['', 'a', ':1', 'a:', 'a:0', 'a:65536', 'a:1:2', '[::1]', 'a:-1']) {
      expect(await prober.probe(odd, patientMs)).toBe('silent');
    }
  });

  it('ends when the prober is closed, and none begins afterwards', async () => {
    const { port, open } = await listening((socket) => socket.resume());
    const probing = [1, 2].map(() => prober.probe(`127.0.0.1:${port}`, patientMs));
    await twin.until('taken', () => open.size === 2);
    prober.close();
    expect(await Promise.all(probing)).toEqual(['silent', 'silent']);
    expect(await prober.probe(`127.0.0.1:${port}`, patientMs)).toBe('silent');
    await twin.until('closed', () => open.size === 0);
  });
});

describe('a probe of another process', () => {
  let child: ChildProcess | undefined;

  afterEach(() => {
    child?.kill('SIGKILL');
  });

  it('is open while it runs, silent while it is stopped, open again, and refused after its death', async () => {
    const program = join(import.meta.dirname, 'probe-child.ts');
    const started = spawn(process.execPath, ['--import', 'tsx', program], { stdio: ['pipe', 'pipe', 'inherit'] });
    child = started;
    const exited = new Promise<void>((resolve) => started.once('exit', () => resolve()));
    const port = await new Promise<number>((resolve) => {
      started.stdout.once('data', (line: Buffer) => resolve(Number(line.toString())));
    });
    const address = `127.0.0.1:${port}`;
    expect(await prober.probe(address, patientMs)).toBe('open');
    started.kill('SIGSTOP');
    // The signal is carried out when it is: the process may say a last word.
    let result = '';
    for (let tries = 0; result !== 'silent' && tries < 20; tries += 1) result = await prober.probe(address, withinMs);
    expect(result).toBe('silent');
    // However long one waits.
    expect(await prober.probe(address, 3 * withinMs)).toBe('silent');
    started.kill('SIGCONT');
    expect(await prober.probe(address, patientMs)).toBe('open');
    started.kill('SIGKILL');
    await exited;
    expect(await prober.probe(address, patientMs)).toBe('refused');
  });
});
