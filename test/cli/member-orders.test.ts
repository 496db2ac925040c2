import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Reason } from '../../src/base/errors.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { runCli } from '../../src/cli/program.ts';
import { peerStatus } from '../api/replica-double.ts';
import type { ScriptedAdmin } from '../api/scripted-admin.ts';
import { recordedMember } from '../api/scripted-admin.ts';
import { deadAddress, until } from '../client/fake-member.ts';
import { ClusterDouble } from './cluster-double.ts';
import { Captured, cli, startCli, testIo } from './run-cli.ts';

let double: ClusterDouble;
let admin: ScriptedAdmin;

beforeEach(async () => {
  double = await ClusterDouble.start();
  admin = double.replica.admin;
  vi.stubEnv('ROLLCALL_SERVER', double.address);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await double.stop();
});

function refused(problem: string, text = `refused: ${problem}`): RollcallError {
  return new RollcallError('MEMBERSHIP_REFUSED', text, { facts: { problem } });
}

const cluster = (...args: readonly string[]) => cli('cluster', ...args);
const lines = (text: string): string[] => text.trimEnd().split('\n');

describe('cluster members', () => {
  it('lists who belongs to it', async () => {
    const learner = recordedMember('d', { kind: 'learner', autoPromote: true });
    const leaving = recordedMember('c', { kind: 'outgoing' });
    const members = [recordedMember('a'), recordedMember('b'), leaving, learner, recordedMember('e')];
    admin.current = { ...admin.current, members, joint: true, removedIds: ['x', 'y'] };
    const { exitCode, stdout, stderr } = await cluster('members');
    expect(exitCode).toBe(exitCodes.ok);
    expect(lines(stdout).map((line) => line.split(/ {2,}/))).toEqual([
      ['ID', 'KIND', 'PEER ADDRESS', 'DIRECTORY'],
      ['a', 'voter', 'a:7401', '000000000000'],
      ['b', 'voter', 'b:7401', '000000000000'],
      ['c', 'voter (leaving)', 'c:7401', '000000000000'],
      ['d', 'learner (votes once it has caught up)', 'd:7401', '000000000000'],
      ['e', 'voter', 'e:7401', '000000000000'],
    ]);
    expect(lines(stderr)).toEqual([
      'a change is under way: the former and the coming voters decide together',
      'removed, and never used again: x, y',
      expect.stringMatching(
        /^warning: 4 voters once all have caught up, an even number: they survive the loss of 1, as 3 /,
      ),
    ]);
  });

  it('prints it for programs, with whole ids', async () => {
    const { stdout, stderr } = await cluster('members', '--output', 'json');
    expect(JSON.parse(stdout)).toEqual({
      schema: 'rollcall.cluster-members.v1',
      clusterId: 'c1',
      index: 5,
      joint: false,
      members: ['a', 'b', 'c'].map((memberId) => ({
        memberId,
        directoryId: memberId.padStart(32, '0'),
        peerAddress: `${memberId}:7401`,
        kind: 'voter',
        autoPromote: false,
      })),
      removedIds: [],
    });
    expect(stderr).toBe('');
  });

  it('says that the member does not know yet, and what to do where nobody listens', async () => {
    admin.unreadable = new RollcallError('NOT_SERVING', 'the member is starting', { retryAfterMs: 10 });
    const starting = await cluster('members', '--timeout', '100ms');
    expect([starting.exitCode, starting.stdout]).toEqual([exitCodes.unavailable, '']);
    expect(starting.stderr).toMatch(/^error: the member is starting.*\nnext: see which members are there: /);
    const away = await cluster('members', '--server', await deadAddress());
    expect([away.exitCode, away.stderr]).toEqual([exitCodes.unavailable, expect.stringContaining('`rollcall dev`')]);
  });
});

