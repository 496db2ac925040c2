import { describe, expect, it } from 'vitest';
import { Network } from './network.ts';

describe('RaftCore', () => {
  it('elects a leader, replicates, commits and applies on all members', () => {
    const net = new Network();
    net.elect('a');
    expect(net.member('a').raft.status()).toMatchObject({ role: 'leader', term: 1, commit: 1, ownTermCommitted: true });
    expect(net.propose('a', 'x')).toEqual({ accepted: true, index: 2, term: 1 });
    net.propose('a', 'y');
    net.settle();
    for (const member of net.members) expect(member.state).toEqual(['x', 'y']);
  });

  it('runs as a single voter', () => {
    const net = new Network({ members: ['a'] });
    net.campaign('a');
    expect(net.propose('a', 'x')).toMatchObject({ accepted: true, index: 2 });
    const context = net.member('a').read();
    net.checkers.readAsked(context);
    net.settle();
    expect(net.member('a').state).toEqual(['x']);
    expect(net.member('a').confirmed).toEqual([{ context, index: 1 }]);
  });
});
