import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import type { PeerIdentity } from '../../src/transport/peer-codec.ts';
import { type Moment, PeerGate } from '../../src/transport/peer-gate.ts';

const local = {
  clusterId: 'c1',
  memberId: 'a',
  directoryId: 'da',
  boot: 5,
  startId: 50,
  clientAddress: 'h:1',
  startIndex: 9,
};
const peers = [
  { memberId: 'b', address: 'h:2', directoryId: 'db' },
  { memberId: 'n', address: 'h:3', directoryId: '' },
];
const fromB: PeerIdentity = {
  clusterId: 'c1',
  memberId: 'b',
  directoryId: 'db',
  boot: 9,
  startId: 90,
  toBoot: 5,
  toStartId: 50,
  clientAddress: 'h:4',
  startIndex: 20,
  toMemberId: 'a',
};

/** A gate that has heard boot 9 of b. */
function gate(): PeerGate {
  const made = new PeerGate(local, peers);
  made.record(fromB);
  return made;
}

function said(identity: PeerIdentity, moment: Moment): string {
  const verdict = gate().check(identity, moment);
  switch (verdict.kind) {
    case 'accept':
      return 'accept';
    case 'drop':
      return `drop ${verdict.reason}`;
    case 'refuse':
      return `refuse ${verdict.refusal.reason}`;
  }
}

