import { describe, expect, it } from 'vitest';
import { SilenceWatch } from '../../src/replica/lateness.ts';

describe('SilenceWatch', () => {
  it('says nothing at the first heartbeat, then by how much each silence was too long', () => {
    const watch = new SilenceWatch(100);
    expect(watch.heard(1_000)).toBeUndefined();
    expect(watch.heard(1_100)).toBe(0);
    expect(watch.heard(1_230)).toBe(30);
    expect(watch.heard(1_330)).toBe(0);
  });

  it('makes one sample an interval, of its longest silence, however many heartbeats come', () => {
    const watch = new SilenceWatch(100);
    watch.heard(0);
    const samples = [10, 20, 30, 190, 195, 200, 300].map((ms) => watch.heard(ms));
    // The silence of 160 ms ended at 190, more than an interval after the first.
    expect(samples).toEqual([undefined, undefined, undefined, 60, undefined, undefined, 0]);
  });

  it('takes no one that comes a little early for a lost one', () => {
    const watch = new SilenceWatch(100);
    watch.heard(0);
    expect(watch.heard(105)).toBe(5);
    expect(watch.heard(200)).toBeUndefined();
    expect(watch.heard(305)).toBe(5);
  });

  it('begins anew after a reset', () => {
    const watch = new SilenceWatch(100);
    watch.heard(0);
    watch.reset();
    expect(watch.heard(5_000)).toBeUndefined();
    expect(watch.heard(5_100)).toBe(0);
  });
});
