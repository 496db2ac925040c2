import { describe, expect, it } from 'vitest';
import {
  parseAddMember,
  parseListMembers,
  parsePromoteMember,
  parseRemoveMember,
  parseReplaceMember,
  parseTransferLeadership,
} from '../../src/api/parse-cluster.ts';
import { WireWriter } from '../../src/base/wire-writer.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { fieldOf, refusalOf } from './requests.ts';

const { v1 } = rollcall;

const add = (request: rollcall.v1.AddMemberRequest.$Properties) =>
  parseAddMember(v1.AddMemberRequest.encode(request).finish());
const replace = (memberId: string, byMemberId: string) =>
  parseReplaceMember(v1.ReplaceMemberRequest.encode({ memberId, byMemberId }).finish());
const transfer = (toMemberId: string) =>
  parseTransferLeadership(v1.TransferLeadershipRequest.encode({ toMemberId }).finish());

describe('orders about the cluster', () => {
  it('say what is to be done, and whether at any price', () => {
    expect(add({ peerAddress: 'd:7401' })).toEqual({
      order: { kind: 'add', peerAddress: 'd:7401', autoPromote: true },
      force: false,
    });
    expect(add({ peerAddress: 'd:7401', learnerOnly: true, force: true })).toEqual({
      order: { kind: 'add', peerAddress: 'd:7401', autoPromote: false },
      force: true,
    });
    expect(parsePromoteMember(v1.PromoteMemberRequest.encode({ memberId: 'd', force: true }).finish())).toEqual({
      order: { kind: 'promote', memberId: 'd' },
      force: true,
    });
    expect(parseRemoveMember(v1.RemoveMemberRequest.encode({ memberId: 'c' }).finish())).toEqual({
      order: { kind: 'remove', memberId: 'c' },
      force: false,
    });
    expect(replace('c', 'd')).toEqual({ order: { kind: 'replace', memberId: 'c', by: 'd' }, force: false });
    expect([transfer(''), transfer('b')]).toEqual(['', 'b']);
  });

  it.each(['10.0.0.7:7401', '[::1]:1', '[2001:DB8::1]:65535', 'localhost:7401', 'A-1.example.com:80', 'd:00080'])(
    'take the address %s',
    (peerAddress) => expect(add({ peerAddress }).order).toMatchObject({ peerAddress }),
  );

  it.each(
    ['', 'd', ':7401', 'd:', 'd:0', 'd:65536', 'd:123456', 'd:-1', 'd:7401 ', ' d:7401', 'd:74o1', 'd_e:7401'].concat([
      '10.0.0.256:7401',
      '10.0.0:7401',
      '::1:7401',
      '[::1]',
      '[fe80::1%eth0]:7401',
      '[10.0.0.7]:7401',
      '[d]:7401',
      'http://d:7401',
      'd:7401,e:7401',
      'ä:7401',
    ]),
  )('refuse the address %j by the name of its field', (peerAddress) => {
    expect(fieldOf(() => add({ peerAddress }))).toBe('peer_address');
  });

  it('refuse ids that nobody can have, by the name of the field', () => {
    const promote = (memberId: string) => parsePromoteMember(v1.PromoteMemberRequest.encode({ memberId }).finish());
    const remove = (memberId: string) => parseRemoveMember(v1.RemoveMemberRequest.encode({ memberId }).finish());
    for (const id of ['', 'a b', 'ä', 'a\n', 'x'.repeat(129)]) {
      for (const parse of [promote, remove]) expect(fieldOf(() => parse(id))).toBe('member_id');
      expect(fieldOf(() => replace(id, 'd'))).toBe('member_id');
      expect(fieldOf(() => replace('c', id))).toBe('by_member_id');
      if (id !== '') expect(fieldOf(() => transfer(id))).toBe('to_member_id');
    }
    const longest = 'x'.repeat(128);
    expect(replace(longest, 'd').order).toMatchObject({ memberId: longest });
    expect(transfer(longest)).toBe(longest);
  });

  it('refuse to put a member in its own place', () => {
    expect(refusalOf(() => replace('c', 'c'))).toBe(
      'by_member_id: is the same as member_id, allowed is another member',
    );
  });

  it('refuse bytes that are something else', () => {
    const twice = new WireWriter().string(1, 'c').string(1, 'd').finish();
    expect(fieldOf(() => parseRemoveMember(twice))).toBe('member_id');
    const torn = Uint8Array.of(0x0a, 0x05);
    expect(fieldOf(() => parseTransferLeadership(torn))).toBe('to_member_id');
    expect(refusalOf(() => parseListMembers(Uint8Array.of(0xff)))).toBe('MALFORMED_MESSAGE');
    expect(fieldOf(() => parseListMembers(new Uint8Array(1024 * 1024 + 1)))).toBe('request');
  });
});