describe('the gate', () => {
  const table: readonly (readonly [string, Partial<PeerIdentity>, string, string])[] = [
    ['the peer as recorded', {}, 'accept', 'accept'],
    ['one that has not heard this member yet', { toBoot: 0, toStartId: 0 }, 'accept', 'accept'],
    ['a later boot', { boot: 10, startId: 91 }, 'accept', 'accept'],
    ['an earlier boot', { boot: 8 }, 'refuse old-copy', 'drop late-boot'],
    ['another start with the same boot', { startId: 91 }, 'refuse old-copy', 'drop other-start'],
    ['a batch for an earlier life of this member', { toBoot: 4 }, 'drop earlier-life', 'drop earlier-life'],
    [
      "one who knows another start with this member's boot",
      { toStartId: 51 },
      'refuse receiver-old-copy',
      'drop other-start',
    ],
    [
      'one who knows a later boot of this member',
      { toBoot: 6 },
      'refuse receiver-old-copy',
      'refuse receiver-old-copy',
    ],
    ['another cluster', { clusterId: 'c2' }, 'refuse wrong-cluster', 'refuse wrong-cluster'],
    ['another addressee', { toMemberId: 'b' }, 'refuse wrong-addressee', 'refuse wrong-addressee'],
    ['another directory', { directoryId: 'dx' }, 'refuse wrong-directory', 'refuse wrong-directory'],
    ['a member that is none', { memberId: 'x' }, 'refuse unknown-member', 'refuse unknown-member'],
    ["this member's own id", { memberId: 'a' }, 'refuse own-member-id', 'refuse own-member-id'],
    // The first thing that is wrong is named, and who is addressed comes before who speaks.
    [
      'everything wrong',
      { toMemberId: 'b', clusterId: 'c2', boot: 1 },
      'refuse wrong-addressee',
      'refuse wrong-addressee',
    ],
    [
      'another directory with an old boot',
      { directoryId: 'dx', boot: 1 },
      'refuse wrong-directory',
      'refuse wrong-directory',
    ],
    ['an old boot to an earlier life', { boot: 8, toBoot: 4 }, 'refuse old-copy', 'drop late-boot'],
    ['another start to an earlier life', { startId: 91, toBoot: 4 }, 'refuse old-copy', 'drop other-start'],
  ];
  it.each(table)('%s', (_name, change, atOpening, later) => {
    expect(said({ ...fromB, ...change }, 'open')).toBe(atOpening);
    expect(said({ ...fromB, ...change }, 'later')).toBe(later);
  });

  it('changes nothing by checking', () => {
    const one = gate();
    one.check({ ...fromB, boot: 20 }, 'open');
    expect(one.heardOf('b').boot).toBe(9);
    expect(one.check(fromB, 'open').kind).toBe('accept');
  });

  it('remembers the highest boot only, and the start that was heard with it', () => {
    const one = gate();
    one.record({ ...fromB, boot: 8, startId: 80 });
    expect(one.heardOf('b')).toMatchObject({ boot: 9, startId: 90 });
    one.record({ ...fromB, boot: 11, startId: 110 });
    expect(one.heardOf('b')).toMatchObject({ boot: 11, startId: 110 });
    expect(one.heardOf('n')).toEqual({ boot: 0, startId: 0 });
  });

  it('stays with the start that it heard first, until one with a higher boot comes', () => {
    const one = new PeerGate(local, peers);
    const second = { ...fromB, startId: 91 };
    // Which of the two is the copy cannot be known: whoever comes first is taken.
    expect(one.check(second, 'open').kind).toBe('accept');
    one.record(second);
    const verdict = one.check(fromB, 'open');
    if (verdict.kind !== 'refuse') throw new Error('two starts with one boot were let pass');
    expect(verdict.refusal.message).toBe(
      'old-copy: member b speaks as boot 9, another start with that number was heard before: one of them has an old ' +
        'copy of the directory; end it, and start the right one again',
    );
    expect(() => one.record(fromB)).toThrow(InvariantError);
    expect(one.check(second, 'open').kind).toBe('accept');
    const next = { ...fromB, boot: 10, startId: 92 };
    expect(one.check(next, 'open').kind).toBe('accept');
    one.record(next);
    expect(one.check(second, 'open').kind).toBe('refuse');
    expect(one.check(second, 'later')).toEqual({ kind: 'drop', reason: 'late-boot' });
    // A start id says something only together with its boot.
    expect(one.check({ ...next, boot: 11 }, 'open').kind).toBe('accept');
  });

  it('takes any directory where none is recorded, and counts the boots of each for itself', () => {
    const one = gate();
    const first = { ...fromB, memberId: 'n', directoryId: 'd1', boot: 30 };
    expect(one.check(first, 'open').kind).toBe('accept');
    one.record(first);
    expect(one.check({ ...first, boot: 29 }, 'open').kind).toBe('refuse');
    const second = { ...first, directoryId: 'd2', boot: 1, startId: 10 };
    expect(one.check(second, 'open').kind).toBe('accept');
    one.record(second);
    expect(one.heardOf('n').boot).toBe(1);
  });

  it('says in plain words what does not fit, whatever the caller calls itself', () => {
    const verdict = gate().check({ ...fromB, memberId: `x\n\u0000é${'y'.repeat(1000)}` }, 'open');
    if (verdict.kind !== 'refuse') throw new Error('a stranger was let pass');
    expect(verdict.refusal.message).toMatch(/^unknown-member: [\x20-\x7e]{1,310}$/);
    expect(verdict.refusal.code).toBe('FAILED_PRECONDITION');
  });

  it('refuses a new boot that has found less than was acknowledged here, and nothing of a boot that was heard', () => {
    const made = new PeerGate(local, peers, (member) => (member === 'b' ? 30 : 0));
    made.record(fromB);
    const verdict = (change: Partial<PeerIdentity>, moment: Moment = 'open'): string => {
      const { kind, ...rest } = made.check({ ...fromB, ...change }, moment);
      return 'refusal' in rest ? rest.refusal.message : kind;
    };
    expect(verdict({ boot: 10, startIndex: 30 })).toBe('accept');
    expect(verdict({ boot: 10, startIndex: 29 })).toBe(
      'old-copy: member b, started as boot 10, has found its log up to index 29, it had acknowledged 30',
    );
    // What it found at its start says nothing of what it has acknowledged since.
    expect(verdict({ boot: 9, startIndex: 20 })).toBe('accept');
    expect(verdict({ boot: 10, startIndex: 29 }, 'later')).toBe('accept');
  });

  it('is made only for a member and its peers', () => {
    expect(() => new PeerGate(local, [{ memberId: 'a', address: '', directoryId: '' }])).toThrow(InvariantError);
    expect(() => new PeerGate(local, [...peers, ...peers])).toThrow(InvariantError);
    expect(() => new PeerGate({ ...local, boot: 0 }, peers)).toThrow(InvariantError);
    expect(() => new PeerGate({ ...local, startId: 0 }, peers)).toThrow(InvariantError);
  });
});
