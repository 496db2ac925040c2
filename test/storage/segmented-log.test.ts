import { describe, expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import { StorageError } from '../../src/base/errors.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { votersOnly } from '../../src/raft/membership.ts';
import { readMark } from '../../src/storage/compaction-mark.ts';
import type { MembershipRecord } from '../../src/storage/entry-log.ts';
import type { DiskFault, DiskStep } from '../../src/storage/memory-disk.ts';
import { keepAll, keepNothing, MemoryDisk, randomCrash } from '../../src/storage/memory-disk.ts';
import type { CrashChoice } from '../../src/storage/memory-tree.ts';
import { segmentNumber, segmentPath } from '../../src/storage/segment.ts';
import { SegmentedLog } from '../../src/storage/segmented-log.ts';
import { baseOf, emptyBase, entriesAfter, entryAfter, membership, pick, shown } from './log-entries.ts';
import { newLogDisk, openLog, turns } from './log-fixture.ts';

const settled = 200;

describe('sealing', () => {
  it('puts an empty frame behind an idle log once, within 100 ms', async () => {
    const disk = await newLogDisk();
    const { log, clock } = await openLog(disk);
    await turns(settled);
    expect(clock.pendingCount).toBe(0);
    await log.append([entryAfter(emptyBase, 1, 10)], 0);
    await turns(settled);
    const before = disk.count('write');
    clock.advance(99);
    await turns(settled);
    expect(disk.count('write')).toBe(before);
    clock.advance(1);
    await turns(settled);
    expect(disk.count('write')).toBe(before + 1);
    expect(log.keptBytes).toBe(2 * 4_096);
    clock.advance(10_000);
    await turns(settled);
    expect([disk.count('write'), clock.pendingCount]).toEqual([before + 1, 0]);
    await log.close();
    expect(disk.count('write')).toBe(before + 1);
  });

  it('follows the opening of a log that was not sealed, and its closing', async () => {
    const disk = await newLogDisk();
    const first = await openLog(disk);
    await first.log.append([entryAfter(emptyBase, 1, 10)], 1);
    const killed = disk.kill();
    const second = await openLog(killed);
    second.clock.advance(100);
    await turns(settled);
    expect(second.log.keptBytes).toBe(2 * 4_096);
    await second.log.append([entryAfter(baseOf(entryAfter(emptyBase, 1, 10)), 1, 10)], 1);
    await second.log.close();
    const third = await openLog(killed);
    expect(third.log.keptBytes).toBe(4 * 4_096);
    expect(third.recovered.commit).toBe(1);
  });

  it('fails the log where the disk refuses it', async () => {
    const disk = await newLogDisk();
    const { log, clock, failures } = await openLog(disk);
    await log.append([entryAfter(emptyBase, 1, 10)], 0);
    await turns(settled);
    disk.failNext('sync', segmentPath(1), 'EIO');
    clock.advance(100);
    await turns(settled);
    expect(failures.length).toBe(1);
    await expect(log.append([], 0)).rejects.toThrow('EIO');
  });
});

describe('one frame in flight', () => {
  it('gathers all that is appended meanwhile, without what was superseded', async () => {
    const disk = await newLogDisk();
    const { log } = await openLog(disk);
    await turns(settled);
    const hold = disk.holdNext('sync', segmentPath(1));
    const all = entriesAfter(emptyBase, 6, 1, 10);
    const calls = [log.append(all.slice(0, 2), 0)];
    await hold.reached;
    const before = disk.count('write');
    calls.push(log.append(all.slice(2, 4), 0), log.append(all.slice(4), 1));
    const fork = entriesAfter(baseOf(pick(all, 2)), 2, 2, 10);
    calls.push(log.append(fork, 2));
    expect(log.durableIndex).toBe(0);
    await turns(settled);
    expect(disk.count('write')).toBe(before);
    hold.release();
    await Promise.all(calls);
    expect(disk.count('write')).toBe(before + 1);
    expect(log.durableIndex).toBe(5);
    const { recovered } = await openLog(disk.crash(keepNothing));
    expect(shown(recovered.entries)).toEqual(shown([...all.slice(0, 3), ...fork]));
    expect(recovered.commit).toBe(2);
  });

  it('says of superseded entries at once that they are not durable', async () => {
    const disk = await newLogDisk();
    const { log } = await openLog(disk);
    const all = entriesAfter(emptyBase, 6, 1, 10);
    await log.append(all, 1);
    const hold = disk.holdNext('sync', segmentPath(1));
    const call = log.append(entriesAfter(baseOf(pick(all, 1)), 1, 2, 10), 1);
    expect(log.durableIndex).toBe(2);
    await hold.reached;
    expect(log.durableIndex).toBe(2);
    hold.release();
    await call;
    expect(log.durableIndex).toBe(3);
  });
});

describe('an error of the disk', () => {
  const cases: readonly (readonly [DiskStep, number, DiskFault])[] = [
    ['write', 1, 'EIO'],
    ['write', 1, 'ENOSPC'],
    ['write', 1, 'short'],
    ['sync', 1, 'EIO'],
    ['sync', 1, 'ENOSPC'],
  ];
  for (const [step, segment, fault] of cases) {
    it(`ends the log: ${step}, ${fault}`, async () => {
      const disk = await newLogDisk();
      const { log, failures } = await openLog(disk);
      const all = entriesAfter(emptyBase, 12, 1, 3_000);
      await log.append(all.slice(0, 3), 2);
      await turns(settled);
      disk.failNext(step, segmentPath(segment), fault);
      const order: string[] = [];
      const calls = [all.slice(3, 6), all.slice(6, 9)].map((entries) => {
        return log.append(entries, 2).then(
          () => order.push('acknowledged'),
          (error: unknown) => order.push(error instanceof StorageError ? error.kind : String(error)),
        );
      });
      await Promise.all(calls);
      expect(order).toEqual(['io', 'io']);
      expect(failures.map((failure) => failure.name)).toEqual(['StorageError']);
      // The disk would take the next write, but nothing is tried any more.
      const before = disk.count('write');
      await expect(log.append(all.slice(3, 4), 2)).rejects.toBe(failures[0]);
      await expect(log.compact(baseOf(pick(all, 1)), membership)).rejects.toBe(failures[0]);
      await expect(log.restart({ ...emptyBase, index: 50 }, membership)).rejects.toBe(failures[0]);
      await log.close();
      expect(disk.count('write')).toBe(before);
      expect(failures.length).toBe(1);
      // After a restart of the process: what was acknowledged is there, and what is read survives a loss of power.
      const killed = disk.kill();
      const again = await openLog(killed);
      expect(shown(again.recovered.entries).slice(0, 3)).toEqual(shown(all.slice(0, 3)));
      const last = await openLog(killed.crash(keepNothing));
      expect(shown(last.recovered.entries)).toEqual(shown(again.recovered.entries));
    });
  }

  it('in the making of a spare segment ends the log, with the frame in flight', async () => {
    for (const [step, path] of [
      ['open', segmentPath(2)],
      ['write', segmentPath(2)],
      ['sync', segmentPath(2)],
      ['sync-directory', 'log'],
    ] as const) {
      const disk = await newLogDisk();
      const hold = disk.holdNext('sync', segmentPath(1));
      // Opening syncs the directory twice, once before it removes what is left over.
      if (step === 'sync-directory') for (let use = 0; use < 2; use++) disk.holdNext(step, path).release();
      disk.failNext(step, path, 'ENOSPC');
      const { log, failures } = await openLog(disk);
      const call = log.append([entryAfter(emptyBase, 1, 10)], 0);
      const outcome = call.then(
        () => 'acknowledged',
        () => 'rejected',
      );
      await hold.reached;
      await turns(settled);
      hold.release();
      expect(await outcome).toBe('rejected');
      expect(failures.length).toBe(1);
      await turns(settled);
      expect(log.durableIndex).toBe(0);
    }
  });

  it('in a compaction or a restart ends the log and leaves the old one', async () => {
    for (const [step, path] of [
      ['write', 'log/mark.tmp'],
      ['sync', 'log/mark.tmp'],
      ['rename', 'log/mark.tmp'],
      ['sync-directory', 'log'],
    ] as const) {
      for (const kind of ['compact', 'restart'] as const) {
        const disk = await newLogDisk();
        const { log, failures } = await openLog(disk);
        const all = entriesAfter(emptyBase, 12, 1, 3_000);
        await log.append(all, 12);
        await turns(settled);
        disk.failNext(step, path, 'EIO');
        const base = kind === 'compact' ? baseOf(pick(all, 5)) : { index: 90, term: 3, hash: 'a'.repeat(16) };
        await expect(log[kind](base, membership)).rejects.toThrow('EIO');
        expect(failures.length).toBe(1);
        const { recovered } = await openLog(disk.crash(keepNothing));
        expect(shown(recovered.entries)).toEqual(shown(all));
      }
    }
  });
});

describe('a crash at any moment', () => {
  const base = { index: 90, term: 3, hash: 'a'.repeat(16) };
  const other: MembershipRecord = votersOnly(membership.voters.slice(1));
  const random = new SeededRandom(3);
  const choices: readonly CrashChoice[] = [keepAll, keepNothing, randomCrash(random), randomCrash(random)];

  /** Runs `act` on a copy of the disk, crashes after each number of turns, and shows what is found. */
  async function atEachMoment(
    disk: MemoryDisk,
    act: (log: SegmentedLog) => Promise<void>,
    check: (found: Awaited<ReturnType<typeof openLog>>, acknowledged: boolean) => void,
  ): Promise<void> {
    for (let moment = 0; moment < 90; moment++) {
      for (const choice of choices) {
        const copy = disk.fork();
        const { log } = await openLog(copy);
        let done = false;
        void act(log).then(() => {
          done = true;
        });
        await turns(moment);
        const acknowledged = done;
        const after = copy.crash(choice);
        const found = await openLog(after);
        check(found, acknowledged);
        await turns(settled);
        // Nothing is left over: the segments that count, one spare, and the mark.
        const names = await after.list('log');
        const first = must(await readMark(after), 'mark').firstSegment;
        const numbers = names.map(segmentNumber).filter((number) => number !== undefined);
        expect(numbers).toEqual(numbers.map((_number, position) => first + position));
        expect(names.length).toBe(numbers.length + 1);
        const again = await openLog(after.crash(keepNothing));
        expect(again.recovered.base).toEqual(found.recovered.base);
        expect(shown(again.recovered.entries)).toEqual(shown(found.recovered.entries));
      }
    }
  }

  it('of a restart leaves the old log or the new one, never a mix', async () => {
    const disk = await newLogDisk(16 * 4_096);
    const { log } = await openLog(disk, { segmentBytes: 16 * 4_096 });
    const all = entriesAfter(emptyBase, 20, 2, 3_000);
    for (const entry of all) await log.append([entry], entry.index);
    await log.close();
    const next = entriesAfter(base, 2, 3, 100);
    const seen = new Set<string>();
    await atEachMoment(
      disk.kill(),
      async (opened) => {
        await opened.restart(base, other);
        await opened.append(next, 91);
      },
      ({ recovered }, acknowledged) => {
        const isOld = recovered.base.index === 0;
        seen.add(`${isOld ? 'old' : 'new'} with ${recovered.entries.length}`);
        expect(recovered.membership).toEqual(isOld ? membership : other);
        expect(recovered.base).toEqual(isOld ? emptyBase : base);
        const entries = recovered.entries.length === 0 ? [] : next;
        expect(shown(recovered.entries)).toEqual(shown(isOld ? all : entries));
        if (acknowledged) expect([isOld, recovered.entries.length]).toEqual([false, 2]);
      },
    );
    expect([...seen].toSorted()).toEqual(['new with 0', 'new with 2', 'old with 20']);
  });

  it('of a compaction leaves every entry after the base', async () => {
    const disk = await newLogDisk(16 * 4_096);
    const { log } = await openLog(disk, { segmentBytes: 16 * 4_096 });
    const all = entriesAfter(emptyBase, 30, 2, 3_000);
    for (const entry of all) await log.append([entry], entry.index);
    await log.close();
    const mark = baseOf(pick(all, 21));
    let moved = 0;
    await atEachMoment(
      disk.kill(),
      (opened) => opened.compact(mark, other),
      ({ recovered }, acknowledged) => {
        const isOld = recovered.base.index === 0;
        expect(recovered.membership).toEqual(isOld ? membership : other);
        expect(shown(recovered.entries)).toEqual(shown(isOld ? all : all.slice(22)));
        if (acknowledged) expect(isOld).toBe(false);
        if (!isOld) moved += 1;
      },
    );
    expect(moved).toBeGreaterThan(20);
  });

  it('of the making of a log leaves one that can be made again, or the whole', async () => {
    for (let moment = 0; moment < 60; moment++) {
      for (const choice of choices) {
        const disk = new MemoryDisk();
        void SegmentedLog.initialise(disk, base, membership, 8 * 4_096);
        await turns(moment);
        const after = disk.crash(choice);
        if (!(await SegmentedLog.isInitialised(after))) {
          await SegmentedLog.initialise(after, base, membership, 8 * 4_096);
        }
        const { recovered } = await openLog(after.crash(keepNothing));
        expect(recovered).toEqual({ base, membership, entries: [], commit: base.index, torn: undefined });
      }
    }
  });
});
