import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { Progress } from '../../src/raft/progress.ts';

const limits = { inflightMessagesMax: 2, inflightBytesMax: 1000 };

/** In `replicate`, the follower holding 5 of the leader's 10 entries. */
function replicating(): Progress {
  const progress = new Progress(limits, 11, 0);
  progress.refused(10, 5);
  progress.sent(1, 1, 0);
  progress.acknowledged(5, 0);
  return progress;
}

describe('Progress', () => {
  it('probes with one append at a time', () => {
    const progress = new Progress(limits, 11, 0);
    expect([progress.state, progress.open, progress.emptyAppendDue(0)]).toEqual(['probe', true, true]);
    progress.sent(3, 30, 0);
    expect([progress.paused, progress.next, progress.inflights.count]).toEqual([true, 11, 0]);
    expect(() => progress.sent(1, 1, 0)).toThrow(InvariantError);
    progress.answered(20);
    expect([progress.paused, progress.emptyAppendDue(0)]).toEqual([false, true]);
  });

  it('goes down to the hint on a refusal, and believes only the newest', () => {
    const progress = new Progress(limits, 11, 0);
    progress.sent(0, 0, 0);
    expect(progress.refused(9, 3)).toBe(false);
    expect([progress.next, progress.paused]).toEqual([11, true]);
    expect(progress.refused(10, 3)).toBe(true);
    expect([progress.next, progress.paused]).toEqual([4, false]);
    // A hint that is no lower still goes down by one.
    expect(progress.refused(3, 3)).toBe(true);
    expect(progress.next).toBe(3);
    expect(progress.refused(2, 0)).toBe(true);
    expect(progress.next).toBe(1);
  });

  it('never goes down to what is acknowledged', () => {
    const progress = replicating();
    progress.becomeProbe();
    expect(progress.next).toBe(6);
    expect(progress.refused(5, 0)).toBe(true);
    expect([progress.match, progress.next]).toEqual([5, 6]);
  });

  it('pipelines after the first acknowledgement, up to the window', () => {
    const progress = replicating();
    expect([progress.state, progress.match, progress.next]).toEqual(['replicate', 5, 6]);
    progress.sent(2, 20, 0);
    expect([progress.next, progress.open]).toEqual([8, true]);
    progress.sent(1, 10, 0);
    expect([progress.next, progress.open, progress.paused]).toEqual([9, false, false]);
    expect(progress.acknowledged(7, 0)).toBe(true);
    expect([progress.open, progress.inflights.count, progress.inflights.bytes]).toEqual([true, 1, 10]);
    expect(progress.acknowledged(6, 0)).toBe(false);
    expect(progress.match).toBe(7);
  });

  it('goes back to what is acknowledged when something in the pipeline was refused', () => {
    const progress = replicating();
    progress.sent(2, 20, 0);
    expect(progress.refused(4, 0)).toBe(false);
    expect(progress.refused(7, 2)).toBe(true);
    expect([progress.state, progress.next, progress.inflights.count]).toEqual(['probe', 6, 0]);
  });

  it('takes over what an acknowledgement says beyond what was sent', () => {
    const progress = replicating();
    progress.acknowledged(9, 0);
    expect([progress.match, progress.next]).toEqual([9, 10]);
  });

  it('tells a new commit index once, and only if the follower was sent an entry that it covers', () => {
    const progress = replicating();
    progress.sent(3, 30, 5);
    expect(progress.emptyAppendDue(5)).toBe(false);
    expect(progress.emptyAppendDue(8)).toBe(true);
    progress.sent(0, 0, 8);
    expect(progress.emptyAppendDue(8)).toBe(false);
    // Everything sent is told to be committed, the rest will carry its own.
    expect(progress.emptyAppendDue(9)).toBe(false);
  });

  it('goes from replicate to probe when unreachable, and does not hurry a probe', () => {
    const progress = replicating();
    progress.sent(1, 1, 0);
    progress.unreachable();
    expect([progress.state, progress.next, progress.emptyAppendDue(0)]).toEqual(['probe', 6, true]);
    progress.sent(1, 1, 0);
    progress.unreachable();
    expect(progress.paused).toBe(true);
  });

  it('waits while a snapshot is under way, then probes above it after a sign of life', () => {
    const progress = replicating();
    progress.becomeSnapshot();
    expect([progress.paused, progress.emptyAppendDue(9)]).toEqual([true, false]);
    progress.answered(10);
    progress.unreachable();
    expect(progress.refused(5, 0)).toBe(false);
    expect(progress.state).toBe('snapshot');
    progress.snapshotInstalled(8);
    expect([progress.state, progress.next, progress.paused]).toEqual(['probe', 9, true]);
    progress.answered(10);
    expect([progress.paused, progress.emptyAppendDue(0)]).toEqual([false, true]);
  });

  it('tries again from what is acknowledged when the snapshot failed', () => {
    const progress = replicating();
    progress.becomeSnapshot();
    progress.snapshotFailed();
    expect([progress.state, progress.next, progress.paused]).toEqual(['probe', 6, true]);
    expect(() => progress.snapshotFailed()).toThrow(InvariantError);
    expect(() => progress.snapshotInstalled(7)).toThrow(InvariantError);
  });

  it('ends the wait for a snapshot when the follower acknowledges what the kept log continues', () => {
    const progress = replicating();
    progress.becomeSnapshot();
    progress.acknowledged(6, 8);
    expect(progress.state).toBe('snapshot');
    progress.acknowledged(8, 8);
    expect([progress.state, progress.next]).toEqual(['replicate', 9]);
  });

  it('forgets everything of an earlier boot', () => {
    const progress = replicating();
    progress.roundAnswered(4);
    progress.sent(1, 1, 3);
    progress.restart(11);
    expect([progress.state, progress.match, progress.next, progress.roundAcked]).toEqual(['probe', 0, 11, 0]);
    expect([progress.inflights.count, progress.emptyAppendDue(0)]).toEqual([0, true]);
  });

  it('keeps the greatest round that was answered', () => {
    const progress = replicating();
    progress.roundAnswered(4);
    progress.roundAnswered(2);
    expect(progress.roundAcked).toBe(4);
  });
});
