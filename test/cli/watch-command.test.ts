import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { jsonDocuments } from '../../src/cli/json-documents.ts';
import { RollcallClient } from '../../src/client/client.ts';
import { until } from '../client/fake-member.ts';
import { RollcallProcess, Scratch, startDev } from './rollcall-process.ts';

const scratch = new Scratch();
const started: RollcallProcess[] = [];
let dev: RollcallProcess;
let address = '';
let client: RollcallClient;

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

function watch(...args: readonly string[]): RollcallProcess {
  const each = new RollcallProcess(['watch', ...args], { ROLLCALL_SERVER: address });
  started.push(each);
  return each;
}

async function register(service: string, id: string, tags: readonly string[] = []): Promise<number> {
  const endpoints = [{ name: 'main', protocol: 'http', address: '10.0.0.1', port: 80 }];
  const { header } = await client.register({
    instance: { service, id, endpoints, tags },
    lifetime: { persistent: true },
  });
  return header.revision;
}

/** A program that appends what it is given to a file, a line a run, then does `more`. */
function taking(name: string, more = '', before = ''): string[] {
  const file = JSON.stringify(scratch.file(name));
  const code = `const { appendFileSync, existsSync, readFileSync } = require('node:fs'); ${before}
    appendFileSync(${file}, readFileSync(0)); ${more}`;
  return ['--', process.execPath, '-e', code];
}

interface Told {
  readonly revision: number;
  readonly service: string;
  readonly instances: readonly { readonly id: string }[];
}

function told(name: string): Told[] {
  // What stands behind the last end of a line is still being written.
  const lines = scratch.read(name).split('\n').slice(0, -1);
  return lines.map((line) => jsonDocuments['rollcall.present.v1'].parse(JSON.parse(line)));
}

const ids = ({ instances }: Told): string[] => instances.map(({ id }) => id);

describe('rollcall watch -- CMD', () => {
  it('runs it with what is there, at first and at changes, until it is stopped', async () => {
    await register('plain', 'a');
    const each = watch('plain', ...taking('plain'));
    await until(() => told('plain').length === 1, 'the first run', 15_000);
    const revision = await register('plain', 'b');
    await until(() => told('plain').length === 2, 'the second run', 15_000);
    await client.deregister({ service: 'plain', id: 'a' });
    await until(() => told('plain').length === 3, 'the third run', 15_000);
    expect(told('plain').map(ids)).toEqual([['a'], ['a', 'b'], ['b']]);
    expect(told('plain')[1]?.revision).toBe(revision);
    each.signal('SIGINT');
    expect([await each.exitCode, each.stdout, each.stderr]).toEqual([0, '', '']);
  });

  it('sums up what changes while it runs, and runs once at a time', async () => {
    const gate = JSON.stringify(scratch.file('gate'));
    const more = `const wait = () => existsSync(${gate}) || setTimeout(wait, 10); wait();`;
    watch('busy', ...taking('busy', more));
    await until(() => told('busy').length === 1, 'the first run', 15_000);
    for (let i = 0; i < 20; i += 1) await register('busy', `i${i}`);
    expect(told('busy')).toHaveLength(1);
    writeFileSync(scratch.file('gate'), '');
    await until(() => told('busy').at(-1)?.instances.length === 20, 'all of them', 15_000);
    expect(told('busy').length).toBeLessThanOrEqual(3);
  });

  it('runs it for what the filter matches alone', async () => {
    await register('tagged', 'a', ['blue']);
    await register('tagged', 'b');
    watch('tagged', '--tag', 'blue', ...taking('tagged'));
    await until(() => told('tagged').length === 1, 'the first run', 15_000);
    await register('tagged', 'c', ['blue']);
    await until(() => told('tagged').length === 2, 'the second run', 15_000);
    await register('tagged', 'a');
    await until(() => told('tagged').length === 3, 'the third run', 15_000);
    expect(told('tagged').map(ids)).toEqual([['a'], ['a', 'c'], ['c']]);
  });

  it('tells of a failure and goes on', async () => {
    const each = watch('failing', ...taking('failing', 'process.exit(3)'));
    await each.says('ended with 3; waiting for the next change\n');
    await register('failing', 'a');
    await until(() => told('failing').length === 2, 'the second run', 15_000);
    expect(each.running).toBe(true);
  });

  it('ends as it does, with --exit-on-error or --once', async () => {
    const failing = watch('once', '--exit-on-error', ...taking('exit', 'process.exit(3)'));
    const once = watch('once', '--once', ...taking('once', 'process.exit(4)'));
    const absent = watch('once', '--', 'there-is-no-such-program');
    expect([await failing.exitCode, await once.exitCode, await absent.exitCode]).toEqual([3, 4, 127]);
    expect([told('exit').length, told('once').length]).toEqual([1, 1]);
  });

  it('passes the signal on, waits for the grace, then kills it', async () => {
    const signals = JSON.stringify(scratch.file('signals'));
    const before = `process.on('SIGTERM', () => appendFileSync(${signals}, 'SIGTERM '));`;
    const each = watch('slow', '--grace', '300ms', ...taking('slow', 'setInterval(() => {}, 1e6);', before));
    await until(() => told('slow').length === 1, 'the first run', 15_000);
    each.signal('SIGTERM');
    expect(await each.exitCode).toBe(0);
    expect(each.stderr).toContain('goes on 300ms after SIGTERM: killed');
    expect(scratch.read('signals')).toBe('SIGTERM ');
  });

  it('refuses options that make no sense together', async () => {
    const wrong = [
      watch('x', '--since', '1', '--', 'true'),
      watch('x', '--exit-on-error'),
      watch('x', '--prefix', 'y', '--once'),
      watch('x', '--'),
    ];
    expect(await Promise.all(wrong.map((each) => each.exitCode))).toEqual([2, 2, 2, 2]);
    for (const each of wrong) expect(each.stderr).toMatch(/^error: .+\nnext: .{10}/);
  });
});
