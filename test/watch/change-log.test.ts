import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { matchAll } from '../../src/filter/compile-filter.ts';
import type { LogUser } from '../../src/watch/change-log.ts';
import { ChangeLog } from '../../src/watch/change-log.ts';
import { ChangesReader } from '../../src/watch/cut-readers.ts';

function userAt(neededFrom: number): { log: ChangeLog | undefined; neededFrom: number } {
  return { log: undefined, neededFrom };
}

describe('a reader of changes', () => {
  const subject = { key: 'k', namespace: 'default', service: 'api', servicePrefix: '', matcher: matchAll };

  it('does not begin with a log that has forgotten a part, or that nobody keeps any more', () => {
    const log = new ChangeLog('default/api', 0);
    const user = userAt(0);
    log.users.add(user);
    for (let revision = 1; revision <= 10; revision++) log.note(`i${revision}`, revision, 1);
    const [early, late] = [new ChangesReader(subject, log, 5), new ChangesReader(subject, log, 20)];
    user.neededFrom = 20;
    for (let revision = 11; revision <= 500; revision++) log.note(`i${revision}`, revision, 1);
    expect(log.since).toBe(20);
    expect([early.begin(), late.begin()]).toEqual([false, true]);
    log.users.clear();
    expect(new ChangesReader(subject, log, 20).begin()).toBe(false);
  });

  it('takes what others may ask for too where that is at most as much again', () => {
    const log = new ChangeLog('default/api', 0);
    log.users.add(userAt(0));
    for (let revision = 1; revision <= 10; revision++) log.note(`i${revision}`, revision, 1);
    const [most, few] = [new ChangesReader(subject, log, 5), new ChangesReader(subject, log, 6)];
    expect([most.begin(), few.begin()]).toEqual([true, true]);
    expect([most.from, few.from]).toEqual([0, 6]);
  });
});

describe('a log of changed keys', () => {
  it('gives each key once, by its last change', () => {
    const log = new ChangeLog('default/api', 10);
    log.users.add(userAt(10));
    for (const [i, key] of ['a', 'b', 'c', 'a', 'd', 'c'].entries()) log.note(key, 11 + i, 100);
    expect(log.behind(10, '')).toEqual({ keys: ['b', 'a', 'd', 'c'], revisions: [12, 14, 15, 16] });
    expect(log.behind(14, '').keys).toEqual(['d', 'c']);
    expect(log.behind(16, '').keys).toEqual([]);
    expect([log.size, log.noted]).toEqual([4, 600]);
    expect(() => log.behind(9, '')).toThrow(InvariantError);
    expect(() => log.note('e', 10, 1)).toThrow(InvariantError);
  });

  it('gives those of a prefix', () => {
    const log = new ChangeLog('default/', 0);
    log.users.add(userAt(0));
    for (const [i, key] of ['web/1', 'db/1', 'webby/1'].entries()) log.note(key, 1 + i, 1);
    expect(log.behind(0, 'web').keys).toEqual(['web/1', 'webby/1']);
  });

  it('grows with the keys that changed, not with the changes', () => {
    const log = new ChangeLog('default/api', 0);
    log.users.add(userAt(0));
    for (let revision = 1; revision <= 100; revision++) log.note(`i${revision % 100}`, revision, 1);
    const { bytes } = log;
    for (let revision = 101; revision <= 50_000; revision++) log.note(`i${revision % 100}`, revision, 1);
    expect([log.size, log.bytes]).toEqual([100, bytes]);
  });

  it('forgets what lies before the oldest position that somebody needs, and never more', () => {
    const random = new SeededRandom(7);
    const log = new ChangeLog('default/api', 0);
    const users = [userAt(0), userAt(0)];
    for (const user of users) log.users.add(user satisfies LogUser);
    const last = new Map<string, number>();
    let largest = 0;
    for (let revision = 1; revision <= 10_000; revision++) {
      // Never seen again, most of them: without forgetting it would grow for ever.
      const key = `i${random.below('log', 3) === 0 ? random.below('log', 50) : revision}`;
      log.note(key, revision, 1);
      last.delete(key);
      last.set(key, revision);
      for (const user of users)
        if (random.below('log', 4) === 0) user.neededFrom = Math.max(user.neededFrom, revision - 100);
      largest = Math.max(largest, log.size);
      if (revision % 500 > 0) continue;
      const from = Math.min(...users.map(({ neededFrom }) => neededFrom));
      expect(log.since).toBeLessThanOrEqual(from);
      const expected = [...last].filter(([, at]) => at > from);
      const { keys, revisions } = log.behind(from, '');
      expect(keys.map((found, i) => [found, revisions[i]])).toEqual(expected);
    }
    expect(largest).toBeLessThan(1_000);
  });
});
