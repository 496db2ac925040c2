import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import { LevelStateEngine } from '../../src/storage/level-state-engine.ts';
import { MemoryDisk } from '../../src/storage/memory-disk.ts';
import { MemoryStateEngine } from '../../src/storage/memory-state-engine.ts';
import { NodeDisk } from '../../src/storage/node-disk.ts';
import { SnapshotDecoder, SnapshotStreamError } from '../../src/storage/snapshot-decoder.ts';
import { chunkBytesMax, encodeHead } from '../../src/storage/snapshot-format.ts';
import { encodeSnapshot, receiveSnapshot } from '../../src/storage/snapshot-stream.ts';
import { openStateDirectory } from '../../src/storage/state-directory.ts';
import { stateKeyBytesMax, stateValueBytesMax } from '../../src/storage/state-envelope.ts';
import { loadState } from '../../src/storage/state-loader.ts';
import type { StateChange, StateDirectory, StateSnapshot } from '../../src/storage/state-store.ts';
import type { Content } from './state-fixtures.ts';
import {
  changesOf,
  contentOf,
  HashingSink,
  markOf,
  membership,
  sameContent,
  someContent,
  sortedChanges,
  withDirectory,
} from './state-fixtures.ts';

const clock = new SystemClock();

async function memoryDirectory(): Promise<{ readonly directory: StateDirectory; readonly disk: MemoryDisk }> {
  const disk = new MemoryDisk();
  return { disk, directory: await openStateDirectory({ disk, engine: new MemoryStateEngine({ disk, clock }) }) };
}

async function snapshotOf(content: Content, directory: StateDirectory): Promise<StateSnapshot> {
  await directory.store.flush(changesOf(content), markOf(7, content, 3));
  return directory.store.openSnapshot();
}

