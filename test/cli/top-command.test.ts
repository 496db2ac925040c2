import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Asked, ClusterView } from '../../src/cli/cluster-status.ts';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { runCli } from '../../src/cli/program.ts';
import { topFigures, topRow } from '../../src/cli/top-figures.ts';
import { fromStatus } from '../../src/client/convert.ts';
import type { rollcall } from '../../src/gen/rollcall.js';
import { deadAddress, FakeMember, until, v1 } from '../client/fake-member.ts';
import { Captured, cli, testIo } from './run-cli.ts';

type Status = rollcall.v1.StatusResponse.$Properties;

const { MEMBER_ROLE_FOLLOWER, MEMBER_ROLE_LEADER } = v1.MemberRole;

function asked(status: Status): Asked {
  const report = fromStatus(v1.StatusResponse.encode({ clusterId: 'c1', ...status }).finish());
  return { address: 'h:1', memberId: report.memberId, expected: true, report, error: undefined };
}

function sample(atMs: number, ...members: readonly Asked[]) {
  const leader = members.find(({ report }) => report?.role === 'leader')?.report;
  const view: ClusterView = { asked: members, leader, clusterIds: ['c1'] };
  return { atMs, view };
}

const leader = { memberId: 'a', directoryId: 'd1', boot: 1, role: MEMBER_ROLE_LEADER, term: 3 };
const follower = { memberId: 'b', directoryId: 'd2', boot: 1, role: MEMBER_ROLE_FOLLOWER, term: 3 };

describe('the figures of top', () => {
  it('are rates over the time between, and sums over all members', () => {
    const before = sample(
      1_000,
      asked({ ...leader, revision: 100, appliedIndex: 50, watches: 1 }),
      asked({ ...follower, revision: 90, appliedIndex: 40 }),
    );
    const now = sample(
      3_000,
      asked({
        ...leader,
        revision: 1_700,
        appliedIndex: 450,
        commitIndex: 460,
        watches: 3,
        sessionStreams: 2,
        uptimeMs: 2_500,
      }),
      asked({ ...follower, revision: 1_500, appliedIndex: 43, watches: 4, sessionStreams: 5, uptimeMs: 61_999 }),
    );
    const figures = topFigures(before, now);
    expect(figures).toMatchObject({ intervalMs: 2_000, writesPerSecond: 800, watches: 7, sessionStreams: 7 });
    expect(figures.members.map(({ appliedPerSecond }) => appliedPerSecond)).toEqual([200, 1.5]);
    const rows = figures.members.map((member) => topRow(member, now.view).join(' '));
    expect(rows).toEqual(['a leader 450 200 10 3 2  0 B 2s', 'b follower 43 1.5 417 4 5  0 B 1m1s']);
  });

  it('are none for who was started anew, came in between, or is silent', () => {
    const before = sample(0, asked({ ...leader, appliedIndex: 9 }), asked({ ...follower, appliedIndex: 9 }));
    const silent: Asked = { address: 'h:2', memberId: 'c', expected: true, report: undefined, error: 'gone' };
    const restarted = asked({ ...follower, boot: 2, appliedIndex: 20 });
    const now = sample(1_000, asked({ ...leader, directoryId: 'other', appliedIndex: 20 }), restarted, silent);
    const { members, view } = topFigures(before, now);
    expect(members.map(({ appliedPerSecond }) => appliedPerSecond)).toEqual([undefined, undefined, undefined]);
    expect(topRow({ asked: silent, appliedPerSecond: undefined }, view)).toEqual([
      'c',
      'silent',
      '',
      '',
      '',
      '',
      '',
      '',
      '',
      '',
    ]);
    // At once, and of a registry that was set back or is another one.
    expect(topFigures(now, now).writesPerSecond).toBeUndefined();
    const back = sample(2_000, asked({ ...leader, revision: 5 }));
    expect(topFigures(sample(1_000, asked({ ...leader, revision: 6 })), back).writesPerSecond).toBeUndefined();
    const other = sample(2_000, asked({ ...leader, clusterId: 'c2', revision: 9 }));
    expect(topFigures(sample(1_000, asked({ ...leader, revision: 6 })), other).writesPerSecond).toBeUndefined();
  });
});

