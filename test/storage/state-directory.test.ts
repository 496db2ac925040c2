import { describe, expect, it } from 'vitest';
import { InvariantError, must } from '../../src/base/assert.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import type { Disk } from '../../src/storage/disk.ts';
import { LevelStateEngine } from '../../src/storage/level-state-engine.ts';
import { MemoryDisk, randomCrash } from '../../src/storage/memory-disk.ts';
import { MemoryStateEngine } from '../../src/storage/memory-state-engine.ts';
import { NodeDisk } from '../../src/storage/node-disk.ts';
import type { StateStep } from '../../src/storage/state-directory.ts';
import { openStateDirectory } from '../../src/storage/state-directory.ts';
import type { StateEngine } from '../../src/storage/state-engine.ts';
import { loadState } from '../../src/storage/state-loader.ts';
import { emptyStateMark } from '../../src/storage/state-mark.ts';
import type { StateDirectory } from '../../src/storage/state-store.ts';
import type { Content } from './state-fixtures.ts';
import { changesOf, HashingSink, markOf, membership, someContent, withDirectory } from './state-fixtures.ts';

const clock = new SystemClock();
const before = someContent(12, 30, 'before');
const after = someContent(9, 40, 'after');
const steps: readonly StateStep[] = [
  'created',
  'sealed',
  'sealed-durable',
  'opened',
  'pointer-written',
  'pointer-renamed',
  'pointer-durable',
  'old-closed',
  'old-removed',
];

interface World {
  readonly disk: Disk;
  readonly engine: StateEngine;
}

function memoryWorld(): { readonly disk: MemoryDisk; readonly engine: MemoryStateEngine } {
  const disk = new MemoryDisk();
  return { disk, engine: new MemoryStateEngine({ disk, clock, crashable: true }) };
}

/** Flushes `before` at index 5. */
async function fill(directory: StateDirectory): Promise<void> {
  await directory.store.flush(changesOf(before), markOf(5, before));
  await directory.store.syncDirectory();
}

/** Receives and activates `after` at index 9. */
async function install(directory: StateDirectory): Promise<void> {
  const staged = await directory.stage();
  const changes = changesOf(after);
  await staged.add(changes.slice(0, 4));
  await staged.add(changes.slice(4));
  await staged.seal(markOf(9, after, 2), membership);
  await directory.activate(staged);
}

async function loaded(directory: StateDirectory): Promise<Content> {
  const sink = new HashingSink();
  await loadState(directory.store, sink);
  return sink.content;
}

/** The directory holds exactly one of the two states, says which, and nothing else lies on the disk. */
async function expectOldOrNew(directory: StateDirectory, disk: Disk): Promise<'old' | 'new'> {
  const content = await loaded(directory);
  const isNew = directory.installed !== undefined;
  expect(content).toEqual(isNew ? after : before);
  const mark = isNew ? markOf(9, after, 2) : markOf(5, before);
  expect(directory.store.mark).toEqual(mark);
  if (isNew) {
    const base = { index: mark.index, term: mark.term, hash: mark.prefixHash };
    expect(directory.installed).toEqual({ base, membership });
  }
  const names = await disk.list('state');
  expect(names).toEqual(['CURRENT-STATE', expect.stringMatching(/^data-\d+$/)]);
  return isNew ? 'new' : 'old';
}

class Stopped extends Error {}

function stopAt(wanted: StateStep): (step: StateStep) => void {
  return (step) => {
    if (step === wanted) throw new Stopped(wanted);
  };
}

type WithWorld = (work: (world: World) => Promise<void>) => Promise<void>;

function conformance(name: string, withWorld: WithWorld): void {
  describe(`the state directory on ${name}`, () => {
    states(withWorld);
    stops(withWorld);
    damage(withWorld);
  });
}

function states(withWorld: WithWorld): void {
  it('begins with an empty state that nobody installed', () =>
    withWorld(async (world) => {
      for (let start = 0; start < 2; start++) {
        const directory = await openStateDirectory(world);
        expect(directory.store.mark).toEqual(emptyStateMark);
        expect(directory.installed).toBeUndefined();
        expect(await loaded(directory)).toEqual(new Map());
        await directory.close();
      }
    }));

  it('keeps what was flushed, and then what was installed', () =>
    withWorld(async (world) => {
      let directory = await openStateDirectory(world);
      await fill(directory);
      await directory.close();
      directory = await openStateDirectory(world);
      expect(await expectOldOrNew(directory, world.disk)).toBe('old');
      const old = directory.store;
      await install(directory);
      expect(await expectOldOrNew(directory, world.disk)).toBe('new');
      await expect(old.syncDirectory()).rejects.toMatchObject({ kind: 'refused' });
      await directory.close();
      directory = await openStateDirectory(world);
      expect(await expectOldOrNew(directory, world.disk)).toBe('new');
      await directory.close();
    }));

  it('forgets a discarded state, and takes the next one', () =>
    withWorld(async (world) => {
      const directory = await openStateDirectory(world);
      await fill(directory);
      const staged = await directory.stage();
      await staged.add(changesOf(after));
      await staged.discard();
      await staged.discard();
      expect(await expectOldOrNew(directory, world.disk)).toBe('old');
      await install(directory);
      expect(await expectOldOrNew(directory, world.disk)).toBe('new');
      await directory.close();
    }));
}

