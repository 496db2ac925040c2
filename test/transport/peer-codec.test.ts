import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { WireError } from '../../src/base/wire-reader.ts';
import { WireWriter } from '../../src/base/wire-writer.ts';
import { addressLengthMax, batchItemsMax, formMembersMax, idLengthMax } from '../../src/transport/limits.ts';
import {
  decodeBatchIdentity,
  decodeBatchItems,
  decodeForm,
  decodeSnapshotBody,
  decodeSnapshotHead,
  encodeBatchHead,
  encodeForm,
  encodeItems,
  encodeSnapshotHead,
  type PeerIdentity,
} from '../../src/transport/peer-codec.ts';
import { noMembership } from '../../src/raft/membership.ts';
import type { Message } from '../../src/raft/types.ts';
import { envelope, heartbeat } from './messages.ts';

const identity: PeerIdentity = {
  clusterId: 'c',
  memberId: 'a',
  directoryId: 'da',
  boot: 7,
  startId: 70,
  toBoot: 0,
  toStartId: 0,
  clientAddress: 'h:1',
  startIndex: 77,
  toMemberId: 'b',
};

function itemsOf(bytes: Uint8Array): ReturnType<typeof decodeBatchItems> {
  return decodeBatchItems(bytes, identity);
}

/** A RaftMessage as element of a batch, written by hand. */
function raw(write: (writer: WireWriter) => void): Uint8Array {
  const writer = new WireWriter().beginMessage(2);
  write(writer);
  return writer.endMessage().finish();
}

describe('a batch is refused', () => {
  const entry = (writer: WireWriter): WireWriter => writer.beginMessage(4);
  const cases: readonly (readonly [string, Uint8Array, string])[] = [
    ['a message of no kind', raw((w) => w.uint(1, 3).uint(10, 7)), 'no known kind'],
    ['an unknown kind', raw((w) => w.uint(10, 7).beginMessage(13).endMessage()), 'no known kind'],
    [
      'two kinds',
      raw((w) => w.uint(10, 7).beginMessage(6).endMessage().beginMessage(7).endMessage()),
      'second kind in one message',
    ],
    ['another boot', raw((w) => w.uint(10, 6).beginMessage(6).endMessage()), 'another boot'],
    ['an append without hash', raw((w) => w.uint(10, 7).beginMessage(4).endMessage()), 'without prefix hash'],
    [
      'a hash in capitals',
      raw((w) => w.uint(10, 7).beginMessage(4).string(3, '0123456789ABCDEF').endMessage()),
      'not 16 hex digits',
    ],
    [
      'an entry without hash',
      raw((w) =>
        entry(w.uint(10, 7).beginMessage(4).string(3, '0123456789abcdef')).uint(1, 4).endMessage().endMessage(),
      ),
      'entry without index or prefix hash',
    ],
    [
      'an empty read context',
      raw((w) => w.uint(10, 7).beginMessage(8).beginMessage(1).endMessage().endMessage()),
      'read context without member or boot',
    ],
    ['a boolean of 2', raw((w) => w.uint(10, 7).beginMessage(3).uint(1, 2).endMessage()), 'boolean of 2'],
    [
      'a number above 2^53-1',
      raw((w) => w.uint(10, 7).beginMessage(6).tag(1, 0).raw(Buffer.from('8080808080808010', 'hex')).endMessage()),
      'above 2^53-1',
    ],
    ['text as number', raw((w) => w.uint(10, 7).beginMessage(6).string(1, 'x').endMessage()), 'wire type'],
  ];
  it.each(cases)('for %s', (_name, bytes, problem) => {
    expect(() => itemsOf(bytes)).toThrow(WireError);
    expect(() => itemsOf(bytes)).toThrow(problem);
  });

  it.each(['clusterId', 'memberId', 'directoryId', 'toMemberId'] as const)('without %s', (field) => {
    expect(() => decodeBatchIdentity(encodeBatchHead({ ...identity, [field]: '' }))).toThrow(WireError);
    const longest = 'x'.repeat(idLengthMax);
    expect(decodeBatchIdentity(encodeBatchHead({ ...identity, [field]: longest }))[field]).toBe(longest);
    expect(() => decodeBatchIdentity(encodeBatchHead({ ...identity, [field]: `${longest}x` }))).toThrow('at most');
  });

  it('whose identity has no start id, or names its addressee by half', () => {
    expect(() => decodeBatchIdentity(encodeBatchHead({ ...identity, startId: 0 }))).toThrow('or start id');
    const most = { ...identity, startId: Number.MAX_SAFE_INTEGER, toBoot: 1, toStartId: Number.MAX_SAFE_INTEGER };
    expect(decodeBatchIdentity(encodeBatchHead(most))).toEqual(most);
    for (const half of [{ toBoot: 1 }, { toStartId: 1 }]) {
      expect(() => decodeBatchIdentity(encodeBatchHead({ ...identity, ...half }))).toThrow('boot without start id');
    }
  });

  it('without identity, with two, without boot, or with too long an address', () => {
    const head = encodeBatchHead(identity);
    expect(() => decodeBatchIdentity(new Uint8Array(0))).toThrow('batch without identity');
    expect(() => decodeBatchIdentity(Buffer.concat([head, head]))).toThrow('second identity');
    expect(() => decodeBatchIdentity(encodeBatchHead({ ...identity, boot: 0 }))).toThrow(WireError);
    const longest = 'x'.repeat(addressLengthMax);
    expect(decodeBatchIdentity(encodeBatchHead({ ...identity, clientAddress: longest })).clientAddress).toBe(longest);
    expect(() => decodeBatchIdentity(encodeBatchHead({ ...identity, clientAddress: `${longest}x` }))).toThrow(
      WireError,
    );
  });

  it('above the count of messages or calls that it may hold', () => {
    const call = Buffer.from('1a00', 'hex');
    const most = Buffer.alloc(call.length * batchItemsMax, call);
    expect(itemsOf(most).forwarded).toHaveLength(batchItemsMax);
    expect(() => itemsOf(Buffer.concat([most, call]))).toThrow(`more than ${batchItemsMax}`);
  });
});

