import { afterEach, describe, expect, it, vi } from 'vitest';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import type { rollcall } from '../../src/gen/rollcall.js';
import { deadAddress, FakeMember, v1 } from '../client/fake-member.ts';
import { cli } from './run-cli.ts';

type Status = rollcall.v1.StatusResponse.$Properties;
type Peer = rollcall.v1.MemberStatus.$Properties;

const { MEMBER_ROLE_FOLLOWER, MEMBER_ROLE_LEADER } = v1.MemberRole;
const { MEMBER_KIND_VOTER, MEMBER_KIND_LEARNER, MEMBER_KIND_OUTGOING } = v1.MemberKind;
const clusterId = 'c1';

const members: FakeMember[] = [];

afterEach(() => {
  vi.unstubAllEnvs();
  for (const started of members.splice(0)) started.kill();
});

async function member(status: () => Status): Promise<string> {
  const started = await FakeMember.start({ unary: () => v1.StatusResponse.encode({ clusterId, ...status() }) });
  members.push(started);
  return started.address;
}

/** Runs `cluster status`; the cells of each row by its first. */
async function statusAt(address: string) {
  const { exitCode, stdout, stderr } = await cli('cluster', 'status', '--server', address);
  const [header = [], ...rows] = stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/));
  const cells = rows.map((row) => Object.fromEntries(header.map((name, i) => [name, row[i]])));
  return { exitCode, stderr, rows: cells };
}

describe('cluster status', () => {
  it('puts what every member knows into one table, at a glance', async () => {
    const dead = await deadAddress();
    const peers: Peer[] = [];
    const leader: Status = { memberId: 'a', role: MEMBER_ROLE_LEADER, term: 7, commitIndex: 500, appliedIndex: 500 };
    const a = await member(() => ({ ...leader, members: peers, revision: 90, diskFreeBytes: 5 * 2 ** 30 }));
    const learner: Status = { memberId: 'd', role: MEMBER_ROLE_FOLLOWER, term: 7, commitIndex: 480, appliedIndex: 350 };
    const d = await member(() => ({ ...learner, members: peers, diskFreeBytes: 900, version: '0.2.0' }));
    const kind = MEMBER_KIND_VOTER;
    peers.push(
      { memberId: 'a', clientAddress: a, reachable: true, kind },
      { memberId: 'b', clientAddress: dead, matchIndex: 460, lastContactMs: 8_000, kind },
      { memberId: 'c', reachable: true, matchIndex: 500, lastContactMs: 20, kind: MEMBER_KIND_OUTGOING },
      { memberId: 'd', clientAddress: d, reachable: true, lastContactMs: 40, kind: MEMBER_KIND_LEARNER },
      { memberId: 'e', reachable: true, kind },
    );
    const { exitCode, rows, stderr } = await statusAt(a);
    expect(exitCode).toBe(exitCodes.ok);
    const table = rows.map((row) => Object.values(row).join(' '));
    expect(Object.keys(rows[0] ?? {}).join(' ')).toBe(
      'ID ROLE TERM COMMIT APPLIED LAG REVISION STATE HASH HEARD DISK FREE VERSION ADDRESS',
    );
    expect(table).toEqual([
      `a leader 7 500 500 0 90 - - 5.0 GiB - ${a}`,
      `b silent - - - 40 - - 8s - - ${dead}`,
      'c silent - - - 0 - - 20ms - - -',
      `d learner 7 480 350 150 0 - 40ms 900 B 0.2.0 ${d}`,
      'e silent - - - - - - 0ms - - -',
    ]);
    expect(stderr).toContain(`${dead}: no connection`);
    expect(stderr).toContain('member c: no member that answers knows its address for clients\n');
    const json: unknown = JSON.parse((await cli('cluster', 'status', '--server', a, '--output', 'json')).stdout);
    expect(json).toMatchObject({
      leader: 'a',
      members: [
        { memberId: 'a', kind: 'voter', lag: 0, error: null },
        { memberId: 'b', kind: 'voter', lag: 40, address: dead },
        { memberId: 'c', kind: 'outgoing', lag: 0, address: '' },
        { memberId: 'd', kind: 'learner', lag: 150, role: 'follower' },
        { memberId: 'e', kind: 'voter', lag: null },
      ],
    });
  });

  it('counts voters alone for a majority', async () => {
    const other = { reachable: true, kind: MEMBER_KIND_LEARNER };
    let kind: number = MEMBER_KIND_VOTER;
    const address: string = await member(() => ({
      memberId: 'a',
      role: MEMBER_ROLE_LEADER,
      members: [
        { memberId: 'a', clientAddress: address, reachable: true, kind: MEMBER_KIND_VOTER },
        { memberId: 'b', kind },
        { memberId: 'd', ...other },
        { memberId: 'e', ...other },
      ],
    }));
    const lost = await statusAt(address);
    expect([lost.exitCode, lost.rows.length]).toEqual([exitCodes.unavailable, 4]);
    expect(lost.stderr).toMatch(/error: no leader with a majority answers\nnext: start the silent members; .+\n$/);
    kind = MEMBER_KIND_LEARNER;
    expect((await statusAt(address)).exitCode).toBe(exitCodes.ok);
  });

  it('marks who leaves, and who serves nothing', async () => {
    const address: string = await member(() => ({
      memberId: 'b',
      role: MEMBER_ROLE_FOLLOWER,
      fenced: true,
      members: [{ memberId: 'b', clientAddress: address, reachable: true, kind: MEMBER_KIND_OUTGOING }],
    }));
    expect((await statusAt(address)).rows).toMatchObject([{ ROLE: 'follower (fenced, leaving)', LAG: '0' }]);
  });
});