function stops(withWorld: WithWorld): void {
  it.each(steps)('holds the old or the new state when it is stopped after "%s"', (step) =>
    withWorld(async (world) => {
      const first = await openStateDirectory(world);
      await fill(first);
      await first.close();
      let armed = false;
      const stop = stopAt(step);
      const directory = await openStateDirectory({ ...world, onStep: (at) => armed && stop(at) });
      armed = true;
      await expect(install(directory)).rejects.toThrow(Stopped);
      await directory.close();
      const found = await openStateDirectory(world);
      const renamed = steps.indexOf('pointer-renamed');
      expect(await expectOldOrNew(found, world.disk)).toBe(steps.indexOf(step) < renamed ? 'old' : 'new');
      await install(found);
      expect(await expectOldOrNew(found, world.disk)).toBe('new');
      await found.close();
    }),
  );

  it.each(steps.slice(0, 7))('makes the first state again when it was stopped after "%s"', (step) =>
    withWorld(async (world) => {
      await expect(openStateDirectory({ ...world, onStep: stopAt(step) })).rejects.toThrow(Stopped);
      const directory = await openStateDirectory(world);
      expect(directory.store.mark).toEqual(emptyStateMark);
      expect(await world.disk.list('state')).toHaveLength(2);
      await directory.close();
    }),
  );
}

function damage(withWorld: WithWorld): void {
  it('starts over from a damaged state and keeps what was installed', () =>
    withWorld(async (world) => {
      const directory = await openStateDirectory(world);
      await fill(directory);
      await install(directory);
      const { installed } = directory;
      expect((await directory.startOver()).mark).toEqual(emptyStateMark);
      expect(await loaded(directory)).toEqual(new Map());
      expect(directory.installed).toEqual(installed);
      await directory.close();
      const again = await openStateDirectory(world);
      expect(again.store.mark).toEqual(emptyStateMark);
      expect(again.installed).toEqual(installed);
      await again.close();
    }));

  it('refuses a missing or damaged state, and starts over when it is told to', () =>
    withWorld(async (world) => {
      const directory = await openStateDirectory(world);
      await install(directory);
      await directory.close();
      const active = must(
        (await world.disk.list('state')).find((entry) => entry.startsWith('data-')),
        'active state',
      );
      await world.disk.remove(`state/${active}/CURRENT`);
      await expect(openStateDirectory(world)).rejects.toMatchObject({ name: 'StorageError', kind: 'damaged' });
      const again = await openStateDirectory({ ...world, damaged: 'start-over' });
      expect(again.store.mark).toEqual(emptyStateMark);
      expect(again.installed?.base.index).toBe(9);
      expect(await world.disk.list('state')).toHaveLength(2);
      await again.close();
    }));

  it('refuses states whose pointer is gone, and starts over when it is told to', () =>
    withWorld(async (world) => {
      const directory = await openStateDirectory(world);
      await fill(directory);
      await directory.close();
      await world.disk.remove('state/CURRENT-STATE');
      await expect(openStateDirectory(world)).rejects.toThrow(/missing beside states/);
      const again = await openStateDirectory({ ...world, damaged: 'start-over' });
      expect(again.store.mark).toEqual(emptyStateMark);
      expect(again.installed).toBeUndefined();
      await again.close();
    }));
}

conformance('LevelDB', (work) =>
  withDirectory(async (root) => {
    const disk = await NodeDisk.open(root);
    await work({ disk, engine: new LevelStateEngine({ disk, root, clock }) });
  }),
);

conformance('its twin in memory', (work) => work(memoryWorld()));

