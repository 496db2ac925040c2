import { cp, mkdir, mkdtemp, open, readdir, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import { LevelStagedState, LevelStateStore } from '../../src/storage/level-state-store.ts';
import { loadState } from '../../src/storage/state-loader.ts';
import { emptyStateMark } from '../../src/storage/state-mark.ts';
import { expectRefusal, stateStoreSuite } from '../conformance/state-store-suite.ts';
import type { Content } from './state-fixtures.ts';
import {
  changesOf,
  contentOf,
  HashingSink,
  markOf,
  sameContent,
  someContent,
  withDirectory,
} from './state-fixtures.ts';

const clock = new SystemClock();

async function newState(path: string): Promise<void> {
  const staged = await LevelStagedState.create(path, clock);
  await staged.seal(emptyStateMark);
}

stateStoreSuite('LevelStateStore', async (counting) => {
  const directory = await mkdtemp(join(tmpdir(), 'rollcall-state-'));
  const path = join(directory, 'state');
  await newState(path);
  return {
    open: () => LevelStateStore.open(path, counting),
    dispose: () => rm(directory, { recursive: true, force: true }),
  };
});

/** Contents by the index of the flush that wrote them. */
type History = readonly Content[];

/** Two flushes, with a reopening between them, so that there are a table, a log and a manifest. */
async function filledState(path: string): Promise<History> {
  const content = someContent(300, 120);
  const history: History = [new Map(), new Map([...content].slice(0, 150)), content];
  await newState(path);
  for (const [index, part] of history.entries()) {
    if (index === 0) continue;
    const store = await LevelStateStore.open(path, clock);
    await store.flush(changesOf(part), markOf(index, part));
    await store.close();
  }
  return history;
}

/** Loads and checks a state; the index it stands at and its content, or what was thrown. */
async function load(path: string): Promise<{ readonly index: number; readonly content: Content } | Error> {
  let store: LevelStateStore | undefined;
  try {
    store = await LevelStateStore.open(path, clock);
    const sink = new HashingSink();
    await loadState(store, sink);
    return { index: store.mark.index, content: sink.content };
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  } finally {
    await store?.close();
  }
}

/**
 * Damages copies of a state and loads them. Each must be refused, or hold what one of the flushes wrote: an older flush
 * is what a crash may leave as well, and whoever opens the state compares its index with the log.
 *
 * @returns How many were refused.
 */
async function damageCopies(rounds: number, damage: (copy: string, round: number) => Promise<void>): Promise<number> {
  return withDirectory(async (directory) => {
    const path = join(directory, 'state');
    const history = await filledState(path);
    let refused = 0;
    for (let round = 0; round < rounds; round++) {
      const copy = join(directory, `copy-${round}`);
      await cp(path, copy, { recursive: true });
      await damage(copy, round);
      const found = await load(copy);
      if (found instanceof Error) {
        expect(found).toMatchObject({ name: 'StorageError' });
        refused += 1;
      } else {
        const expected = history[found.index];
        expect(expected !== undefined && sameContent(found.content, expected), `index ${found.index}`).toBe(true);
      }
      await rm(copy, { recursive: true });
    }
    return refused;
  });
}

async function flipBit(file: string, bit: number): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, bit >>> 3);
    await handle.write(Buffer.from([byte.readUInt8(0) ^ (1 << (bit & 7))]), 0, 1, bit >>> 3);
  } finally {
    await handle.close();
  }
}

async function fileNamed(path: string, pattern: RegExp): Promise<string> {
  const found = (await readdir(path)).find((name) => pattern.test(name));
  if (found === undefined) throw new Error(`no file like ${pattern} in ${path}`);
  return join(path, found);
}

