import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { StorageError } from '../../src/base/errors.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import { noMembership, votersOnly } from '../../src/raft/membership.ts';
import { MemoryDisk } from '../../src/storage/memory-disk.ts';
import { decodeHeadJson, encodeHead } from '../../src/storage/snapshot-format.ts';
import { envelopeHeadBytes, openValue, sealValue } from '../../src/storage/state-envelope.ts';
import { decodeStateMark, encodeStateMark } from '../../src/storage/state-mark.ts';
import { readPointer, stateNumber, writePointer } from '../../src/storage/state-pointer.ts';
import { takeInSlices } from '../../src/storage/state-slices.ts';
import { markOf, membership } from './state-fixtures.ts';

const mark = {
  index: 41,
  term: 3,
  prefixHash: '0123456789abcdef',
  revision: 40,
  stateHash: '00112233445566778899aabbccddeeff',
};

describe('the envelope of a value', () => {
  const key = Buffer.from('i/default/web/a');

  it('is on disk what it was when the format was fixed', () => {
    expect(sealValue(key, Buffer.from('payload')).toString('hex')).toBe('015e4e96ae7061796c6f6164');
    expect(openValue(key, Buffer.from('015e4e96ae7061796c6f6164', 'hex'), 'f').toString()).toBe('payload');
  });

  it('gives back any payload, and nothing for another key or with any bit flipped', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), fc.nat(), (payload, random) => {
        const sealed = sealValue(key, payload);
        expect(sealed.length).toBe(payload.length + envelopeHeadBytes);
        expect(openValue(key, sealed, 'f').equals(payload)).toBe(true);
        expect(() => openValue(Buffer.from('i/default/web/b'), sealed, 'f')).toThrow(StorageError);
        const bit = random % (sealed.length * 8);
        sealed[bit >>> 3] = sealed.readUInt8(bit >>> 3) ^ (1 << (bit & 7));
        expect(() => openValue(key, sealed, 'f')).toThrow(StorageError);
      }),
    );
  });

  it('is refused when it is cut, with the key in the message', () => {
    const sealed = sealValue(key, Buffer.from('payload'));
    for (let length = 0; length < sealed.length; length++) {
      expect(() => openValue(key, sealed.subarray(0, length), 'state/data-1')).toThrow(/"i\/default\/web\/a"/);
    }
  });
});

describe('formats of the state', () => {
  it('reads and writes a mark as it was when the format was fixed, and nothing else', () => {
    const golden =
      '{"index":41,"term":3,"prefixHash":"0123456789abcdef","revision":40,' +
      '"stateHash":"00112233445566778899aabbccddeeff"}';
    expect(encodeStateMark(mark).toString()).toBe(golden);
    expect(decodeStateMark(Buffer.from(golden))).toEqual(mark);
    const others = [
      golden.replace('41', '-1'),
      golden.replace('41', '1.5'),
      golden.replace('41', '9007199254740992'),
      golden.replace('41', '"41"'),
      golden.replace('abcdef', 'ABCDEF'),
      golden.replace('abcdef', 'abcde'),
      golden.replace('"term":3,', ''),
      golden.replace('"term":3', '"term":3,"vote":"a"'),
      golden.slice(1),
      '[]',
      'null',
    ];
    for (const other of others) expect(decodeStateMark(Buffer.from(other))).toBeUndefined();
  });

  it('reads and writes a pointer as it was when the format was fixed', async () => {
    const disk = new MemoryDisk();
    await disk.makeDirectory('state');
    const base = { index: 41, term: 3, hash: '0123456789abcdef' };
    const voters = membership.voters.slice(0, 1);
    const pointer = { active: 2, installed: { base, membership: votersOnly(voters) } };
    await writePointer(disk, 'state', pointer, () => undefined);
    const golden =
      '{"format":1,"active":2,"installed":{"base":{"index":41,"term":3,"hash":"0123456789abcdef"},' +
      '"membership":{"voters":[{"id":"a","directoryId":"00000000000000000000000000000000",' +
      '"peerAddress":"127.0.0.1:7401"}]}}}\n7bc10cd3d83a6a013cfdf8d871450ead2af3a4d7f6096a010bd19a091a43bd7c\n';
    expect(disk.contentOf('state/CURRENT-STATE').toString()).toBe(golden);
    expect(await readPointer(disk, 'state')).toEqual(pointer);
  });

  it('reads and writes the head of a snapshot as it was when the format was fixed', () => {
    const head = encodeHead({ mark, membership: noMembership });
    expect(head.subarray(0, 10).toString('hex')).toBe('5243534e000100000096');
    expect(head.subarray(10).toString()).toBe(
      `{"mark":${encodeStateMark(mark).toString()},"membership":{"voters":[]}}`,
    );
  });

  const voter = { id: 'a', directoryId: '0'.repeat(32), peerAddress: '127.0.0.1:7401' };
  it.each([
    ['a member without an id', [{ ...voter, id: '' }]],
    ['a directory id of another form', [{ ...voter, directoryId: 'x'.repeat(32) }]],
    ['an unknown field', [{ ...voter, weight: 1 }]],
    ['more members than anyone runs', Array.from({ length: 101 }, () => voter)],
    ['no list', voter],
  ])('refuses a membership with %s', (_what, voters) => {
    expect(decodeHeadJson(Buffer.from(JSON.stringify({ mark, membership: { voters: [voter] } })))).toBeDefined();
    expect(decodeHeadJson(Buffer.from(JSON.stringify({ mark, membership: { voters } })))).toBeUndefined();
  });

  it('knows its own directories by name', () => {
    expect(['data-1', 'data-20', 'data-0', 'data-01', 'data-', 'data-1x', 'lost+found'].map(stateNumber)).toEqual([
      1,
      20,
      ...Array.from({ length: 5 }, () => undefined),
    ]);
  });
});

describe('taking changes in slices', () => {
  it('stops before the change that would pass the bound of bytes', async () => {
    // Ten pairs of a key of 1 byte, an envelope of 5 and a value of 4.
    const changes = Array.from('abcdefghij', (key) => ({ key, value: Buffer.alloc(4) }));
    const clock = new SystemClock();
    let taken = 0;
    const take = (): void => {
      taken += 1;
    };
    await takeInSlices(changes, clock, take, 100);
    expect(taken).toBe(10);
    await expect(takeInSlices(changes, clock, take, 99)).rejects.toThrow(InvariantError);
    expect(taken).toBe(19);
  });

  it('hands a removal over without a value', async () => {
    const seen: unknown[] = [];
    await takeInSlices([{ key: 'k', value: undefined }], new SystemClock(), (key, sealed) => {
      seen.push([key.toString(), sealed]);
    });
    expect(seen).toEqual([['k', undefined]]);
    expect(markOf(0, new Map()).stateHash).toBe('0'.repeat(32));
  });
});
