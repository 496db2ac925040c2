import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { TickGate } from '../../src/replica/tick-gate.ts';

let clock: ManualClock;
let gate: TickGate;
let ticks: { readonly atMs: number; readonly stalled: boolean }[];
let stalls: number[];

beforeEach(() => {
  clock = new ManualClock();
  ticks = [];
  stalls = [];
  gate = new TickGate({
    clock,
    tickMs: 50,
    stallMs: 250,
    onTick: (stalled) => ticks.push({ atMs: clock.monotonicMs(), stalled }),
    onStall: () => stalls.push(clock.monotonicMs()),
  });
  gate.start();
});

function tickedThere(): void {
  gate.heard();
  gate.ticked(false);
}

describe('TickGate', () => {
  it('passes ticks of the other side on, each after the sockets of this turn', () => {
    for (let i = 0; i < 3; i++) {
      clock.advance(50);
      tickedThere();
      const before = ticks.length;
      clock.nextTurn(() => expect(ticks.length).toBe(before + 1));
      expect(ticks.length).toBe(before);
      clock.advance(0);
    }
    expect(ticks.map(({ atMs }) => atMs)).toEqual([50, 100, 150]);
  });

  it('makes none shorter than its length, also where they come close together', () => {
    clock.advance(70);
    tickedThere();
    clock.advance(20);
    tickedThere();
    clock.advance(200);
    expect(ticks.map(({ atMs }) => atMs)).toEqual([70, 120]);
  });

  it('makes none of its own: while the other side stands still, so does the time', () => {
    clock.advance(200);
    expect(ticks).toEqual([]);
    tickedThere();
    clock.advance(1_000);
    expect(ticks).toHaveLength(1);
  });

  it('makes one of all that came while this side stood still, and calls it a stall', () => {
    clock.advance(50);
    tickedThere();
    clock.advance(0);
    // Nothing runs here for 3 s; the other side goes on, and all of its ticks come at once.
    clock.advance(3_000);
    for (let i = 0; i < 60; i++) tickedThere();
    clock.advance(1_000);
    expect(ticks).toEqual([
      { atMs: 50, stalled: false },
      { atMs: 3_050, stalled: true },
    ]);
  });

  it('tells a stall before anything that came meanwhile is looked at, once', () => {
    clock.advance(249);
    gate.heard();
    expect(stalls).toEqual([]);
    clock.advance(2);
    gate.heard();
    gate.heard();
    expect(stalls).toEqual([251]);
    tickedThere();
    clock.advance(0);
    expect(ticks).toEqual([{ atMs: 251, stalled: true }]);
    clock.advance(251);
    gate.heard();
    expect(stalls).toEqual([251, 502]);
  });

  it('passes a stall of the other side on with its next tick', () => {
    clock.advance(50);
    gate.ticked(true);
    gate.ticked(false);
    clock.advance(0);
    clock.advance(50);
    gate.ticked(false);
    clock.advance(0);
    expect(ticks.map(({ stalled }) => stalled)).toEqual([true, false]);
  });

  it('is silent before its start and after its stop', () => {
    gate.stop();
    clock.advance(1_000);
    tickedThere();
    clock.advance(1_000);
    expect([ticks, stalls]).toEqual([[], []]);
  });
});