async function encoded(content: Content): Promise<Buffer> {
  const { directory } = await memoryDirectory();
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodeSnapshot(await snapshotOf(content, directory), membership)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What the decoder makes of `bytes` that come in chunks of `chunkBytes`. */
function decoded(bytes: Buffer, chunkBytes = chunkBytesMax): { readonly pairs: StateChange[]; readonly index: number } {
  const decoder = new SnapshotDecoder();
  const pairs: StateChange[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    // A copy that is overwritten afterwards: nothing but the pairs may look into a chunk later.
    const chunk = Buffer.from(bytes.subarray(at, at + chunkBytes));
    for (const { key, value } of decoder.push(chunk)) pairs.push({ key, value: Buffer.from(value ?? []) });
    chunk.fill(0xff);
  }
  return { pairs, index: decoder.finish().head.mark.index };
}

async function* chunksOf(bytes: Buffer, chunkBytes = chunkBytesMax): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

function record(key: Uint8Array, value: Uint8Array, keyBytes = key.length, valueBytes = value.length): Buffer {
  const fixed = Buffer.alloc(7);
  fixed.writeUInt8(1, 0);
  fixed.writeUInt16BE(keyBytes, 1);
  fixed.writeUInt32BE(valueBytes, 3);
  return Buffer.concat([fixed, key, value]);
}

/** A stream whose hash and count are right whatever is in it. */
function stream(records: readonly Buffer[], head = encodeHead({ mark: markOf(7, new Map()), membership })): Buffer {
  const trailer = Buffer.alloc(9);
  trailer.writeUInt8(2, 0);
  trailer.writeBigUInt64BE(BigInt(records.length), 1);
  const content = Buffer.concat([head, ...records, trailer]);
  return Buffer.concat([content, createHash('sha256').update(content).digest()]);
}

describe('a snapshot on the wire', () => {
  it('is what was sent, whatever the chunks are', async () => {
    const key = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' });
    const pairs = fc.uniqueArray(fc.tuple(key, fc.uint8Array({ maxLength: 60 })), { selector: ([one]) => one });
    await fc.assert(
      fc.asyncProperty(pairs, fc.integer({ min: 1, max: 70 }), async (some, chunkBytes) => {
        const content = new Map(
          some.filter(([one]) => !one.startsWith('\u0000')).map(([one, value]) => [one, Buffer.from(value)]),
        );
        expect(decoded(await encoded(content), chunkBytes)).toEqual({ pairs: sortedChanges(content), index: 7 });
      }),
      { numRuns: 60 },
    );
  });

  it('has chunks of at most 256 KiB, also with values larger than that', async () => {
    const content = new Map([
      ['large', Buffer.alloc(chunkBytesMax * 3 + 5, 'large')],
      ['largest', Buffer.alloc(stateValueBytesMax, 'largest')],
      ['small', Buffer.from('small')],
    ]);
    const { directory } = await memoryDirectory();
    const sizes: number[] = [];
    const decoder = new SnapshotDecoder();
    const found = new Map<string, Buffer>();
    for await (const chunk of encodeSnapshot(await snapshotOf(content, directory), membership)) {
      sizes.push(chunk.length);
      for (const pair of decoder.push(chunk)) found.set(pair.key, Buffer.from(pair.value ?? []));
    }
    expect(decoder.finish().records).toBe(3);
    expect(Math.max(...sizes)).toBe(chunkBytesMax);
    expect(sizes.slice(0, -1).every((size) => size === chunkBytesMax)).toBe(true);
    expect([...found].every(([key, value]) => content.get(key)?.equals(value) === true)).toBe(true);
  });

  it('is read no further than it is asked for', async () => {
    const { directory } = await memoryDirectory();
    const snapshot = await snapshotOf(someContent(5_000, 500), directory);
    let batches = 0;
    const watched: StateSnapshot = {
      mark: snapshot.mark,
      close: () => snapshot.close(),
      async *read(batchMax) {
        for await (const batch of snapshot.read(batchMax)) {
          batches += 1;
          yield batch;
        }
      },
    };
    const chunks = encodeSnapshot(watched, membership);
    await chunks.next();
    expect(batches).toBe(1);
    await chunks.return();
    expect(batches).toBe(1);
  });
});

describe('a broken snapshot', () => {
  it('is noticed when it ends at any byte, and when it goes on', async () => {
    const bytes = await encoded(someContent(6, 20));
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decoded(bytes.subarray(0, length))).toThrow(SnapshotStreamError);
    }
    expect(decoded(bytes).index).toBe(7);
    expect(() => decoded(Buffer.concat([bytes, Buffer.alloc(1)]))).toThrow(/goes on after its trailer/);
    expect(() => decoded(Buffer.concat([bytes, Buffer.alloc(1)]), bytes.length)).toThrow(/goes on after its trailer/);
  });

  it('is noticed with any bit flipped', async () => {
    const bytes = await encoded(someContent(3, 20));
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >>> 3] = flipped.readUInt8(bit >>> 3) ^ (1 << (bit & 7));
      expect(() => decoded(flipped)).toThrow(SnapshotStreamError);
    }
  });

  it('is noticed when chunks are lost, repeated or swapped', async () => {
    const bytes = await encoded(someContent(40, 30));
    const parts = Array.from({ length: Math.ceil(bytes.length / 100) }, (_, n) =>
      bytes.subarray(n * 100, (n + 1) * 100),
    );
    for (let n = 0; n + 1 < parts.length; n++) {
      const [before, one, other, after] = [parts.slice(0, n), parts[n], parts[n + 1], parts.slice(n + 2)];
      if (one === undefined || other === undefined) throw new Error('too few parts');
      for (const changed of [[one], [other], [one, one, other], [one, other, other], [other, one]]) {
        expect(() => decoded(Buffer.concat([...before, ...changed, ...after]))).toThrow(SnapshotStreamError);
      }
    }
  });

  const a = Buffer.from('a');
  const b = Buffer.from('b');
  const none = Buffer.alloc(0);
  const head = encodeHead({ mark: markOf(7, new Map()), membership });
  const withFormat = Buffer.from(head);
  withFormat.writeUInt16BE(2, 4);
  const withLongHead = Buffer.from(head);
  withLongHead.writeUInt32BE(256 * 1_024 + 1, 6);
  const json = Buffer.from(JSON.stringify({ mark: markOf(7, new Map()), membership, more: 1 }));
  const withUnknownField = Buffer.concat([head.subarray(0, 10), json]);
  withUnknownField.writeUInt32BE(json.length, 6);

  it.each([
    ['keys that do not ascend', stream([record(b, none), record(a, none)]), /do not ascend/],
    ['a key twice', stream([record(a, none), record(a, none)]), /do not ascend/],
    ['an empty key', stream([record(none, a)]), /empty or reserved/],
    ['the store’s own key', stream([record(Buffer.from('\0mark'), a)]), /empty or reserved/],
    ['a key that is not UTF-8', stream([record(Buffer.from([0x61, 0xff]), a)]), /not UTF-8/],
    ['an unknown format', stream([], withFormat), /has format 2/],
    ['an unknown field in its head', stream([], withUnknownField), /cannot be read/],
    ['an unknown tag', stream([Buffer.from([3])]), /unknown tag 3/],
    ['another beginning', Buffer.from('GET / HTTP/1.1\r\n'), /is not a snapshot/],
    // Refused before anything is allocated or waited for: nothing follows these lengths.
    ['a head over its bound', withLongHead.subarray(0, 10), /head of 262145 bytes/],
    ['a key over its bound', Buffer.concat([head, record(none, none, stateKeyBytesMax + 1)]), /key of 4097 bytes/],
    [
      'a value over its bound',
      Buffer.concat([head, record(none, none, 1, stateValueBytesMax + 1)]),
      /value of 16777217 bytes/,
    ],
  ])('with %s is refused', (_what, bytes, message) => {
    expect(() => decoded(bytes)).toThrow(SnapshotStreamError);
    expect(() => decoded(bytes)).toThrow(message);
  });

  it('with a chunk over its bound is refused, and not decoded on', () => {
    const decoder = new SnapshotDecoder();
    expect(() => decoder.push(Buffer.alloc(chunkBytesMax + 1))).toThrow(SnapshotStreamError);
    expect(() => decoder.push(Buffer.alloc(1))).toThrow(InvariantError);
  });
});

