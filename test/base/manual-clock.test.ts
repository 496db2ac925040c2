import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { timerMsMax } from '../../src/base/clock.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';

/** A clock and the labels of what fired, each with its time. */
function recorded(): { clock: ManualClock; fired: string[]; note: (label: string) => () => void } {
  const clock = new ManualClock();
  const fired: string[] = [];
  return { clock, fired, note: (label) => () => void fired.push(`${label}@${clock.monotonicMs()}`) };
}

describe('ManualClock', () => {
  it('stands still until it is advanced', () => {
    const clock = new ManualClock(5_000);
    expect([clock.monotonicMs(), clock.wallMs()]).toEqual([0, 5_000]);
    clock.advance(2.5);
    expect([clock.monotonicMs(), clock.wallMs()]).toEqual([2.5, 5_002]);
  });

  it('lets the wall clock jump without the monotonic one', () => {
    const clock = new ManualClock(5_000);
    clock.advance(10);
    clock.setWallMs(1_000);
    clock.advance(1);
    expect([clock.monotonicMs(), clock.wallMs()]).toEqual([11, 1_001]);
  });

  it('fires timers at their time, equal ones in the order of setting', () => {
    const { clock, fired, note } = recorded();
    clock.setTimer(20, note('c'));
    clock.setTimer(10, note('a'));
    clock.setTimer(10, note('b'));
    clock.advance(9.9);
    expect(fired).toEqual([]);
    clock.advance(30);
    expect(fired).toEqual(['a@10', 'b@10', 'c@20']);
    expect(clock.pendingCount).toBe(0);
  });

  it('fires what is set meanwhile, within the same advance', () => {
    const { clock, fired, note } = recorded();
    const again = (): void => {
      note('tick')();
      clock.setTimer(10, again);
    };
    clock.setTimer(10, again);
    clock.advance(35);
    expect(fired).toEqual(['tick@10', 'tick@20', 'tick@30']);
    expect(clock.nextTimerMs()).toBe(5);
  });

  it('takes zero for one millisecond, as the real clock does', () => {
    const { clock, fired, note } = recorded();
    clock.setTimer(0, note('a'));
    clock.advance(0.9);
    expect(fired).toEqual([]);
    clock.advance(0.1);
    expect(fired).toEqual(['a@1']);
  });

  it('does not fire what was cancelled, also in the same instant', () => {
    const { clock, fired, note } = recorded();
    const late = clock.setTimer(10, note('late'));
    const turn = clock.nextTurn(note('turn'));
    late.cancel();
    turn.cancel();
    clock.setTimer(5, () => second.cancel());
    const second = clock.setTimer(5, note('second'));
    clock.advance(20);
    expect(fired).toEqual([]);
    late.cancel();
  });

  it('runs callbacks of nextTurn after the timers of their instant, and theirs a turn later', () => {
    const { clock, fired, note } = recorded();
    clock.setTimer(10, () => {
      note('timer')();
      clock.nextTurn(() => {
        note('turn')();
        clock.nextTurn(note('turn after'));
      });
    });
    clock.setTimer(10, note('other timer'));
    clock.setTimer(11, note('later timer'));
    clock.advance(11);
    expect(fired).toEqual(['timer@10', 'other timer@10', 'turn@10', 'turn after@10', 'later timer@11']);
  });

  it('runs waiting callbacks of nextTurn without time passing', () => {
    const { clock, fired, note } = recorded();
    clock.nextTurn(note('turn'));
    expect(fired).toEqual([]);
    clock.advance(0);
    expect(fired).toEqual(['turn@0']);
  });

  it('fires in the order of due times whatever the order of setting', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 })), fc.integer({ min: 1, max: 60 }), (delays, stepMs) => {
        const clock = new ManualClock();
        const fired: number[] = [];
        delays.forEach((ms) => void clock.setTimer(ms, () => fired.push(Math.max(1, ms))));
        for (let passedMs = 0; passedMs < 60; passedMs += stepMs) clock.advance(stepMs);
        expect(fired).toEqual(delays.map((ms) => Math.max(1, ms)).sort((a, b) => a - b));
      }),
    );
  });

  it('refuses times that are none, and callbacks that advance it', () => {
    const clock = new ManualClock();
    expect(() => clock.advance(-1)).toThrow(/advanced by -1/);
    for (const ms of [-1, Number.NaN, timerMsMax + 1]) expect(() => clock.setTimer(ms, () => {})).toThrow(/timer of/);
    clock.setTimer(1, () => clock.advance(1));
    expect(() => clock.advance(1)).toThrow(/callback of its own/);
  });

  it('stops a loop of callbacks that never lets time pass', () => {
    const clock = new ManualClock();
    const again = (): void => void clock.nextTurn(again);
    clock.nextTurn(again);
    expect(() => clock.advance(1)).toThrow(/turns in one advance/);
  });
});