describe('cluster add, promote, remove', () => {
  it('brings in a member as a learner that becomes a voter, and warns of an even number', async () => {
    admin.waiting.set('127.0.0.1:7441', 'd');
    const { exitCode, stdout, stderr } = await cluster('add', '127.0.0.1:7441');
    expect(exitCode).toBe(exitCodes.ok);
    expect(lines(stdout)[0]).toBe('added d (127.0.0.1:7441) as a learner: it becomes a voter once it has caught up');
    expect(lines(stdout)[5]).toMatch(/^d +learner \(votes once it has caught up\) +127\.0\.0\.1:7441 /);
    expect(stderr).toBe(
      'warning: 4 voters once all have caught up, an even number: they survive the loss of 1, as 3 would. ' +
        'Bring in one more, or take one out: `rollcall cluster remove ID`\n',
    );
    expect(admin.orders).toEqual([
      { order: { kind: 'add', peerAddress: '127.0.0.1:7441', autoPromote: true }, force: false },
    ]);
  });

  it('brings in a learner that stays one, without a warning', async () => {
    admin.waiting.set('[::1]:7441', 'd');
    const { stdout, stderr } = await cluster('add', '[::1]:7441', '--learner');
    expect([lines(stdout)[0], stderr]).toEqual(['added d ([::1]:7441) as a learner', '']);
    expect(admin.orders[0]?.order).toMatchObject({ autoPromote: false });
    const promoted = await cluster('promote', 'd');
    expect([lines(promoted.stdout)[0], promoted.exitCode]).toEqual(['d is a voter', exitCodes.ok]);
    expect(promoted.stderr).toMatch(/^warning: 4 voters, an even number/);
  });

  it('says so where it belongs to the cluster already', async () => {
    admin.current = { ...admin.current, members: [recordedMember('a'), recordedMember('b', { peerAddress: 'b:1' })] };
    // Who waits there is found to be a voter: nothing changes.
    admin.changeMembership = async () => admin.current;
    expect(lines((await cluster('add', 'b:1')).stdout)[0]).toBe('b (b:1) is a voter already');
    const moved = await cluster('add', 'b:2');
    expect(lines(moved.stdout)[0]).toBe('the member at b:2 belongs to the cluster already');
  });

  it('takes a member out, and says what that means', async () => {
    const { exitCode, stdout, stderr } = await cluster('remove', 'c');
    expect([exitCode, lines(stdout)[0]]).toEqual([exitCodes.ok, 'removed c: its id is never used again']);
    expect(lines(stderr)).toEqual([
      'removed, and never used again: c',
      'warning: 2 voters, an even number: they survive the loss of 0, as 1 would. ' +
        'Bring in one more, or take one out: `rollcall cluster remove ID`',
    ]);
    const json = await cluster('remove', 'b', '--output', 'json');
    expect(JSON.parse(json.stdout)).toMatchObject({ members: [{ memberId: 'a' }], removedIds: ['c', 'b'] });
    expect(json.stderr).toBe('');
  });

  it.each([
    ['add', 'd'],
    ['add', 'd:0'],
    ['add', 'd:1', 'e:1'],
    ['add'],
    ['promote'],
    ['remove', ''],
    ['replace', 'c'],
    ['replace', 'c', 'c'],
    ['transfer', 'x'.repeat(129)],
  ])('refuses %s %s as wrong usage, and says what to try', async (...args: readonly string[]) => {
    const { exitCode, stdout, stderr } = await cluster(...args);
    expect([exitCode, stdout, admin.orders.length + admin.transfers.length]).toEqual([exitCodes.usage, '', 0]);
    expect(stderr).toMatch(/^error: .+\nnext: .{10}.*\n$/);
  });

  it.each([
    ['unknown-id', exitCodes.notFound, '`rollcall cluster members`'],
    ['removed-before', exitCodes.conflict, 'another memberId'],
    ['directory-differs', exitCodes.conflict, 'under a new id'],
    ['not-caught-up', exitCodes.conflict, '`rollcall cluster status`'],
    ['is-voter', exitCodes.conflict, '`rollcall cluster remove ID`'],
    ['not-learner', exitCodes.conflict, '`rollcall cluster add PEER-ADDRESS --learner`'],
    ['something newer', exitCodes.conflict, '`rollcall cluster members`'],
  ])('says what to try where the problem is %s', async (problem, exitCode, hint) => {
    admin.refusals.push(refused(problem, 'd cannot be promoted'));
    const { exitCode: ended, stderr } = await cluster('promote', 'd');
    expect([ended, lines(stderr)]).toEqual([
      exitCode,
      ['error: d cannot be promoted', expect.stringMatching(/^next: /)],
    ]);
    expect(stderr).toContain(hint);
  });

  it.each<[Reason, number, string]>([
    ['QUORUM_AT_RISK', exitCodes.conflict, '--force'],
    ['CHANGE_UNDER_WAY', exitCodes.unavailable, '`rollcall cluster members`'],
    ['NO_LEADER', exitCodes.unavailable, '`rollcall cluster status`'],
    ['OUTCOME_UNKNOWN', exitCodes.unavailable, 'look whether it was done: `rollcall cluster members`'],
  ])('ends as %s says', async (reason, exitCode, hint) => {
    const retry = reason === 'QUORUM_AT_RISK' ? {} : { retryAfterMs: 400 };
    admin.refusals.push(new RollcallError(reason, 'not so', retry));
    const { exitCode: ended, stderr } = await cluster('remove', 'c', '--timeout', '300ms');
    expect([ended, stderr]).toEqual([exitCode, expect.stringContaining(hint)]);
    expect(lines(stderr)).toHaveLength(2);
  });
});