describe('receiving a snapshot', () => {
  const content = someContent(30, 100);

  it('makes a state that loads with the hash of the sender, also from LevelDB to LevelDB', () =>
    withDirectory(async (root) => {
      const open = async (name: string): Promise<StateDirectory> => {
        const disk = await NodeDisk.open(`${root}/${name}`);
        return openStateDirectory({ disk, engine: new LevelStateEngine({ disk, root: `${root}/${name}`, clock }) });
      };
      const [sender, receiver] = [await open('sender'), await open('receiver')];
      const large = someContent(3_000, 400);
      const snapshot = await snapshotOf(large, sender);
      const received = await receiveSnapshot(encodeSnapshot(snapshot, membership), receiver);
      expect(received).toMatchObject({ mark: snapshot.mark, membership, records: 3_000 });
      await snapshot.close();
      const sink = new HashingSink();
      await loadState(await receiver.activate(received.staged), sink);
      expect(sink.mark).toEqual(sender.store.mark);
      expect(sameContent(await contentOf(sender.store.readAll(100)), sink.content)).toBe(true);
      expect(receiver.installed).toEqual({
        base: { index: 7, term: 3, hash: snapshot.mark.prefixHash },
        membership,
      });
      await Promise.all([sender.close(), receiver.close()]);
    }));

  it.each([
    ['cut off', (bytes: Buffer) => bytes.subarray(0, bytes.length - 1)],
    ['cut off in its head', (bytes: Buffer) => bytes.subarray(0, 20)],
    ['empty', (bytes: Buffer) => bytes.subarray(0, 0)],
    ['damaged', (bytes: Buffer) => Buffer.from(bytes).fill(0, bytes.length - 200, bytes.length - 150)],
  ])('leaves nothing of one that is %s, and takes the next', async (_what, change) => {
    const bytes = await encoded(content);
    const { directory, disk } = await memoryDirectory();
    const before = await disk.list('state');
    await expect(receiveSnapshot(chunksOf(change(bytes), 500), directory)).rejects.toThrow(SnapshotStreamError);
    expect(await disk.list('state')).toEqual(before);
    expect(directory.store.mark.index).toBe(0);
    const { staged } = await receiveSnapshot(chunksOf(bytes, 500), directory);
    expect((await directory.activate(staged)).mark.index).toBe(7);
  });

  it('leaves nothing of one whose sender breaks off, and throws what the sender threw', async () => {
    const bytes = await encoded(content);
    const { directory, disk } = await memoryDirectory();
    const before = await disk.list('state');
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 1_000);
      throw new Error('the connection was reset');
    }
    await expect(receiveSnapshot(broken(), directory)).rejects.toThrow('the connection was reset');
    expect(await disk.list('state')).toEqual(before);
  });

  it('stores nothing of one that is not accepted, and stops its sender', async () => {
    const bytes = await encoded(content);
    const { directory, disk } = await memoryDirectory();
    let stopped = false;
    async function* sender(): AsyncGenerator<Uint8Array> {
      try {
        yield* chunksOf(bytes, 1_000);
      } finally {
        stopped = true;
      }
    }
    const refused = receiveSnapshot(sender(), directory, ({ mark }) => {
      throw new Error(`not at index ${mark.index}`);
    });
    await expect(refused).rejects.toThrow('not at index 7');
    expect(stopped).toBe(true);
    expect(disk.count('make-directory')).toBe(2);
  });

  it('takes a chunk only after the one before was stored', async () => {
    const bytes = await encoded(content);
    const { directory } = await memoryDirectory();
    let storing = false;
    const watched: StateDirectory = {
      ...directory,
      store: directory.store,
      installed: undefined,
      stage: async () => {
        const staged = await directory.stage();
        return {
          seal: (mark, members) => staged.seal(mark, members),
          discard: () => staged.discard(),
          add: async (changes) => {
            storing = true;
            await staged.add(changes);
            storing = false;
          },
        };
      },
    };
    async function* sender(): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunksOf(bytes, 700)) {
        expect(storing).toBe(false);
        yield chunk;
      }
    }
    expect((await receiveSnapshot(sender(), watched)).records).toBe(content.size);
  });
});

