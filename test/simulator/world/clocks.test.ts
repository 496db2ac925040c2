import { describe, expect, it } from 'vitest';
import { MachineClock, ProcessClock } from './process-clock.ts';
import { WorldClock } from './world-clock.ts';

function runUntil(world: WorldClock, endMs: number): void {
  while (world.step(endMs)) {
    // Each step is one callback.
  }
}

describe('the clock of a simulated world', () => {
  it('goes from instant to instant: timers by time, then by the order of asking, then the turn', () => {
    const world = new WorldClock();
    const seen: string[] = [];
    const note = (text: string) => () => void seen.push(`${world.monotonicMs()} ${text}`);
    world.setTimer(20, note('late'));
    world.setTimer(10, () => {
      note('first')();
      world.nextTurn(note('turn'));
    });
    world.setTimer(10, note('second'));
    world.setTimer(15, note('cancelled')).cancel();
    runUntil(world, 100);
    expect(seen).toEqual(['10 first', '10 second', '10 turn', '20 late']);
    expect(world.monotonicMs()).toBe(100);
  });

  it('keeps the order of many timers', () => {
    const world = new WorldClock();
    const seen: number[] = [];
    const times = Array.from({ length: 500 }, (_, i) => (i * 7_919) % 503);
    for (const ms of times) world.at(ms, () => void seen.push(ms));
    runUntil(world, 1_000);
    expect(seen).toEqual(times.toSorted((one, other) => one - other));
  });

  it('lets a turn that asks for a turn wait for what is due at that instant', () => {
    const world = new WorldClock();
    const seen: string[] = [];
    world.nextTurn(() => {
      seen.push('turn');
      world.nextTurn(() => void seen.push('next turn'));
      world.at(0, () => void seen.push('timer'));
    });
    runUntil(world, 0);
    expect(seen).toEqual(['turn', 'timer', 'next turn']);
  });
});

describe('the clock of a process', () => {
  it('runs as fast as its machine, and its wall clock jumps alone', () => {
    const world = new WorldClock();
    const machine = new MachineClock(world);
    const clock = new ProcessClock(machine);
    machine.setRate(2);
    const seen: number[] = [];
    clock.setTimer(100, () => void seen.push(world.monotonicMs()));
    const wallMs = clock.wallMs();
    machine.jumpWall(3_600_000);
    runUntil(world, 200);
    expect(seen).toEqual([50]);
    expect(clock.monotonicMs()).toBe(400);
    expect(clock.wallMs() - wallMs).toBe(3_600_200);
    machine.setRate(0.5);
    runUntil(world, 300);
    expect(clock.monotonicMs()).toBe(450);
  });

  it('holds what is due while it is frozen, and runs it first when it goes on', () => {
    const world = new WorldClock();
    const clock = new ProcessClock(new MachineClock(world));
    const seen: string[] = [];
    clock.setTimer(10, () => {
      seen.push('timer');
      clock.nextTurn(() => void seen.push('turn of the timer'));
    });
    clock.freeze();
    runUntil(world, 50);
    expect(seen).toEqual([]);
    // What lies in a socket is asked for before: it is read in the turn that follows.
    world.nextTurn(() => void seen.push('socket'));
    clock.thaw();
    runUntil(world, 50);
    expect(seen).toEqual(['timer', 'socket', 'turn of the timer']);
  });

  it('runs nothing that was cancelled while it was held', () => {
    const world = new WorldClock();
    const clock = new ProcessClock(new MachineClock(world));
    const seen: string[] = [];
    clock.setTimer(10, () => {
      seen.push('first');
      second.cancel();
    });
    const second = clock.setTimer(20, () => void seen.push('second'));
    const turn = clock.nextTurn(() => void seen.push('turn'));
    clock.freeze();
    runUntil(world, 50);
    turn.cancel();
    clock.thaw();
    runUntil(world, 60);
    expect(seen).toEqual(['first']);
  });

  it('runs nothing any more after its end', () => {
    const world = new WorldClock();
    const clock = new ProcessClock(new MachineClock(world));
    let ran = 0;
    clock.setTimer(10, () => void ran++);
    clock.freeze();
    clock.setTimer(20, () => void ran++);
    runUntil(world, 15);
    clock.end();
    clock.setTimer(5, () => void ran++);
    clock.thaw();
    runUntil(world, 100);
    expect(ran).toBe(0);
  });
});
