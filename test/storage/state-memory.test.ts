import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import { MemoryStateMedium } from '../../src/storage/memory-state-medium.ts';
import { MemoryStagedState, MemoryStateStore } from '../../src/storage/memory-state-store.ts';
import { emptyStateMark } from '../../src/storage/state-mark.ts';
import { expectRefusal, stateStoreSuite } from '../conformance/state-store-suite.ts';
import { changesOf, contentOf, HashingSink, markOf, someContent } from './state-fixtures.ts';
import { loadState } from '../../src/storage/state-loader.ts';

const clock = new SystemClock();

async function newMedium(): Promise<MemoryStateMedium> {
  const medium = new MemoryStateMedium('memory', true);
  await new MemoryStagedState('memory', medium, clock).seal(emptyStateMark);
  return medium;
}

stateStoreSuite('MemoryStateStore', async (counting) => {
  const medium = await newMedium();
  return {
    open: async () => MemoryStateStore.open('memory', medium, counting),
    dispose: async () => undefined,
  };
});

describe('the faults of LevelDB, replayed in memory', () => {
  it('0.1: a full disk ends the use of the store, so nothing that is lost later is acknowledged', async () => {
    const medium = await newMedium();
    const content = someContent(5, 20);
    const store = MemoryStateStore.open('memory', medium, clock);
    await store.flush(changesOf(content), markOf(1, content));
    medium.failNextWrite('disk-full');
    await expect(store.flush([], markOf(2, content))).rejects.toMatchObject({ kind: 'io' });
    await expectRefusal(store);
    // The medium itself would have gone on, and lost this one.
    medium.write([{ key: Buffer.from('lost'), sealed: Buffer.from('later') }], true);
    const found = MemoryStateStore.open('memory', medium, clock);
    expect(found.mark.index).toBe(1);
    expect(await contentOf(found.readAll(10))).toEqual(content);
  });

  it('0.4: a flush that failed in its sync may be there after reopening', async () => {
    const medium = await newMedium();
    const store = MemoryStateStore.open('memory', medium, clock);
    medium.failNextWrite('sync');
    await expect(store.flush([], markOf(2, new Map()))).rejects.toMatchObject({ kind: 'io' });
    await expectRefusal(store);
    expect(MemoryStateStore.open('memory', medium, clock).mark.index).toBe(2);
  });

  it('0.2: records that vanish, change or move are noticed before anything is served', async () => {
    const content = someContent(20, 30);
    const [first = '', second = ''] = content.keys();
    const faults: [string, (medium: MemoryStateMedium) => void][] = [
      ['has the hash', (medium) => medium.loseRecords([Buffer.from(first)])],
      [first, (medium) => medium.flipBit(Buffer.from(first), 100)],
      [second, (medium) => medium.misdirect(Buffer.from(first), Buffer.from(second))],
    ];
    for (const [message, damage] of faults) {
      const medium = await newMedium();
      const store = MemoryStateStore.open('memory', medium, clock);
      await store.flush(changesOf(content), markOf(1, content));
      damage(medium);
      const loading = loadState(MemoryStateStore.open('memory', medium, clock), new HashingSink());
      await expect(loading).rejects.toMatchObject({ kind: 'damaged' });
      await expect(loading).rejects.toThrow(message);
    }
  });

  it('0.3: a state without the file CURRENT is refused, not started empty', async () => {
    const medium = await newMedium();
    medium.loseCurrent();
    expect(() => MemoryStateStore.open('memory', medium, clock)).toThrow(/CURRENT/);
  });

  it('0.5: a crash takes un-synced batches in any order, and synced ones only from the end', async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const medium = await newMedium();
      const value = Buffer.from('v');
      const staged = new MemoryStagedState('memory', medium, clock);
      await staged.add([{ key: 'one', value }]);
      await staged.add([{ key: 'two', value }]);
      const store = MemoryStateStore.open('memory', medium, clock);
      await store.flush([{ key: 'three', value }], markOf(1, new Map()));
      await store.flush([{ key: 'four', value }], markOf(2, new Map()));
      medium.crash(new SeededRandom(seed));
      const found = MemoryStateStore.open('memory', medium, clock);
      const keys = [...(await contentOf(found.readAll(10))).keys()];
      expect(keys.includes('four') && !keys.includes('three')).toBe(false);
      expect(found.mark.index).toBe(keys.filter((key) => key === 'three' || key === 'four').length);
      seen.add(keys.join(' '));
    }
    expect(seen.size).toBe(12);
  });

  it('0.5: nothing is lost of what was flushed before the directory was synced', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const medium = await newMedium();
      const store = MemoryStateStore.open('memory', medium, clock);
      await store.flush([], markOf(1, new Map()));
      await store.syncDirectory();
      await store.flush([], markOf(2, new Map()));
      medium.crash(new SeededRandom(seed));
      expect(MemoryStateStore.open('memory', medium, clock).mark.index).toBeGreaterThanOrEqual(1);
    }
  });

  it('serves as a state without a directory', async () => {
    const store = MemoryStateStore.empty(clock);
    await store.flush([{ key: 'k', value: Buffer.from('v') }], markOf(1, new Map()));
    await store.syncDirectory();
    expect((await contentOf(store.readAll(1))).size).toBe(1);
    await store.close();
  });
});