describe('a crash of the state directory', () => {
  /** Runs `work` until it has made `turns` steps, then ends the process; the world that the next process finds. */
  async function ended(
    end: 'killed' | 'power lost',
    world: { readonly disk: MemoryDisk; readonly engine: MemoryStateEngine },
    seed: number,
    turns: number,
    work: () => Promise<unknown>,
  ): Promise<{ readonly next: ReturnType<typeof memoryWorld>; readonly done: boolean }> {
    let done = false;
    let failure: unknown;
    work().then(
      () => {
        done = true;
      },
      (error: unknown) => {
        failure = error;
      },
    );
    for (let turn = 0; turn < turns && !done; turn++) await Promise.resolve();
    // What the process would say after its end is no failure of it.
    expect(failure).toBeUndefined();
    if (end === 'killed') {
      const disk = world.disk.kill();
      return { next: { disk, engine: world.engine.restarted(disk) }, done };
    }
    const random = new SeededRandom(seed);
    const disk = world.disk.crash(randomCrash(random));
    return { next: { disk, engine: world.engine.restarted(disk, random) }, done };
  }

  it('leaves the old or the new state at any moment of an install, and the new one after it', async () => {
    const found = { old: 0, new: 0 };
    for (let turns = 0, whole = 0; whole < 20; turns++) {
      const world = memoryWorld();
      const directory = await openStateDirectory(world);
      await fill(directory);
      const { next, done } = await ended('power lost', world, turns, turns, () => install(directory));
      const again = await openStateDirectory(next);
      const which = await expectOldOrNew(again, next.disk);
      found[which] += 1;
      if (done) {
        expect(which).toBe('new');
        whole += 1;
      }
    }
    expect(found.old).toBeGreaterThan(50);
    expect(found.new).toBeGreaterThan(30);
  });

  it.each(['killed', 'power lost'] as const)(
    'leaves the old or the new state when the power is lost in the start after the process was %s',
    async (end) => {
      for (let turns = 60; turns < 200; turns += 5) {
        for (let second = 0; second < 100; second += 9) {
          const world = memoryWorld();
          const directory = await openStateDirectory(world);
          await fill(directory);
          const { next } = await ended(end, world, turns, turns, () => install(directory));
          const { next: last } = await ended('power lost', next, second, second, () => openStateDirectory(next));
          await expectOldOrNew(await openStateDirectory(last), last.disk);
        }
      }
    },
  );

  it('leaves nothing, or an empty state, at any moment of the first start', async () => {
    for (let turns = 0, whole = 0; whole < 5; turns++) {
      const world = memoryWorld();
      const { next, done } = await ended('power lost', world, turns, turns, () => openStateDirectory(world));
      const again = await openStateDirectory(next);
      expect(again.store.mark).toEqual(emptyStateMark);
      if (done) whole += 1;
    }
  });
});

describe('the pointer file', () => {
  async function installed(): Promise<ReturnType<typeof memoryWorld>> {
    const world = memoryWorld();
    const directory = await openStateDirectory(world);
    await install(directory);
    await directory.close();
    return world;
  }

  it('is refused with any bit flipped and cut at any byte', async () => {
    const world = await installed();
    const whole = world.disk.contentOf('state/CURRENT-STATE');
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const disk = world.disk.fork();
      disk.flipBit('state/CURRENT-STATE', bit >>> 3, bit & 7);
      const opening = openStateDirectory({ disk, engine: world.engine.restarted(disk) });
      await expect(opening).rejects.toMatchObject({ kind: 'damaged', file: 'state/CURRENT-STATE' });
    }
    for (let length = 0; length < whole.length; length++) {
      const disk = world.disk.fork();
      await disk.writeWhole('state/CURRENT-STATE', whole.subarray(0, length));
      const opening = openStateDirectory({ disk, engine: world.engine.restarted(disk) });
      await expect(opening).rejects.toMatchObject({ kind: 'damaged' });
    }
  });

  it.each(['write', 'sync', 'rename'] as const)('ends the use of the directory when its %s fails', async (step) => {
    const { disk, engine } = memoryWorld();
    const directory = await openStateDirectory({ disk, engine });
    await fill(directory);
    disk.failNext(step, 'state/CURRENT-STATE.new', 'EIO');
    await expect(install(directory)).rejects.toMatchObject({ kind: 'io' });
    await expect(directory.stage()).rejects.toMatchObject({ kind: 'refused' });
    await expect(directory.startOver()).rejects.toMatchObject({ kind: 'refused' });
    await directory.close();
    const disk2 = disk.kill();
    const again = await openStateDirectory({ disk: disk2, engine: engine.restarted(disk2) });
    expect(await expectOldOrNew(again, disk2)).toBe('old');
  });
});

describe('the order of calls of a state directory', () => {
  const misuses: [string, (directory: StateDirectory) => Promise<unknown>][] = [
    [
      'a second staged state',
      async (directory) => {
        await directory.stage();
        return directory.stage();
      },
    ],
    ['the activation of an unsealed state', async (directory) => directory.activate(await directory.stage())],
    [
      'the activation of a discarded state',
      async (directory) => {
        const staged = await directory.stage();
        await staged.seal(markOf(1, new Map()), membership);
        await staged.discard();
        return directory.activate(staged);
      },
    ],
    [
      'a pair for a sealed state',
      async (directory) => {
        const staged = await directory.stage();
        await staged.seal(markOf(1, new Map()), membership);
        return staged.add([]);
      },
    ],
  ];

  it.each(misuses)('refuses %s', async (_what, misuse) => {
    const directory = await openStateDirectory(memoryWorld());
    await expect(misuse(directory)).rejects.toThrow(InvariantError);
  });
});
