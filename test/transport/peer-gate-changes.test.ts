import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { decodeIdentity, type PeerIdentity } from '../../src/transport/peer-codec.ts';
import { PeerGate } from '../../src/transport/peer-gate.ts';
import type { PeerRefusal } from '../../src/transport/refusal.ts';

const local = {
  clusterId: 'c1',
  memberId: 'a',
  directoryId: 'da',
  boot: 5,
  startId: 50,
  clientAddress: 'h:1',
  startIndex: 9,
};
const b = { memberId: 'b', address: 'h:2', directoryId: 'db' };
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

function refusalOf(gate: PeerGate, identity: PeerIdentity): PeerRefusal {
  const verdict = gate.check(identity, 'open');
  if (verdict.kind !== 'refuse') throw new Error(`${identity.memberId} was let pass`);
  return verdict.refusal;
}

describe('a gate whose peers change', () => {
  it('judges by the new ones at once, and keeps what it has heard of those that come back', () => {
    const gate = new PeerGate(local, [b]);
    gate.record(fromB);
    gate.setPeers([], []);
    expect(gate.check(fromB, 'later').kind).toBe('refuse');
    expect(refusalOf(gate, fromB).message).toBe('unknown-member: "b" is no member of this cluster');
    expect(() => gate.record(fromB)).toThrow(InvariantError);
    expect(gate.heardOf('b')).toMatchObject({ boot: 9, startId: 90 });
    gate.setPeers([b], []);
    expect(gate.check(fromB, 'open').kind).toBe('accept');
    expect(refusalOf(gate, { ...fromB, boot: 8 }).reason).toBe('old-copy');
    gate.setPeers([{ ...b, directoryId: 'other' }], []);
    expect(refusalOf(gate, fromB).reason).toBe('wrong-directory');
  });

  it('tells one that was removed, and who tells it; nothing of it to another cluster or to its own name', () => {
    const gate = new PeerGate(local, [b]);
    gate.record(fromB);
    gate.setPeers([], ['a', 'b', 'x']);
    const refusal = refusalOf(gate, fromB);
    expect(refusal).toMatchObject({
      message: 'removed: member "b" was removed from cluster c1 for good, says member a',
      code: 'FAILED_PRECONDITION',
    });
    const identity = decodeIdentity(refusal.refuser ?? new Uint8Array(0));
    expect(identity).toEqual({ ...local, toMemberId: 'b', toBoot: 9, toStartId: 90 });
    expect(refusalOf(gate, { ...fromB, clusterId: 'c2' })).toMatchObject({
      reason: 'wrong-cluster',
      refuser: undefined,
    });
    expect(refusalOf(gate, { ...fromB, memberId: 'a' }).reason).toBe('own-member-id');
    expect(refusalOf(gate, { ...fromB, memberId: 'y' }).reason).toBe('unknown-member');
    // A peer of which nothing was heard.
    expect(decodeIdentity(gate.absence('x').refuser ?? new Uint8Array(0))).toMatchObject({ toBoot: 0, toStartId: 0 });
  });

  it('believes who refuses only where it is the peer that is meant, as it is recorded and present', () => {
    const gate = new PeerGate(local, [b, { memberId: 'n', address: 'h:3', directoryId: '' }]);
    gate.record(fromB);
    const table: readonly (readonly [string, boolean, Partial<PeerIdentity>])[] = [
      ['the peer', true, {}],
      ['its next start', true, { boot: 10, startId: 91 }],
      ['one who has heard only an earlier start of this member', true, { toBoot: 4, toStartId: 40 }],
      ['one who has heard none', true, { toBoot: 0, toStartId: 0 }],
      ['an old copy', false, { boot: 8 }],
      ['another start with its boot', false, { startId: 91 }],
      ['another cluster', false, { clusterId: 'c2' }],
      ['another directory', false, { directoryId: 'dx' }],
      ['one who means another', false, { toMemberId: 'z' }],
      ['one who has heard a later start of this member', false, { toBoot: 6, toStartId: 60 }],
      ['another peer', false, { memberId: 'n', directoryId: '' }],
    ];
    for (const [name, believed, change] of table) {
      expect([name, gate.isFrom('b', { ...fromB, ...change })]).toEqual([name, believed]);
    }
    expect(gate.isFrom('n', { ...fromB, memberId: 'n', directoryId: 'dn' })).toBe(false);
    expect(gate.isFrom('x', { ...fromB, memberId: 'x' })).toBe(false);
  });

  it('keeps the peers it has where the new ones cannot be', () => {
    const gate = new PeerGate(local, [b]);
    const odd: readonly (readonly [Parameters<PeerGate['setPeers']>[0], readonly string[]])[] = [
      [[b, b], []],
      [[{ ...b, memberId: 'a' }], []],
      [[b], ['b']],
    ];
    for (const [peers, removedIds] of odd) expect(() => gate.setPeers(peers, removedIds)).toThrow(InvariantError);
    expect(gate.check(fromB, 'open').kind).toBe('accept');
    expect(() => gate.absence('b')).toThrow(InvariantError);
  });
});
