import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { ApplyLoop } from '../../src/replica/apply-loop.ts';
import { Flusher } from '../../src/replica/flusher.ts';
import { RegistryState } from '../../src/state-machine/registry-state.ts';
import { MemoryStateStore } from '../../src/storage/memory-state-store.ts';

const hash = '0'.repeat(16);

/** Lets what waits for turns and promises go on. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let i = 0; i < ms; i += 5) {
    clock.advance(5);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function entry(index: number): { index: number; term: number; hash: string; data: Uint8Array } {
  return { index, term: 1, hash, data: new Uint8Array() };
}

describe('Flusher', () => {
  it('begins no flush between the news of a snapshot and its state: the log has begun anew behind it', async () => {
    const clock = new ManualClock();
    const state = new RegistryState();
    const store = MemoryStateStore.empty(clock);
    const log = {
      durableIndex: 100,
      keptBytes: 0,
      compactable: () => Promise.resolve(undefined),
      compact: () => Promise.resolve(),
    };
    const failures: unknown[] = [];
    let kept = true;
    const flusher = new Flusher(state, store, {
      clock,
      log,
      flushIntervalMs: 100,
      logKeepBytes: 1_000,
      applied: () => {
        if (!kept) throw new Error('a flush of what is replaced');
        return { index: state.position.index, term: 1, hash };
      },
      onFlushed: () => undefined,
      onCompacted: () => undefined,
      onFatal: (error) => failures.push(error),
    });
    flusher.start();
    state.apply(entry(1));
    await pass(clock, 200);
    expect(flusher.flushedIndex).toBe(1);
    state.apply(entry(2));
    flusher.hold();
    kept = false;
    await pass(clock, 500);
    expect(flusher.flushedIndex).toBe(1);
    expect(failures).toEqual([]);
    kept = true;
    flusher.resumeWith(state, store);
    await pass(clock, 200);
    expect(flusher.flushedIndex).toBe(2);
    await flusher.stop();
  });
});

describe('Flusher at rest', () => {
  it('sets no timer while nothing is applied, and flushes what is applied then', async () => {
    const clock = new ManualClock();
    const state = new RegistryState();
    const store = MemoryStateStore.empty(clock);
    const log = {
      durableIndex: 0,
      keptBytes: 0,
      compactable: () => Promise.resolve(undefined),
      compact: () => Promise.resolve(),
    };
    const flusher = new Flusher(state, store, {
      clock,
      log,
      flushIntervalMs: 100,
      logKeepBytes: 1_000,
      applied: () => ({ index: state.position.index, term: 1, hash }),
      onFlushed: () => undefined,
      onCompacted: () => undefined,
      onFatal: (error) => {
        throw error;
      },
    });
    flusher.start();
    await pass(clock, 200);
    expect(clock.pendingCount).toBe(0);
    state.apply(entry(1));
    flusher.changed();
    await pass(clock, 500);
    // Applied before it is durable here: it is looked at again until it is.
    expect(flusher.flushedIndex).toBe(0);
    log.durableIndex = 1;
    await pass(clock, 200);
    expect(flusher.flushedIndex).toBe(1);
    expect(clock.pendingCount).toBe(0);
    await flusher.stop();
  });
});

describe('ApplyLoop', () => {
  it('takes a new state also while too much of the old one is unflushed, and goes on behind it', async () => {
    const clock = new ManualClock();
    let mayApply = false;
    const applied: number[] = [];
    const replaced: number[] = [];
    const loop = new ApplyLoop(new RegistryState(), {
      clock,
      onEntry: ({ index }) => applied.push(index),
      onSlice: () => undefined,
      onReplaced: (state) => {
        mayApply = true;
        replaced.push(state.position.index);
      },
      mayApply: () => mayApply,
      onFatal: (error) => {
        throw error;
      },
    });
    loop.push([entry(1), entry(2)]);
    expect(loop.backlog).toBe(2);
    loop.replace(() => {
      const state = new RegistryState();
      state.beginLoad({ index: 10, term: 1, revision: 0 });
      state.finishLoad();
      return Promise.resolve(state);
    });
    loop.push([entry(11)]);
    await pass(clock, 20);
    expect(replaced).toEqual([10]);
    expect(applied).toEqual([11]);
    expect(loop.backlog).toBe(0);
  });
});
