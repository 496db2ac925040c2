import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RollcallClient } from '../../src/client/client.ts';
import type { Instance } from '../../src/client/types.ts';
import { freePort } from '../../src/cli/free-port.ts';
import { until } from '../client/fake-member.ts';
import { RollcallProcess, Scratch, startDev } from './rollcall-process.ts';

const scratch = new Scratch();
const started: RollcallProcess[] = [];
let dev: RollcallProcess;
let address = '';
let client: RollcallClient;
let services = 0;

beforeAll(async () => {
  ({ process: dev, address } = await startDev());
  client = new RollcallClient({ servers: address });
});

afterEach(async () => {
  await Promise.all(started.splice(0).map((each) => each.kill()));
});

afterAll(async () => {
  client.close();
  await dev.kill();
  scratch.remove();
});

interface Run {
  readonly service: string;
  readonly process: RollcallProcess;
}

interface RunOptions {
  readonly args?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  readonly input?: string;
}

/** Listens, says so, and goes on until a signal that the code of a test takes. */
const listening = `
const { appendFileSync } = require('node:fs');
const note = (text) => appendFileSync(process.env.NOTES, text + ' ');
const { createServer } = require('node:http');
const server = createServer((_, answer) => answer.writeHead(health).end()).listen(process.env.PORT);
let health = 200;
`;

function run(code: string, { args = [], environment = {}, input }: RunOptions = {}): Run {
  const service = `run-${(services += 1)}`;
  const endpoint = ['--port-env', 'PORT', '--endpoint', 'main=http://127.0.0.1:{port}'];
  const command = ['--', process.execPath, '-e', code];
  return runCommand(service, [...endpoint, ...args, ...command], environment, input);
}

function runCommand(service: string, args: readonly string[], extra: NodeJS.ProcessEnv = {}, input?: string): Run {
  const environment = { ROLLCALL_SERVER: address, NOTES: scratch.file(service), ...extra };
  const each = new RollcallProcess(['run', service, ...args], environment, input);
  started.push(each);
  return { service, process: each };
}

async function instanceOf(service: string): Promise<Instance | undefined> {
  const { instances } = await client.discover({ service });
  return instances[0];
}

/** Follows one service until what is there is so. */
async function seen(service: string, holds: (instance: Instance | undefined) => boolean): Promise<void> {
  const watch = client.watch({ service, firstBatchTimeoutMs: 15_000 });
  for await (const _ of watch) {
    if (holds([...watch.instances.values()][0])) return;
  }
}