describe('top', () => {
  let member: FakeMember;
  let revision = 0;
  let answers = 0;

  beforeEach(async () => {
    answers = 0;
    member = await FakeMember.start({
      unary: () => {
        answers++;
        revision += 1_000;
        const members = [{ memberId: 'a', clientAddress: member.address, reachable: true }];
        return v1.StatusResponse.encode({ clusterId: 'c1', ...leader, revision, instances: 42, members });
      },
    });
    vi.stubEnv('ROLLCALL_SERVER', member.address);
  });

  afterEach(() => {
    vi.unstubAllEnvs();
    member.kill();
  });

  /** Runs it on a terminal of this size. */
  function onScreen(columns: number, rows: number, ...args: readonly string[]) {
    const stdout = new Captured();
    const keys = new Set<(key: string) => void>();
    const controller = new AbortController();
    const screen = {
      size: () => ({ columns, rows }),
      onKey: (listener: (key: string) => void) => {
        keys.add(listener);
        return () => keys.delete(listener);
      },
    };
    const exitCode = runCli(
      ['top', '--interval', '20ms', ...args],
      testIo({ stdout, screen, signal: controller.signal }),
    );
    const press = (key: string): void => {
      for (const listener of keys) listener(key);
    };
    return { exitCode, stdout, press, keys, interrupt: () => controller.abort() };
  }

  it('prints once where nobody looks on, with rates', async () => {
    const { exitCode, stdout } = await cli('top', '--interval', '100ms');
    expect([exitCode, answers]).toEqual([exitCodes.ok, 2]);
    const [head, figures, more, empty, header, row, ...rest] = stdout.split('\n');
    expect([head, empty, rest]).toEqual(['leader a in term 3; 1 of 1 members answer', '', ['']]);
    const [, perSecond] = /^writes\/s (\d+) {2}revision \d+ {2}instances 42 /.exec(figures ?? '') ?? [];
    // 1,000 in 100 ms or a little longer.
    expect(Number(perSecond)).toBeGreaterThan(500);
    expect(Number(perSecond)).toBeLessThanOrEqual(10_000);
    expect(more).toBe('sessions 0  leases 0  watches 0  session streams 0');
    expect([header?.split(/ {2,}/)[3], row?.split(/ {2,}/).slice(0, 4)]).toEqual([
      'APPLIED/S',
      ['a', 'leader', '0', '0'],
    ]);
  });

  it('ends with 5 where nobody leads or answers', async () => {
    const { exitCode, stderr } = await cli('top', '--interval', '10ms', '--server', await deadAddress());
    expect([exitCode, stderr]).toEqual([exitCodes.unavailable, expect.stringContaining('no member answers at')]);
  });

  it.each(['q', 'Q', '\u0003'])('draws anew until %j, and leaves the terminal as it was', async (key) => {
    const run = onScreen(200, 50);
    await until(() => answers > 3, 'it is drawn several times');
    run.press('x');
    run.press(key);
    expect([await run.exitCode, run.keys.size]).toEqual([exitCodes.ok, 0]);
    const { text } = run.stdout;
    expect(text.startsWith('\u001b[?1049h\u001b[?25l')).toBe(true);
    expect(text.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
    const frames = text.split('\u001b[H').slice(2);
    expect(frames.length).toBeGreaterThan(2);
    expect(frames[0]).toContain('writes/s - ');
    expect(frames[1]).toMatch(/writes\/s [1-9]/);
    expect(frames[1]).toContain('q ends it');
  });

  it('ends at SIGTERM, also while a member hangs', async () => {
    const hanging = await FakeMember.start({ unary: () => 'hang' });
    try {
      const run = onScreen(80, 24, '--server', hanging.address);
      await until(() => hanging.seen.length > 0, 'it is asked');
      const startMs = performance.now();
      run.interrupt();
      expect([await run.exitCode, performance.now() - startMs < 1_500]).toEqual([exitCodes.ok, true]);
    } finally {
      hanging.kill();
    }
  });

  it('draws no more than fits', async () => {
    const run = onScreen(10, 4);
    await until(() => answers > 2, 'it is drawn');
    run.press('q');
    await run.exitCode;
    const [, frame = ''] = run.stdout.text.split('\u001b[H').slice(1);
    const lines = frame.split('\r\n').slice(0, -1);
    expect(lines.map((line) => line.replace('\u001b[K', ''))).toEqual(['leader a i', 'writes/s -', 'sessions 0']);
  });

  it('prints once for programs, on a terminal too', async () => {
    const run = onScreen(80, 24, '--output', 'json');
    expect(await run.exitCode).toBe(exitCodes.ok);
    expect(JSON.parse(run.stdout.text)).toMatchObject({ schema: 'rollcall.top.v1', leader: 'a', instances: 42 });
  });
});