describe('what a decoder gives', () => {
  it('passes over unknown fields, which a later version may send', () => {
    const message = raw((w) =>
      w.uint(1, 3).uint(10, 7).beginMessage(6).uint(2, 5).uint(99, 1).endMessage().uint(98, 4),
    );
    const more = new WireWriter().string(77, 'later').finish();
    const { messages } = itemsOf(Buffer.concat([message, more]));
    expect(messages).toEqual([{ ...heartbeat('a', 'b', 7, 5), term: 3 }]);
  });

  it('does not hold a batch in memory for the sake of a small entry, nor copies a large one', () => {
    const entries = [new Uint8Array(10), new Uint8Array(100_000)].map((data, at) => ({
      index: at + 1,
      term: 1,
      hash: '0123456789abcdef',
      data,
    }));
    const append: Message = {
      kind: 'append',
      ...envelope,
      toBoot: 1,
      term: 1,
      prevIndex: 0,
      prevTerm: 0,
      prevHash: '0000000000000000',
      entries,
      commit: 0,
    };
    const parts = encodeItems([append], []).flatMap((item) => item.parts);
    expect(parts).toContain(entries[1]?.data);
    const bytes = new Uint8Array(Buffer.concat(parts));
    const [decoded] = itemsOf(bytes).messages;
    if (decoded?.kind !== 'append') throw new Error('no append came back');
    expect(decoded.entries[0]?.data.buffer.byteLength).toBe(10);
    expect(decoded.entries[1]?.data.buffer).toBe(bytes.buffer);
  });
});

describe('what hands leadership over', () => {
  const head = { ...envelope, toBoot: 2, term: 3 } as const;
  const bytesOf = (message: Message): string =>
    Buffer.concat(encodeItems([message], []).flatMap((item) => item.parts)).toString('hex');

  it('is written as it was when the format was fixed', () => {
    expect(bytesOf({ kind: 'timeout-now', ...head })).toBe('1208' + '0803' + '5007' + '5802' + '6200');
    const request = { kind: 'vote-request', ...head, preVote: false, lastIndex: 5, lastTerm: 2 } as const;
    expect(bytesOf(request)).toBe('120c' + '0803' + '5007' + '5802' + '1204' + '1005' + '1802');
    expect(bytesOf({ ...request, transfer: true })).toBe(
      '120e' + '0803' + '5007' + '5802' + '1206' + '10051802' + '2001',
    );
  });

  it('comes back as it was, and passes over what a later version adds', () => {
    const later = raw((w) => w.uint(1, 3).uint(10, 7).uint(11, 2).beginMessage(12).uint(9, 1).endMessage());
    expect(itemsOf(later).messages).toEqual([{ kind: 'timeout-now', ...head }]);
    const asked = raw((w) => w.uint(1, 3).uint(10, 7).uint(11, 2).beginMessage(2).bool(4, true).endMessage());
    expect(itemsOf(asked).messages).toMatchObject([{ kind: 'vote-request', preVote: false, transfer: true }]);
    const plain = raw((w) => w.uint(1, 3).uint(10, 7).uint(11, 2).beginMessage(2).endMessage());
    expect(itemsOf(plain).messages[0]).not.toHaveProperty('transfer');
  });
});

