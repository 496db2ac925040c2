import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Reason } from '../../src/base/errors.ts';
import { reasonCodes } from '../../src/base/errors.ts';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { troubleOf } from '../../src/cli/trouble.ts';
import { ClientError } from '../../src/client/client-error.ts';
import type { Behaviour } from '../client/fake-member.ts';
import { deadAddress, FakeMember, until, v1 } from '../client/fake-member.ts';
import { RollcallProcess } from './rollcall-process.ts';
import { cli, startCli } from './run-cli.ts';

const members: FakeMember[] = [];

async function member(behaviour: Behaviour): Promise<FakeMember> {
  const started = await FakeMember.start(behaviour);
  members.push(started);
  vi.stubEnv('ROLLCALL_SERVER', started.address);
  return started;
}

afterEach(() => {
  vi.unstubAllEnvs();
  for (const started of members.splice(0)) started.kill();
});

const web = ['register', 'web', '--id', 'web-1', '--endpoint', 'main=http://10.0.0.7:80'] as const;
const header = { revision: 9, member: 'a' };

describe('the command line', () => {
  it('prints its version and its help', async () => {
    expect((await cli('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await cli('--help')).exitCode).toBe(exitCodes.ok);
  });

  it.each([
    [[]],
    [['unknown']],
    [['register', 'web']],
    [['discover']],
    [['discover', 'web', 'more']],
    [['discover', 'web', '--nope']],
    [['discover', 'web', '--output', 'xml']],
    [['discover', 'web', '--server', 'nowhere']],
    [['discover', 'web', '--timeout', '10']],
    [[...web]],
    [[...web, '--ttl', '10s', '--persistent']],
    [[...web, '--keep-alive']],
    [[...web, '--persistent', '--keep-alive']],
    [[...web, '--ttl', '10s', '--meta', 'a=1', '--meta', 'a=2']],
    [['register', 'Web', '--id', 'a', '--endpoint', 'm=http://h:1', '--persistent']],
    [['register', 'web', '--id', 'a/b', '--endpoint', 'm=http://h:1', '--persistent']],
    [['serve']],
    [['serve', '--config', 'there-is-no-such-file.yaml']],
    [['dev', '--port', '65534']],
  ])('refuses %j with usage, and says what to try', async (args: readonly string[]) => {
    const { exitCode, stdout, stderr } = await cli(...args);
    expect([exitCode, stdout]).toEqual([exitCodes.usage, '']);
    if (args.length > 0) expect(stderr).toMatch(/next: .{10}/);
  });

  it.each([
    [['run', 'web', '--endpoint', 'main=http://h:1', 'node', 'server.js']],
    [['run', 'web', '--endpoint', 'main=http://h:1', 'node', '--inspect', 'server.js']],
    [['watch', 'web', './changed.sh']],
  ])('says of %j that -- belongs before the command', async (args: readonly string[]) => {
    const plain = await cli(...args);
    expect([plain.exitCode, plain.stdout]).toEqual([exitCodes.usage, '']);
    expect(plain.stderr).toMatch(/^error: .+\nnext: put -- before the command, as in `rollcall run .+`\n$/);
    const json = await cli(...args, '--output', 'json');
    expect(JSON.parse(json.stderr)).toMatchObject({ reason: 'USAGE', hint: expect.stringContaining('put -- before') });
    expect((await cli('discover', 'web', 'more')).stderr).not.toContain('put --');
  });

  it('takes global options before and behind the command, and out of the environment', async () => {
    const a = await member({ unary: () => v1.DiscoverResponse.encode({ header, known: true }) });
    vi.stubEnv('ROLLCALL_NAMESPACE', 'from-env');
    vi.stubEnv('ROLLCALL_OUTPUT', 'json');
    await cli('discover', 'web');
    await cli('--namespace', 'before', 'discover', 'web');
    await cli('discover', 'web', '--namespace', 'behind');
    const asked = a.seen.map(({ request }) => v1.DiscoverRequest.decode(request).namespace);
    expect(asked).toEqual(['from-env', 'before', 'behind']);
    vi.stubEnv('ROLLCALL_OUTPUT', 'xml');
    expect((await cli('discover', 'web')).exitCode).toBe(exitCodes.usage);
  });

  it('ends with the code of the failure, and says what to try next', async () => {
    const expected: Partial<Record<Reason, number>> = {
      INVALID_FIELD: exitCodes.usage,
      UNKNOWN_INSTANCE: exitCodes.notFound,
      UNKNOWN_LEASE: exitCodes.notFound,
      ALREADY_REGISTERED: exitCodes.conflict,
      SUPERSEDED: exitCodes.conflict,
      HISTORY_CHANGED: exitCodes.conflict,
      OVERLOADED: exitCodes.unavailable,
      NO_LEADER: exitCodes.unavailable,
      OUTCOME_UNKNOWN: exitCodes.unavailable,
      MEMBER_BEHIND: exitCodes.unavailable,
      DEADLINE: exitCodes.timeout,
      UNKNOWN_METHOD: exitCodes.other,
      INTERNAL: exitCodes.other,
    };
    let reason: Reason = 'INTERNAL';
    await member({ unary: () => ({ reason }) });
    for (reason of Object.keys(reasonCodes) as Reason[]) {
      const { exitCode, stderr } = await cli('discover', 'web', '--timeout', '200ms');
      expect([reason, exitCode]).toEqual([reason, expected[reason] ?? exitCode]);
      expect(`${reason} ${stderr}`).toMatch(/^\w+ error: .+\nnext: .{10}.*\n$/);
    }
  });

  it('says of a write whether it may have been applied, and speaks of --stale to reads alone', async () => {
    let reason: Reason = 'NO_LEADER';
    await member({ unary: () => ({ reason, retryAfterMs: 1 }) });
    const failed = async (...args: readonly string[]) => (await cli(...args, '--timeout', '500ms')).stderr;
    expect(await failed('discover', 'web')).toContain('--stale');
    for (const write of [
      [...web, '--persistent'],
      ['deregister', 'web', '--id', 'a'],
    ]) {
      reason = 'NO_LEADER';
      const refused = await failed(...write);
      expect(refused).toContain('refused: NO_LEADER');
      expect(refused).toContain('next: see which members are there: `rollcall cluster status`\n');
      expect(refused).not.toMatch(/applied|--stale/);
      expect(await failed(...write, '--output', 'json')).toMatch(/"reason":"NO_LEADER".*"mayHaveApplied":false/);
      reason = 'OUTCOME_UNKNOWN';
      expect(await failed(...write)).toMatch(/refused: OUTCOME_UNKNOWN .*\nnext: look whether it was applied/);
      expect(await failed(...write, '--output', 'json')).toMatch(/"reason":"OUTCOME_UNKNOWN".*"mayHaveApplied":true/);
    }
  });

  it('says at once that nobody listens', async () => {
    vi.stubEnv('ROLLCALL_SERVER', await deadAddress());
    for (const args of [['discover', 'web'], ['watch'], ['cluster', 'status']]) {
      const { exitCode, stderr } = await cli(...args);
      expect([args[0], exitCode]).toEqual([args[0], exitCodes.unavailable]);
      expect(stderr).toContain('rollcall dev');
    }
  });

  it('ends with 7 when no answer comes in time', async () => {
    await member({ unary: () => 'hang' });
    expect((await cli('services', '--timeout', '30ms')).exitCode).toBe(exitCodes.timeout);
  });

  it('sends nothing with --dry-run', async () => {
    const a = await member({});
    const { stdout, exitCode } = await cli(...web, '--ttl', '10s', '--tag', 'x', '--meta', 'k=v', '--dry-run');
    expect(JSON.parse(stdout)).toMatchObject({
      schema: 'rollcall.register-request.v1',
      dryRun: true,
      instance: { service: 'web', id: 'web-1', tags: ['x'], metadata: { k: 'v' } },
      lifetime: { ttlMs: 10_000 },
    });
    const other = await cli('deregister', 'web', '--id', 'web-1', '--dry-run');
    expect(JSON.parse(other.stdout)).toMatchObject({
      schema: 'rollcall.deregister-request.v1',
      dryRun: true,
      id: 'web-1',
    });
    expect([exitCode, other.exitCode, a.seen.length]).toEqual([0, 0, 0]);
  });

  it('does not let what others registered steer the terminal', async () => {
    const spec = { service: 'web', id: 'web-1', version: '\u001b[31mred\u009b\n' };
    await member({ unary: () => v1.DiscoverResponse.encode({ header, known: true, instances: [{ spec }] }) });
    const { stdout } = await cli('discover', 'web');
    expect(stdout).not.toMatch(/[^\P{Cc}\n]/u);
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
  });

  it('shows region and zone so that one is not taken for the other', async () => {
    const at = (region: string, zone: string) => ({ spec: { service: 'web', id: 'a', locality: { region, zone } } });
    const instances = [at('r', 'z'), at('r', ''), at('', 'z'), at('', '')];
    await member({ unary: () => v1.DiscoverResponse.encode({ header, known: true, instances }) });
    const lines = (await cli('discover', 'web')).stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/ WEIGHT {2}REGION\/ZONE {2}TAGS /);
    expect(lines.slice(1).map((each) => each.split(/\s+/).at(-4))).toEqual(['r/z', 'r/-', '-/z', '-']);
  });

  it('watches with one line of JSON a batch until it is interrupted', async () => {
    const put = { kind: v1.WatchEventKind.WATCH_EVENT_KIND_PUT, revision: 5, instance: { spec: { id: '1' } } };
    await member({
      watch: (stream) =>
        stream.on('data', (bytes: Buffer) => {
          const watchId = v1.WatchRequest.decode(bytes).create?.watchId;
          if (watchId === undefined || watchId === null) return;
          const kind = v1.WatchBatchKind.WATCH_BATCH_KIND_SNAPSHOT;
          const response = { watchId, kind, toRevision: 5, events: [put], header };
          stream.write(Buffer.from(v1.WatchResponse.encode(response).finish()));
        }),
    });
    const run = startCli('watch', 'web', '--output', 'json');
    await until(() => run.stdout().endsWith('\n'), 'the snapshot');
    run.interrupt();
    expect(await run.exitCode).toBe(exitCodes.ok);
    const lines = run.stdout().trimEnd().split('\n');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ schema: 'rollcall.watch.v1', kind: 'snapshot', to: 5 });
  });

  it('says once that what a watch shows may be old, and once that it is current again', async () => {
    let confirm = (_ageMs: number): void => undefined;
    const a = await member({
      watch: (stream) =>
        stream.on('data', (bytes: Buffer) => {
          const watchId = v1.WatchRequest.decode(bytes).create?.watchId;
          if (watchId === undefined || watchId === null) return;
          const send = (kind: number, ageMs: number, fromRevision = 0): void => {
            const response = { watchId, kind, fromRevision, toRevision: 5, header: { ...header, ageMs } };
            stream.write(Buffer.from(v1.WatchResponse.encode(response).finish()));
          };
          confirm = (ageMs) => send(v1.WatchBatchKind.WATCH_BATCH_KIND_PROGRESS, ageMs, 5);
          send(v1.WatchBatchKind.WATCH_BATCH_KIND_SNAPSHOT, 60_000);
          for (const ageMs of [60_000, 60_000]) confirm(ageMs);
        }),
    });
    const run = startCli('watch', 'web', '--stale');
    await until(() => run.stderr() !== '', 'that it may be old');
    // Which is no break of something that was current.
    a.endStreams({ reason: 'NOT_SERVING', retryAfterMs: 1 });
    await until(() => run.stdout().includes('in place of the changes'), 'that the watch goes on');
    confirm(0);
    await until(() => run.stderr().includes('again'), 'that it is current');
    run.interrupt();
    expect(await run.exitCode).toBe(exitCodes.ok);
    expect(run.stderr()).toMatch(
      /^what is shown may be old: .* since \d{4}-\S+Z\nwhat is shown is current again, at revision 5\n$/,
    );
  });

  it('names a member that stops, once, and says at the end that the instance leaves by itself', async () => {
    const a = await member({
      unary: () => v1.RegisterResponse.encode({ header, incarnation: 9, leaseId: 3, ttlMs: 10_000 }),
      // Behind a renewal, which leaves the stream no retry to make by itself.
      keepAlive: (stream, self) => void stream.once('data', () => self.endStreams({ reason: 'NOT_SERVING' })),
    });
    const other = await deadAddress();
    const run = startCli(...web, '--ttl', '10s', '--keep-alive', '--server', `${a.address},${other}`);
    const trouble = `${a.address}: refused: NOT_SERVING; going on\n`;
    await until(() => run.stderr().includes(trouble), 'the member stops', 10_000);
    a.kill();
    run.interrupt();
    expect(await run.exitCode).toBe(exitCodes.unavailable);
    expect(run.stderr().split('; going on')).toHaveLength(2);
    expect(run.stderr()).toMatch(
      /error: web\/web-1 is not deregistered: .+\nnext: nothing: .* within 10s, since .*\n$/,
    );
    const away = await cli(...web, '--persistent', '--server', `${other},${await deadAddress()}`);
    expect(away.stderr).toMatch(/^error: .*ECONNREFUSED .*; nor to the other address\n/);
  });

  it('tells trouble with the name of the member, and without the advice that it follows', () => {
    const text = (message: string, address?: string) =>
      troubleOf(new ClientError('UNAVAILABLE', 'NOT_SERVING', message, { address }));
    expect(text('this member is stopping; go on with another one', 'h:1')).toBe('h:1: this member is stopping');
    expect(text('h:1: no connection', 'h:1')).toBe('h:1: no connection');
    expect(text('no leader confirmed the read in time; try another member or read stale')).toBe(
      'no leader confirmed the read in time',
    );
  });

  it('says plainly that a file is not there', async () => {
    const { exitCode, stderr } = await cli('apply', '-f', 'there-is-no-such-file.yaml');
    expect(exitCode).toBe(exitCodes.usage);
    expect(stderr).toBe('error: there-is-no-such-file.yaml is not there\nnext: name a file that can be read\n');
  });

  it('says nothing of a member that breaks off behind all that was asked for', async () => {
    await member({
      watch: (stream) =>
        stream.on('data', (bytes: Buffer) => {
          const watchId = v1.WatchRequest.decode(bytes).create?.watchId;
          if (watchId === undefined || watchId === null) return;
          const kind = v1.WatchBatchKind.WATCH_BATCH_KIND_SNAPSHOT;
          stream.write(Buffer.from(v1.WatchResponse.encode({ watchId, kind, toRevision: 5, header }).finish()));
          stream.destroy(Object.assign(new Error('no leader'), { code: status.UNAVAILABLE }));
        }),
    });
    const { exitCode, stdout, stderr } = await cli('watch', 'web', '--once', '--stale');
    expect([exitCode, stdout, stderr]).toEqual([exitCodes.ok, '0 instances there at revision 5, from member a\n', '']);
  });

  it('names itself in advice as it was started', async () => {
    const args = ['services', '--server', await deadAddress()];
    const plain = new RollcallProcess(args, { npm_lifecycle_event: 'test' });
    const npx = new RollcallProcess(args, { npm_lifecycle_event: 'npx' });
    expect([await plain.exitCode, await npx.exitCode]).toEqual([exitCodes.unavailable, exitCodes.unavailable]);
    expect([plain.stderr, npx.stderr]).toEqual([
      expect.stringContaining('`rollcall dev`'),
      expect.stringContaining('`npx rollcall dev`'),
    ]);
  });

  it('asks members that others name, shows silent ones, and ends with 5 without a leader', async () => {
    const dead = await deadAddress();
    let role = v1.MemberRole.MEMBER_ROLE_LEADER as number;
    const hash = 'ab'.repeat(16);
    const b = await FakeMember.start({
      unary: () => v1.StatusResponse.encode({ memberId: 'b', clusterId: 'x', role, term: 3, members: named() }),
    });
    members.push(b);
    const a = await member({
      unary: () =>
        v1.StatusResponse.encode({ memberId: 'a', clusterId: 'x', role: 1, stateHash: hash, members: named() }),
    });
    const named = () => [
      { memberId: 'a', clientAddress: a.address, reachable: true, lastContactMs: 12 },
      { memberId: 'b', clientAddress: b.address, reachable: true },
      { memberId: 'c', clientAddress: dead, reachable: false },
    ];
    const good = await cli('cluster', 'status');
    expect(good.exitCode).toBe(exitCodes.ok);
    const rows = good.stdout.trimEnd().split('\n');
    expect(rows[1]).toMatch(/^a +follower +0 .* abababababab +12ms /);
    expect(rows[2]).toMatch(/^b +leader +3 /);
    expect(rows[3]).toMatch(/^c +silent .*127\.0\.0\.1:/);
    expect(b.seen).toHaveLength(1);
    const json = JSON.parse((await cli('cluster', 'status', '--output', 'json')).stdout) as object;
    expect(json).toMatchObject({
      schema: 'rollcall.cluster-status.v1',
      leader: 'b',
      term: 3,
      members: [{ memberId: 'a' }, { memberId: 'b' }, {}],
    });
    role = v1.MemberRole.MEMBER_ROLE_CANDIDATE;
    const bad = await cli('cluster', 'status');
    expect([bad.exitCode, bad.stdout.split('\n').length]).toEqual([exitCodes.unavailable, 5]);
    expect(bad.stderr).toContain('no leader with a majority answers');
  });
});
