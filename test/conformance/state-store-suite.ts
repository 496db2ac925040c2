import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { StorageError } from '../../src/base/errors.ts';
import { stateKeyBytesMax, stateValueBytesMax } from '../../src/storage/state-envelope.ts';
import { emptyStateMark } from '../../src/storage/state-mark.ts';
import { sliceBytesMax, sliceChangesMax } from '../../src/storage/state-slices.ts';
import type { StateChange, StateStore } from '../../src/storage/state-store.ts';
import { CountingClock, changesOf, contentOf, markOf, someContent } from '../storage/state-fixtures.ts';

/** One state that outlives the stores that open it. */
export interface StateStoreHarness {
  open(): Promise<StateStore>;
  /** Frees what the harness holds; every store was closed before. */
  dispose(): Promise<void>;
}

/** What LevelStateStore and its twin promise alike. `make` gives a new, empty state. */
export function stateStoreSuite(name: string, make: (clock: CountingClock) => Promise<StateStoreHarness>): void {
  describe(`${name} as a state store`, () => {
    let clock: CountingClock;
    let harness: StateStoreHarness;
    let store: StateStore;

    beforeEach(async () => {
      clock = new CountingClock();
      harness = await make(clock);
      store = await harness.open();
    });

    afterEach(async () => {
      await store.close();
      await harness.dispose();
    });

    const reopen = async (): Promise<void> => {
      await store.close();
      store = await harness.open();
    };

    const context: SuiteContext = { store: () => store, reopen, turns: () => clock.turns };
    contents(context);
    manners(context);
    snapshots(context);
    bounds(context);
    failures(context);
  });
}

interface SuiteContext {
  readonly store: () => StateStore;
  readonly reopen: () => Promise<void>;
  readonly turns: () => number;
}

function contents({ store, reopen }: SuiteContext): void {
  it('is empty at index 0 when it is new', async () => {
    expect(store().mark).toEqual(emptyStateMark);
    expect(await contentOf(store().readAll(10))).toEqual(new Map());
  });

  it('keeps pairs and mark over a reopening, and never returns its own key', async () => {
    const content = someContent(50, 100);
    const mark = markOf(7, content, 3);
    await store().flush(changesOf(content), mark);
    expect(store().mark).toEqual(mark);
    await reopen();
    expect(store().mark).toEqual(mark);
    expect(await contentOf(store().readAll(1_000))).toEqual(content);
  });

  it('reads in byte order of keys, in batches of at most what was asked for', async () => {
    // In UTF-16 the pair of surrogates of U+1F600 sorts before U+FF5E; in bytes it does not.
    const keys = ['\u{1f600}', '\uff5e', 'é', 'z', 'a/b', 'a', 'a\u0000', '\u0001'];
    await store().flush(
      keys.map((key) => ({ key, value: Buffer.from(key) })),
      markOf(1, new Map()),
    );
    const read: string[] = [];
    for await (const batch of store().readAll(3)) {
      expect(batch.length).toBeLessThanOrEqual(3);
      read.push(...batch.map(({ key }) => key));
    }
    expect(read).toEqual(['\u0001', 'a', 'a\u0000', 'a/b', 'z', 'é', '\uff5e', '\u{1f600}']);
  });

  it('holds what a map holds after the same flushes', async () => {
    const key = fc.constantFrom('a', 'b', 'c/1', 'c/2', 'ü');
    const value = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined });
    const flush = fc.uniqueArray(fc.record({ key, value }), { selector: (change) => change.key });
    let index = 0;
    const model = new Map<string, Buffer>();
    await fc.assert(
      fc.asyncProperty(fc.array(flush, { maxLength: 4 }), fc.boolean(), async (flushes, restart) => {
        for (const changes of flushes) {
          for (const { key: changed, value: set } of changes) {
            if (set === undefined) model.delete(changed);
            else model.set(changed, Buffer.from(set));
          }
          index += 1;
          await store().flush(changes, markOf(index, model));
        }
        if (restart) await reopen();
        expect(await contentOf(store().readAll(2))).toEqual(model);
        expect(store().mark.index).toBe(index);
      }),
      { numRuns: 40 },
    );
  });
}

