import { describe, expect, it } from 'vitest';
import { filterOf, parseCondition } from '../../src/cli/filter-options.ts';
import { v1 } from '../client/fake-member.ts';
import { FakeMember } from '../client/fake-member.ts';
import { cli } from './run-cli.ts';

describe('filters', () => {
  it.each([
    ['k=v', { key: 'k', equals: 'v' }],
    ['k=', { key: 'k', equals: '' }],
    ['k=a=b', { key: 'k', equals: 'a=b' }],
    ['k', { key: 'k', exists: true }],
    ['k in a', { key: 'k', in: ['a'] }],
    ['k in a, b c ,d', { key: 'k', in: ['a', 'b c', 'd'] }],
    ['k=a in b', { key: 'k', equals: 'a in b' }],
    ['in', { key: 'in', exists: true }],
  ])('reads the condition "%s"', (text, condition) => {
    expect(parseCondition(text)).toEqual(condition);
  });

  it.each(['', '=v', 'a b', 'k in', 'k in a,,b', 'k in ,'])('refuses "%s" as one', (text) => {
    expect(() => parseCondition(text)).toThrow(/is no condition|has an empty value/);
  });

  it('is none where nothing was given', () => {
    expect(filterOf({})).toEqual({});
  });

  it('reaches the member as it was given', async () => {
    const member = await FakeMember.start({
      unary: () => v1.DiscoverResponse.encode({ header: { revision: 1, member: 'a' }, known: true }),
    });
    const tags = [
      '--tag',
      'blue',
      '--tag',
      'fast',
      '--meta',
      'track in stable,canary',
      '--meta',
      'paid',
      '--meta',
      'k=v',
    ];
    const places = [
      '--zone',
      'a,b',
      '--zone',
      'c',
      '--region',
      'r',
      '--status',
      'up,starting',
      '--version-range',
      '^1.2',
    ];
    const { exitCode } = await cli('discover', 'web', '--server', member.address, ...tags, ...places);
    expect(exitCode).toBe(0);
    const [seen] = member.seen.map(({ request }) => v1.DiscoverRequest.decode(request));
    member.kill();
    const operators = v1.MetadataOperator;
    const statuses = v1.InstanceStatus;
    expect(v1.DiscoverRequest.toObject(v1.DiscoverRequest.fromObject(seen ?? {}), { arrays: true })['filter']).toEqual({
      tags: ['blue', 'fast'],
      metadata: [
        { key: 'track', operator: operators.METADATA_OPERATOR_IN, values: ['stable', 'canary'] },
        { key: 'paid', operator: operators.METADATA_OPERATOR_EXISTS, values: [] },
        { key: 'k', operator: operators.METADATA_OPERATOR_EQUALS, values: ['v'] },
      ],
      versionRange: '^1.2',
      zones: ['a', 'b', 'c'],
      regions: ['r'],
      statuses: [statuses.INSTANCE_STATUS_UP, statuses.INSTANCE_STATUS_STARTING],
    });
  });

  it.each([
    ['--status', 'gone', 'none of starting, up'],
    ['--zone', 'a,,b', 'has an empty value'],
    ['--meta', 'a b', 'is no condition'],
  ])('refuses %s %s', async (option, value, told) => {
    const { exitCode, stderr } = await cli('discover', 'web', option, value);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(told)]);
  });
});