describe('a damaged LevelDB directory', () => {
  const damages: [string, (path: string) => Promise<unknown>][] = [
    ['CURRENT is gone', (path) => rm(join(path, 'CURRENT'))],
    ['CURRENT is empty', (path) => truncate(join(path, 'CURRENT'), 0)],
    ['CURRENT names another file', (path) => writeFile(join(path, 'CURRENT'), 'MANIFEST-999999\n')],
    ['CURRENT holds something else', (path) => writeFile(join(path, 'CURRENT'), 'LOCK\n')],
    ['the manifest is gone', async (path) => rm(await fileNamed(path, /^MANIFEST/))],
    ['the manifest is empty', async (path) => truncate(await fileNamed(path, /^MANIFEST/), 0)],
    ['a table is gone', async (path) => rm(await fileNamed(path, /\.ldb$/))],
    ['everything is gone', (path) => rm(path, { recursive: true })],
  ];

  it.each(damages)('is refused without being changed when %s', (_what, damage) =>
    withDirectory(async (directory) => {
      const path = join(directory, 'state');
      await filledState(path);
      await damage(path);
      const before = await readdir(directory, { recursive: true });
      await expect(LevelStateStore.open(path, clock)).rejects.toMatchObject({ name: 'StorageError', kind: 'damaged' });
      const after = await readdir(directory, { recursive: true });
      expect(after.filter((name) => name.endsWith('.ldb'))).toEqual(before.filter((name) => name.endsWith('.ldb')));
    }),
  );

  it('gives a flushed content or an error for any flipped bit, never another content', async () => {
    const random = new SeededRandom(1);
    const refused = await damageCopies(160, async (copy, round) => {
      const names = (await readdir(copy)).filter((name) => /^(MANIFEST|CURRENT$)|\.(ldb|log)$/.test(name));
      expect(names.length).toBeGreaterThanOrEqual(4);
      const file = join(copy, names[round % names.length] ?? '');
      await flipBit(file, random.below('bit', (await stat(file)).size * 8));
    });
    expect(refused).toBeGreaterThan(50);
  });

  it('gives a flushed content or an error when its manifest, its log or a table is cut anywhere', async () => {
    const random = new SeededRandom(2);
    const patterns = [/^MANIFEST/, /\.log$/, /\.ldb$/];
    const refused = await damageCopies(45, async (copy, round) => {
      const file = await fileNamed(copy, patterns[round % patterns.length] ?? /^$/);
      await truncate(file, random.below('cut', (await stat(file)).size));
    });
    expect(refused).toBeGreaterThan(10);
  });
});

describe('LevelStateStore on a real disk', () => {
  it('refuses everything after a write that LevelDB could not make', () =>
    withDirectory(async (directory) => {
      const path = join(directory, 'state');
      await newState(path);
      const store = await LevelStateStore.open(path, clock);
      const large = [{ key: 'k', value: Buffer.alloc(10 * 1_024 * 1_024, 1) }];
      await store.flush(large, markOf(1, new Map()));
      // The next flush needs a new log file, and there is no directory any more to make it in.
      await rename(path, join(directory, 'elsewhere'));
      await expect(store.flush(large, markOf(2, new Map()))).rejects.toMatchObject({ kind: 'io' });
      await mkdir(path);
      await expectRefusal(store);
      expect(store.mark.index).toBe(1);
      await store.close();
    }));

  it('refuses a directory that is open elsewhere, by name', () =>
    withDirectory(async (directory) => {
      const path = join(directory, 'state');
      await newState(path);
      const store = await LevelStateStore.open(path, clock);
      await expect(LevelStateStore.open(path, clock)).rejects.toMatchObject({ kind: 'refused', file: path });
      await store.close();
    }));

  it('does not open a state that was never sealed', () =>
    withDirectory(async (directory) => {
      const path = join(directory, 'state');
      const staged = await LevelStagedState.create(path, clock);
      await staged.add([{ key: 'k', value: Buffer.from('v') }]);
      await staged.close();
      await expect(LevelStateStore.open(path, clock)).rejects.toMatchObject({ kind: 'damaged' });
    }));

  it('does not make a new state over an old one', () =>
    withDirectory(async (directory) => {
      const path = join(directory, 'state');
      const history = await filledState(path);
      await expect(LevelStagedState.create(path, clock)).rejects.toMatchObject({ name: 'StorageError' });
      const store = await LevelStateStore.open(path, clock);
      expect(await contentOf(store.readAll(1_000))).toEqual(history[2]);
      await store.close();
    }));
});