describe('--force', () => {
  /** Runs a command where somebody answers. */
  async function answering(answer: string, ...args: readonly string[]) {
    const questions: string[] = [];
    const stderr = new Captured();
    const ask = async (question: string): Promise<string> => {
      questions.push(question);
      return answer;
    };
    const exitCode = await runCli(['cluster', ...args], testIo({ stderr, ask }));
    return { exitCode, stderr: stderr.text, questions };
  }

  it('says what it risks, and goes on where the answer is yes', async () => {
    const { exitCode, stderr, questions } = await answering('yes', 'remove', 'c', '--force');
    expect([exitCode, questions]).toEqual([exitCodes.ok, ['go on? [y/N] ']]);
    expect(stderr).toMatch(/^warning: --force removes it although too few .* nothing can be written until a majority/);
    expect(admin.orders).toEqual([{ order: { kind: 'remove', memberId: 'c' }, force: true }]);
  });

  it.each(['', 'n', 'no', 'yesterday', 'ja'])('does nothing where the answer is "%s"', async (answer) => {
    const { exitCode, stderr } = await answering(answer, 'promote', 'c', '--force');
    expect([exitCode, admin.orders]).toEqual([exitCodes.other, []]);
    expect(stderr).toMatch(/\nerror: nothing was changed: the answer was not yes\nnext: .*--yes does not ask\n$/);
  });

  it('does not ask with --yes, nor where nobody is there, nor without it', async () => {
    expect((await answering('n', 'remove', 'c', '--force', '--yes')).questions).toEqual([]);
    expect((await answering('n', 'remove', 'b')).questions).toEqual([]);
    const { exitCode, stderr } = await cluster('promote', 'a', '--force', '--output', 'json');
    expect([exitCode, stderr]).toEqual([exitCodes.ok, expect.stringMatching(/^warning: --force makes it a voter/)]);
    expect(admin.orders.map(({ force }) => force)).toEqual([true, false, true]);
  });
});

describe('cluster transfer', () => {
  it('says who leads then', async () => {
    const named = await cluster('transfer', 'b');
    expect([named.exitCode, named.stdout, named.stderr]).toEqual([exitCodes.ok, 'b leads\n', '']);
    const any = await cluster('transfer', '--output', 'json');
    expect(JSON.parse(any.stdout)).toEqual({ schema: 'rollcall.cluster-transfer.v1', leader: 'b' });
    expect(admin.transfers).toEqual(['b', '']);
  });

  it('is tried once, and says that the old leader goes on', async () => {
    admin.refusals.push(new RollcallError('TRANSFER_FAILED', 'b did not take over; a goes on', { retryAfterMs: 1 }));
    const { exitCode, stderr } = await cluster('transfer', 'b');
    expect([exitCode, admin.transfers.length]).toEqual([exitCodes.unavailable, 1]);
    expect(stderr).toBe(
      'error: b did not take over; a goes on\nnext: see how far the others are: `rollcall cluster status`\n',
    );
  });
});

describe('cluster replace', () => {
  const behind = (match: number, state = 'replicate') => {
    const d = { ...peerStatus('d', 100, true), matchIndex: match, replicationState: state };
    double.replica.reported = {
      peers: [peerStatus('b', 100, true), peerStatus('c', undefined, false), d],
      commit: 5_000,
    };
  };

  beforeEach(() => {
    const learner = recordedMember('d', { kind: 'learner' });
    admin.current = { ...admin.current, members: [...admin.current.members, learner] };
  });

  it('puts the new member in at once where it has caught up', async () => {
    const { exitCode, stdout, stderr } = await cluster('replace', 'c', 'd');
    expect([exitCode, lines(stdout)[0]]).toEqual([exitCodes.ok, 'd has taken the place of c']);
    expect(
      lines(stdout)
        .slice(2)
        .map((line) => line.split(/ +/)[0]),
    ).toEqual(['a', 'b', 'd']);
    expect(stderr).toBe('removed, and never used again: c\n');
  });

  it('waits, and says how far the new member is', async () => {
    behind(0, 'snapshot');
    admin.refusals.push(refused('not-caught-up'), refused('not-caught-up'), refused('not-caught-up'));
    const run = startCli('cluster', 'replace', 'c', 'd');
    await until(() => run.stderr().includes('it is being sent the whole state'), 'the snapshot');
    behind(4_000);
    await until(() => run.stderr().includes('waiting for d to catch up: 1000 entries behind'), 'the rest');
    expect([await run.exitCode, admin.orders.length]).toEqual([exitCodes.ok, 4]);
    expect(lines(run.stdout())[0]).toBe('d has taken the place of c');
  });

  it('gives up after --timeout, and at Ctrl-C', async () => {
    behind(4_999);
    const always = Array.from({ length: 100 }, () => refused('not-caught-up'));
    admin.refusals.push(...always);
    const late = await cluster('replace', 'c', 'd', '--timeout', '300ms');
    expect(late.exitCode).toBe(exitCodes.timeout);
    expect(lines(late.stderr)).toEqual([
      'waiting for d to catch up: 1 entry behind',
      'error: d has not caught up within 300ms; c was not replaced',
      expect.stringMatching(/^next: see how far it is: `rollcall cluster status`/),
    ]);
    const run = startCli('cluster', 'replace', 'c', 'd');
    await until(() => run.stderr().includes('1 entry behind'), 'it waits');
    run.interrupt();
    expect(await run.exitCode).toBe(exitCodes.other);
    expect(run.stderr()).toContain('error: interrupted before d had caught up; c was not replaced\n');
  });

  it('does not wait for what will never come', async () => {
    admin.refusals.push(refused('is-voter', 'd is a voter'));
    const { exitCode, stderr } = await cluster('replace', 'c', 'd');
    expect([exitCode, stderr]).toEqual([
      exitCodes.conflict,
      'error: d is a voter\nnext: it votes already; take the other one out: `rollcall cluster remove ID`\n',
    ]);
  });
});