/** What a caller may rely on beside the content. */
function manners({ store, turns }: SuiteContext): void {
  it('lets the loop go on after each slice of a flush', async () => {
    const byCount = changesOf(someContent(sliceChangesMax * 3, 10));
    await store().flush(byCount, markOf(1, new Map()));
    const before = turns();
    expect(before).toBeGreaterThanOrEqual(2);
    const byBytes = changesOf(someContent(4, sliceBytesMax));
    await store().flush(byBytes, markOf(2, new Map()));
    expect(turns() - before).toBeGreaterThanOrEqual(3);
  });

  it('gives out values that are the receiver’s own, and takes copies of what it is given', async () => {
    const value = Buffer.from('as it was');
    await store().flush([{ key: 'k', value }], markOf(1, new Map()));
    value.fill(0);
    for await (const batch of store().readAll(1)) batch[0]?.value?.fill(0);
    expect(await contentOf(store().readAll(1))).toEqual(new Map([['k', Buffer.from('as it was')]]));
  });

  it('can stop reading early', async () => {
    await store().flush(changesOf(someContent(100, 10)), markOf(1, new Map()));
    for await (const batch of store().readAll(10)) {
      expect(batch.length).toBe(10);
      break;
    }
    await store().syncDirectory();
    expect((await contentOf(store().readAll(7))).size).toBe(100);
  });
}