describe('rollcall run', () => {
  it('registers a command when it listens, deregisters it before the signal, and ends with its code', async () => {
    const discover = `rollcall=require('node:child_process').execFileSync(process.execPath,
      ['--import', 'tsx', 'src/cli/main.ts', 'discover', process.env.ROLLCALL_SERVICE, '--output', 'json']);`;
    const { service, process: each } = run(
      `${listening}
       const { ROLLCALL_SERVICE, ROLLCALL_ID, ROLLCALL_NAMESPACE, ROLLCALL_SERVER } = process.env;
       note(JSON.stringify({ ROLLCALL_SERVICE, ROLLCALL_ID, ROLLCALL_NAMESPACE, ROLLCALL_SERVER }));
       process.on('SIGTERM', () => { ${discover} note(JSON.parse(rollcall).instances.length); process.exit(7); });`,
      { args: ['--tag', 'blue', '--meta', 'k=v', '--version-label', '1.2.3', '--zone', 'z'] },
    );
    await each.says('registered');
    const instance = await instanceOf(service);
    const port = instance?.endpoints[0]?.port;
    const id = `${hostname()}-${port}`;
    expect(instance).toMatchObject({ id, tags: ['blue'], metadata: { k: 'v' }, version: '1.2.3', zone: 'z' });
    const watch = client.watch({ service });
    await watch.next();
    each.signal('SIGTERM');
    const { value } = await watch.next();
    watch.close();
    expect(value?.events).toMatchObject([{ kind: 'delete', cause: 'deregistered', reason: 'stopped by SIGTERM' }]);
    expect(await each.exitCode).toBe(7);
    const environment = { ROLLCALL_SERVICE: service, ROLLCALL_ID: id, ROLLCALL_NAMESPACE: 'default' };
    expect(scratch.read(service)).toBe(`${JSON.stringify({ ...environment, ROLLCALL_SERVER: address })} 0 `);
  });

  it('waits until it listens, then keeps it registered beyond its time to live', async () => {
    const { service, process: each } = run(
      `${listening} setInterval(() => {}, 1e6);
       process.once('SIGUSR1', () => server.listen(process.env.PORT)); server.close(() => note('runs'));`,
      { args: ['--ttl', '1s', '--id', 'given'] },
    );
    await until(() => scratch.read(service) !== '', 'it runs', 15_000);
    expect(await instanceOf(service)).toBeUndefined();
    each.signal('SIGUSR1');
    await each.says(`registered ${service}/given: incarnation`);
    const { incarnation } = (await instanceOf(service)) ?? {};
    const watch = client.watch({ service, progressIntervalMs: 1_200 });
    const kinds: string[] = [];
    for await (const { kind } of watch) if (kinds.push(kind) === 2) break;
    expect(kinds).toEqual(['snapshot', 'progress']);
    expect((await instanceOf(service))?.incarnation).toBe(incarnation);
  });

  it('passes other signals on and stays', async () => {
    const signals = ['SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
    const { service, process: each } = run(
      `${listening} for (const each of ${JSON.stringify(signals)}) process.on(each, () => note(each));`,
    );
    await each.says('registered');
    for (const [i, signal] of signals.entries()) {
      each.signal(signal);
      const all = signals.slice(0, i + 1).map((one) => `${one} `);
      await until(() => scratch.read(service) === all.join(''), `it has ${signal}`);
    }
    expect(await instanceOf(service)).toBeDefined();
    expect(each.running).toBe(true);
  });

  it('gives Ctrl-C of a terminal to the command once', async () => {
    const { service, process: each } = run(
      `${listening} process.on('SIGINT', () => { note('SIGINT'); setTimeout(() => process.exit(0), 300); });`,
    );
    await each.says('registered');
    // A terminal signals the whole foreground group.
    process.kill(-(each.process.pid ?? 0), 'SIGINT');
    expect(await each.exitCode).toBe(0);
    expect(scratch.read(service)).toBe('SIGINT ');
    expect(await instanceOf(service)).toBeUndefined();
  });

  it('kills a command that goes on after the grace, aloud', async () => {
    const { service, process: each } = run(`${listening} process.on('SIGTERM', () => note('SIGTERM'));`, {
      args: ['--grace', '300ms'],
    });
    await each.says('registered');
    each.signal('SIGTERM');
    expect(await each.exitCode).toBe(128 + 9);
    expect(scratch.read(service)).toBe('SIGTERM ');
    expect(each.stderr).toMatch(/\(pid \d+\) goes on 300ms after SIGTERM: killed\n/);
  });

  it('kills it at once at a second signal', async () => {
    const { service, process: each } = run(`${listening} process.on('SIGTERM', () => note('SIGTERM'));`, {
      args: ['--grace', '1h'],
    });
    await each.says('registered');
    each.signal('SIGTERM');
    await until(() => scratch.read(service) !== '', 'it has the first');
    each.signal('SIGINT');
    expect(await each.exitCode).toBe(128 + 9);
    expect(each.stderr).toContain('a second signal');
  });

  it.each([
    ['its exit code', 'process.exit(3)', 3],
    ['128 and its signal', "process.kill(process.pid, 'SIGKILL')", 128 + 9],
  ])('ends with %s when it ends by itself', async (_, code, exitCode) => {
    const { service, process: each } = run(code, { args: ['--quiet', '--no-wait'] });
    expect([await each.exitCode, each.stderr, each.stdout]).toEqual([exitCode, '', '']);
    expect(await instanceOf(service)).toBeUndefined();
  });

  it('ends with 127 and 126 where it cannot be started, as shells do', async () => {
    const file = scratch.file('no-program');
    writeFileSync(file, 'text');
    chmodSync(file, 0o644);
    const endpoint = ['--endpoint', 'main=http://127.0.0.1:9'];
    const absent = runCommand('absent', [...endpoint, '--', 'there-is-no-such-program']);
    const plain = runCommand('plain', [...endpoint, '--output', 'json', '--', file]);
    expect([await absent.process.exitCode, await plain.process.exitCode]).toEqual([127, 126]);
    expect(absent.process.stderr).toMatch(/^error: there-is-no-such-program cannot be started: not found\nnext: /);
    const told = JSON.parse(plain.process.stderr) as object;
    expect(told).toMatchObject({ schema: 'rollcall.error.v1', reason: 'COMMAND_NOT_STARTED', exitCode: 126 });
  });

  it('leaves standard input, output and error to the command', async () => {
    const code = "process.stdin.pipe(process.stdout); process.stderr.write('aside')";
    const { process: each } = run(code, { args: ['--quiet'], input: 'as it came' });
    expect([await each.exitCode, each.stdout, each.stderr]).toEqual([0, 'as it came', 'aside']);
  });

  it('goes by its check: registered when it passes, down while it fails', async () => {
    const { service, process: each } = run(
      `${listening} health = 503; note('runs');
       process.on('SIGUSR1', () => { health = 204; }); process.on('SIGUSR2', () => { health = 500; });`,
      { args: ['--check', 'http://127.0.0.1:{port}/', '--check-interval', '30ms', '--check-failures', '2'] },
    );
    await until(() => scratch.read(service) !== '', 'it runs', 15_000);
    expect(await instanceOf(service)).toBeUndefined();
    each.signal('SIGUSR1');
    await seen(service, (instance) => instance?.status === 'up');
    each.signal('SIGUSR2');
    await seen(service, (instance) => instance?.status === 'down');
    const { incarnation } = (await instanceOf(service)) ?? {};
    each.signal('SIGUSR1');
    await seen(service, (instance) => instance?.status === 'up');
    expect((await instanceOf(service))?.incarnation).toBe(incarnation);
    expect(each.stderr).toMatch(/its check fails \(.+ answers 500\): down\n.*its check passes again: up\n$/s);
  });

  it('ends a command that is not ready in time', async () => {
    const { service, process: each } = run(
      "setInterval(() => {}, 1e6); process.on('SIGTERM', () => process.exit(0));",
      { args: ['--start-timeout', '300ms'] },
    );
    expect(await each.exitCode).toBe(7);
    expect(each.stderr).toMatch(/^error: .+ is not ready after 300ms: .*ECONNREFUSED.*\nnext: /);
    expect(await instanceOf(service)).toBeUndefined();
  });

  it('goes on without a registry, says so once, and registers when one is there', async () => {
    const port = await freePort();
    const { service, process: each } = run(`${listening} note('runs')`, {
      environment: { ROLLCALL_SERVER: `127.0.0.1:${port}` },
    });
    await each.says('the registry is away');
    expect(scratch.read(service)).toBe('runs ');
    const late = await startDev(port);
    started.push(late.process);
    // In either order: one is said of the registration, the other of the stream.
    await each.says('registered');
    await each.says('the registry is back');
    expect(each.stderr.match(/the registry is away/g)).toHaveLength(1);
    await late.process.kill();
    await until(() => each.stderr.match(/the registry is away/g)?.length === 2, 'it is missed again', 15_000);
    expect(each.running).toBe(true);
    const begunMs = performance.now();
    each.signal('SIGTERM');
    expect(await each.exitCode).toBe(128 + 15);
    expect(performance.now() - begunMs).toBeLessThan(10_000);
    expect(each.stderr).toMatch(/not deregistered \(.+\); run-\d+\/.+ leaves by itself within 10s\n$/);
  }, 60_000);

  it('goes on without registration when another takes the id', async () => {
    const { service, process: each } = run(`${listening} process.on('SIGTERM', () => process.exit(5));`, {
      args: ['--id', 'one'],
    });
    await each.says('registered');
    const endpoints = [{ name: 'main', protocol: 'http', address: '10.0.0.1', port: 1 }];
    const instance = { service, id: 'one', endpoints };
    const { incarnation } = await client.register({ instance, lifetime: { persistent: true } });
    await each.says(`is not registered any more: incarnation ${incarnation} has its place`);
    each.signal('SIGTERM');
    expect(await each.exitCode).toBe(5);
    // The other one stays.
    expect((await instanceOf(service))?.incarnation).toBe(incarnation);
  });

  it('ends with 6 when another takes the id, where that is asked for', async () => {
    const { service, process: each } = run(
      `${listening} process.on('SIGTERM', () => { note('SIGTERM'); process.exit(0); });`,
      {
        args: ['--id', 'one', '--exit-when-superseded', '--output', 'json'],
      },
    );
    await each.says('registered');
    const endpoints = [{ name: 'main', protocol: 'http', address: '10.0.0.1', port: 1 }];
    await client.register({ instance: { service, id: 'one', endpoints }, lifetime: { persistent: true } });
    expect(await each.exitCode).toBe(6);
    expect(scratch.read(service)).toBe('SIGTERM ');
    const told = JSON.parse(each.stderr.trimEnd().split('\n').at(-1) ?? '') as object;
    expect(told).toMatchObject({ schema: 'rollcall.error.v1', reason: 'SUPERSEDED', exitCode: 6 });
  });

  it('says that somebody has deregistered it, and goes on', async () => {
    const { service, process: each } = run(listening, { args: ['--id', 'one'] });
    await each.says('registered');
    await client.deregister({ service, id: 'one' });
    await each.says('somebody has deregistered it');
    expect([each.running, await instanceOf(service)]).toEqual([true, undefined]);
  });

  it('ends a command whose registration the members refuse', async () => {
    const meta = `k=${'x'.repeat(9_000)}`;
    const { process: each } = run(`${listening} process.on('SIGTERM', () => process.exit(0));`, {
      args: ['--meta', meta],
    });
    expect(await each.exitCode).toBe(2);
    expect(each.stderr).toMatch(/^error: .*metadata.*\nnext: /);
  });

  it('starts nothing where the command line is wrong', async () => {
    const endpoint = ['--endpoint', 'main=http://127.0.0.1:80'];
    const wrong = [
      runCommand('ttl', [...endpoint, '--ttl', '999ms', '--', 'touch', scratch.file('started')]),
      runCommand('none', endpoint),
      runCommand('mark', ['--endpoint', 'main=http://127.0.0.1:{port}', '--', 'touch', scratch.file('started')]),
    ];
    expect(await Promise.all(wrong.map((each) => each.process.exitCode))).toEqual([2, 2, 2]);
    const told = wrong.map((each) => each.process.stderr);
    expect(told[0]).toContain('ttl: is 999');
    expect(told[1]).toContain('the command to run is missing');
    expect(told[2]).toContain('--port-env');
    expect(existsSync(scratch.file('started'))).toBe(false);
  });
});