describe('a snapshot', () => {
  const head = { identity, term: 3, snapshot: { index: 5, term: 2, hash: '0123456789abcdef' } };

  it('is never a message of a batch', () => {
    const message: Message = {
      kind: 'snapshot',
      ...envelope,
      toBoot: 1,
      term: 3,
      snapshot: head.snapshot,
      membership: noMembership,
    };
    expect(() => encodeItems([message], [])).toThrow(InvariantError);
  });

  it.each([
    ['index 0', { ...head, snapshot: { ...head.snapshot, index: 0 } }],
    ['term 0', { ...head, snapshot: { ...head.snapshot, term: 0 } }],
    ['a term after its leader', { ...head, snapshot: { ...head.snapshot, term: 4 } }],
    ['a bad hash', { ...head, snapshot: { ...head.snapshot, hash: 'zz' } }],
  ])('with %s is refused', (_name, bad) => {
    expect(() => decodeSnapshotHead(encodeSnapshotHead(bad))).toThrow(WireError);
  });

  it('whose chunk holds two bodies, an empty one or anything else is refused', () => {
    const body = (bytes: Uint8Array): WireWriter => new WireWriter().bytesPresent(7, bytes);
    expect(() => decodeSnapshotBody(body(new Uint8Array(0)).finish())).toThrow('empty body');
    expect(() => decodeSnapshotBody(body(new Uint8Array(3)).bytesPresent(7, new Uint8Array(3)).finish())).toThrow(
      'second body',
    );
    expect(() => decodeSnapshotBody(body(new Uint8Array(3)).uint(2, 1).finish())).toThrow('field 2');
  });
});

describe('a form state', () => {
  const state = {
    memberId: 'a',
    directoryId: 'd',
    phase: 'empty',
    clusterId: '',
    initialMembers: [],
    members: [],
  } as const;

  it('is refused with too many members, an unknown phase, or without its names', () => {
    const list = (count: number): { id: string; peerAddress: string }[] =>
      Array.from({ length: count }, (_, at) => ({ id: `m${at}`, peerAddress: 'h:1' }));
    const most = { ...state, initialMembers: list(formMembersMax) };
    expect(decodeForm(encodeForm(most))).toEqual(most);
    expect(() => encodeForm({ ...state, initialMembers: list(formMembersMax + 1) })).toThrow(InvariantError);
    const pair = new WireWriter().beginMessage(5).string(1, 'x').string(2, 'y').endMessage().finish();
    const inner = new WireWriter().string(1, 'a').string(2, 'd').string(3, 'empty').finish();
    const over = Buffer.concat([inner, ...Array.from({ length: formMembersMax + 1 }, () => pair)]);
    expect(() => decodeForm(new WireWriter().bytesPresent(1, over).finish())).toThrow('more than 64 members');
    const badPhase = new WireWriter().beginMessage(1).string(1, 'a').string(2, 'd').string(3, 'odd').endMessage();
    expect(() => decodeForm(badPhase.finish())).toThrow('unknown phase');
    expect(() => decodeForm(encodeForm({ ...state, memberId: '' }))).toThrow(WireError);
    expect(() => decodeForm(new Uint8Array(0))).toThrow('form without state');
  });

  it('names each member with directory and address, or is refused; joining is a phase', () => {
    const whole = { id: 'b', directoryId: 'd', peerAddress: 'h:1' };
    const joining = { ...state, phase: 'joining', members: [whole] } as const;
    expect(decodeForm(encodeForm(joining))).toEqual(joining);
    for (const field of ['id', 'directoryId', 'peerAddress'] as const) {
      const lacking = encodeForm({ ...state, members: [{ ...whole, [field]: '' }] });
      expect(() => decodeForm(lacking)).toThrow('member of a form without id, directory or address');
    }
    const nameless = encodeForm({ ...state, initialMembers: [{ id: 'b', peerAddress: '' }] });
    expect(() => decodeForm(nameless)).toThrow('initial member without id or address');
    const long = { ...whole, peerAddress: 'h'.repeat(addressLengthMax) };
    expect(decodeForm(encodeForm({ ...state, members: [long] })).members).toEqual([long]);
    expect(() =>
      decodeForm(encodeForm({ ...state, members: [{ ...long, peerAddress: `${long.peerAddress}h` }] })),
    ).toThrow(WireError);
  });
});