function snapshots({ store }: SuiteContext): void {
  it('shows exactly one flushed state in a snapshot while flushes go on', async () => {
    const before = someContent(20, 50);
    const mark = markOf(1, before);
    await store().flush(changesOf(before), mark);
    const snapshot = await store().openSnapshot();
    await store().flush(
      [...before.keys()].map((key) => ({ key, value: undefined })),
      markOf(2, new Map()),
    );
    expect(snapshot.mark).toEqual(mark);
    expect(await contentOf(snapshot.read(3))).toEqual(before);
    expect(await contentOf(snapshot.read(1_000))).toEqual(before);
    await snapshot.close();
    expect(await contentOf(store().readAll(10))).toEqual(new Map());
  });

  it('gives a snapshot the mark of its content at whatever moment of a flush it is opened', async () => {
    const flushes = (async () => {
      for (let index = 1; index <= 40; index++) {
        const changes = [...Array(60).keys()].map((n) => ({ key: `k${n}`, value: Buffer.from(String(index)) }));
        await store().flush(changes, markOf(index, new Map()));
      }
    })();
    const seen = new Set<number>();
    while (store().mark.index < 40) {
      const snapshot = await store().openSnapshot();
      const values = new Set([...(await contentOf(snapshot.read(1_000))).values()].map(String));
      expect([...values]).toEqual(snapshot.mark.index === 0 ? [] : [String(snapshot.mark.index)]);
      seen.add(snapshot.mark.index);
      await snapshot.close();
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    await flushes;
    expect(seen.size).toBeGreaterThan(1);
  });

  it('refuses to read from a closed snapshot, and goes on itself', async () => {
    const snapshot = await store().openSnapshot();
    await snapshot.close();
    expect(() => snapshot.read(1)).toThrow(InvariantError);
    await store().flush([], markOf(1, new Map()));
  });

  it('ends the reading of a snapshot when it is closed itself', async () => {
    await store().flush(changesOf(someContent(100, 10)), markOf(1, new Map()));
    const snapshot = await store().openSnapshot();
    const reading = snapshot.read(10)[Symbol.asyncIterator]();
    expect((await reading.next()).done).toBe(false);
    await store().close();
    await expect(reading.next()).rejects.toMatchObject({ name: 'StorageError', kind: 'refused' });
    await snapshot.close();
  });
}

function bounds({ store }: SuiteContext): void {
  const flushOne = (key: string, value: Uint8Array = Buffer.alloc(0)): Promise<void> =>
    store().flush([{ key, value }], { ...markOf(1, new Map()), index: store().mark.index + 1 });

  it('takes keys and values up to their bounds', async () => {
    const longest = 'k'.repeat(stateKeyBytesMax - 2) + 'ü';
    const largest = Buffer.alloc(stateValueBytesMax, 'largest');
    await flushOne(longest, largest);
    const read = await contentOf(store().readAll(10));
    expect(read.get(longest)?.equals(largest)).toBe(true);
  });

  it.each([
    ['a key over its bound', 'k'.repeat(stateKeyBytesMax + 1), 0],
    ['a value over its bound', 'k', stateValueBytesMax + 1],
    ['an empty key', '', 0],
    ['a key of the store’s own', '\u0000mark', 0],
    ['a key with half a surrogate pair', 'k\ud83d', 0],
  ])('refuses %s as a fault of the caller', async (_what, key, valueBytes) => {
    await expect(flushOne(key, Buffer.alloc(valueBytes))).rejects.toThrow(InvariantError);
  });

  it.each([['index'], ['term'], ['revision']])('refuses a mark whose %s falls', async (field) => {
    const mark = { ...markOf(5, new Map(), 5), revision: 5 };
    await store().flush([], mark);
    await expect(store().flush([], { ...mark, index: 6, [field]: 4 })).rejects.toThrow(InvariantError);
  });

  it('refuses another mark at the same index, and takes the same one', async () => {
    const mark = markOf(5, new Map());
    await store().flush([], mark);
    await store().flush([], mark);
    await expect(store().flush([], { ...mark, stateHash: 'f'.repeat(32) })).rejects.toThrow(InvariantError);
  });

  it('refuses a second flush beside one that is under way', async () => {
    const first = store().flush(changesOf(someContent(10, 10)), markOf(1, new Map()));
    await expect(store().flush([], markOf(2, new Map()))).rejects.toThrow(InvariantError);
    await first;
    expect(store().mark.index).toBe(1);
  });
}

function failures({ store, reopen }: SuiteContext): void {
  it('refuses everything after a flush failed, and holds the state before it', async () => {
    const content = someContent(10, 10);
    await store().flush(changesOf(content), markOf(1, content));
    function* broken(): Generator<StateChange> {
      yield { key: 'half', value: Buffer.from('of it') };
      throw new Error('the source broke');
    }
    await expect(store().flush(broken(), markOf(2, new Map()))).rejects.toThrow('the source broke');
    await expectRefusal(store());
    await reopen();
    expect(store().mark.index).toBe(1);
    expect(await contentOf(store().readAll(100))).toEqual(content);
  });

  it('refuses everything once it is closed, and can be closed twice', async () => {
    await store().close();
    await expectRefusal(store());
    await store().close();
  });

  it('ends a flush under way before it closes', async () => {
    const content = someContent(sliceChangesMax * 2, 10);
    const flush = store().flush(changesOf(content), markOf(1, content));
    await reopen();
    await flush;
    expect(store().mark.index).toBe(1);
    expect(await contentOf(store().readAll(1_000))).toEqual(content);
  });
}

/** Every call is refused, with a message that says why. */
export async function expectRefusal(store: StateStore): Promise<void> {
  const refusal = { name: 'StorageError', kind: 'refused' };
  await expect(store.flush([], markOf(99, new Map()))).rejects.toMatchObject(refusal);
  await expect(contentOf(store.readAll(10))).rejects.toMatchObject(refusal);
  await expect(store.openSnapshot()).rejects.toMatchObject(refusal);
  await expect(store.syncDirectory()).rejects.toMatchObject(refusal);
  await expect(store.syncDirectory()).rejects.toThrow(StorageError);
}
