import { afterEach, describe, expect, it, vi } from 'vitest';
import type { rollcall } from '../../src/gen/rollcall.js';
import { RollcallError } from '../../src/base/errors.ts';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { JoinAsker } from '../../src/cli/join-asker.ts';
import type { Answer, Behaviour } from '../client/fake-member.ts';
import { deadAddress, FakeMember, until, v1 } from '../client/fake-member.ts';
import { cli } from './run-cli.ts';

const members: FakeMember[] = [];
const askers: JoinAsker[] = [];

afterEach(() => {
  vi.unstubAllEnvs();
  for (const asker of askers.splice(0)) asker.close();
  for (const member of members.splice(0)) member.kill();
});

async function setUp(unary: Behaviour['unary'] & object, learner = false) {
  const member = await FakeMember.start({ unary });
  members.push(member);
  const troubles: string[] = [];
  const servers = [await deadAddress(), member.address];
  const onTrouble = (text: string): void => void troubles.push(text);
  const client = { callTimeoutMs: 1_000, spread: false };
  const asker = new JoinAsker({ servers, learner, onTrouble, client });
  askers.push(asker);
  return { member, asker, troubles };
}

const newerKind = 9 as rollcall.v1.MemberKind;
const taken = (): Answer =>
  v1.AddMemberResponse.encode({
    membership: {
      clusterId: 'c1',
      index: 6,
      members: [
        { memberId: 'a', directoryId: 'd1', peerAddress: 'a:7401', kind: 1 },
        { memberId: 'd', directoryId: 'd4', peerAddress: 'd:7401', kind: 2, autoPromote: true },
        { memberId: 'e', directoryId: 'd5', peerAddress: 'e:7401', kind: newerKind },
      ],
    },
  });

describe('a member that is to join', () => {
  it('is asked for at a member that answers', async () => {
    const { member, asker, troubles } = await setUp(taken);
    expect(await asker.ask('d:7401')).toMatchObject({
      clusterId: 'c1',
      members: [{ kind: 'voter' }, { memberId: 'd', kind: 'learner', autoPromote: true }, { kind: 'learner' }],
    });
    expect(troubles).toEqual([]);
    const [request = Buffer.alloc(0)] = member.seen.map((seen) => seen.request);
    const { peerAddress, learnerOnly, force } = v1.AddMemberRequest.decode(request);
    expect([peerAddress, learnerOnly, force]).toEqual(['d:7401', false, false]);
  });

  it('says so where it stays a learner', async () => {
    const { member, asker } = await setUp(taken, true);
    await asker.ask('d:7401');
    expect(v1.AddMemberRequest.decode(member.seen[0]?.request ?? Buffer.alloc(0)).learnerOnly).toBe(true);
  });

  it('is asked for until it is taken in, and what is in the way is told once', async () => {
    let answer: Answer = { reason: 'CHANGE_UNDER_WAY', retryAfterMs: 5 };
    const { asker, troubles, member } = await setUp(() => answer);
    const asked = asker.ask('d:7401');
    await until(() => troubles.length > 0, 'the time of a call is over');
    const before = member.seen.length;
    await until(() => member.seen.length > before + 1, 'it goes on');
    answer = { reason: 'NO_LEADER', retryAfterMs: 5 };
    await until(() => troubles.length > 1, 'it is something else now');
    // The leader cannot reach who has just begun to listen.
    answer = { reason: 'MEMBERSHIP_REFUSED', facts: { problem: 'unreachable' } };
    await until(() => troubles.length > 2, 'it is yet another thing');
    answer = taken();
    await asked;
    expect(troubles.map((text) => text.replace(/^.*: /, ''))).toEqual([
      'CHANGE_UNDER_WAY',
      'NO_LEADER',
      'MEMBERSHIP_REFUSED',
    ]);
  });

  it('is refused for good with the reason of the cluster', async () => {
    const facts = { problem: 'removed-before' };
    const { asker } = await setUp(() => ({ reason: 'MEMBERSHIP_REFUSED', facts }));
    const error: unknown = await asker.ask('d:7401').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RollcallError);
    expect(error).toMatchObject({ reason: 'MEMBERSHIP_REFUSED', facts, message: 'refused: MEMBERSHIP_REFUSED' });
  });

  it('is told that what answers is no member', async () => {
    const { asker } = await setUp(() => ({ reason: 'UNKNOWN_METHOD' }));
    await expect(asker.ask('d:7401')).rejects.toThrow(/; name the addresses where members serve clients/);
  });

  it('is asked for no longer once nobody waits', async () => {
    const { asker, troubles } = await setUp(() => ({ reason: 'NO_LEADER', retryAfterMs: 5_000 }));
    const asked = asker.ask('d:7401').catch((thrown: unknown) => thrown);
    await until(() => troubles.length > 0, 'it waits');
    asker.close();
    expect(await asked).toBeInstanceOf(RollcallError);
  });
});

describe('serve --join', () => {
  it.each([[['--join', 'nowhere']], [['--join', '127.0.0.1:7410', '--join', '']], [['--learner']]])(
    'is refused with %j, and says what to try',
    async (args) => {
      const config = 'cluster-configs/single.yaml';
      const { exitCode, stdout, stderr } = await cli('serve', '--config', config, ...args);
      expect([exitCode, stdout]).toEqual([exitCodes.usage, '']);
      expect(stderr).toMatch(/^error: .+\nnext: .{10}.*\n$/);
    },
  );
});