describe('loading a state', () => {
  it('hands mark and pairs over in order and says how many', async () => {
    const content = someContent(1_200, 10);
    const { directory } = await memoryDirectory();
    await directory.store.flush(changesOf(content), markOf(7, content));
    const sink = new HashingSink();
    expect(await loadState(directory.store, sink)).toEqual({ keys: 1_200 });
    expect(sink.mark).toEqual(markOf(7, content));
    expect([...sink.content.keys()]).toEqual(sortedChanges(content).map(({ key }) => key));
    expect(sameContent(sink.content, content)).toBe(true);
  });

  it('refuses a content whose hash is not the stored one, naming both and what to do', async () => {
    const content = someContent(5, 10);
    const { directory } = await memoryDirectory();
    const mark = { ...markOf(7, content), stateHash: 'ab'.repeat(16) };
    await directory.store.flush(changesOf(content), mark);
    const loading = loadState(directory.store, new HashingSink());
    await expect(loading).rejects.toMatchObject({ name: 'StorageError', kind: 'damaged' });
    await expect(loading).rejects.toThrow(mark.stateHash);
    await expect(loading).rejects.toThrow(markOf(7, content).stateHash);
    await expect(loading).rejects.toThrow(/start over from the log, or take a snapshot from another member/);
  });
});
