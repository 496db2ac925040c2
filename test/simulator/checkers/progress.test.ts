import { describe, it } from 'vitest';
import { registerAction, registerBody, Story, expectBreach, expectClean } from './story-kit.ts';

describe('the checker of progress', () => {
  it('passes a run in which everything is answered and all members stand at one state', () => {
    const story = new Story();
    const slow = story.invoke({ kind: 'grant', ttlMs: 1_000 });
    story.wait(100_000);
    story.tell({ kind: 'phase', phase: 'liveness' });
    story.wait(30_000);
    story.return(slow, { kind: 'unknown', reason: 'DEADLINE' });
    story.register(1);
    story.tell({ kind: 'down', member: 'c', life: 1, how: 'stop', reason: '' });
    const operation = story.invoke(registerAction(2));
    story.applyOn(story.entry(registerBody(registerAction(2))), 'a', 'b');
    story.ok(operation, { incarnation: 2, replaced: true });
    story.end();
    expectClean(story);
  });

  it('sees what is answered late, or not at all, in the phase of liveness', () => {
    const late = new Story();
    late.tell({ kind: 'phase', phase: 'liveness' });
    const operation = late.invoke({ kind: 'grant', ttlMs: 1_000 });
    late.wait(30_001);
    late.return(operation, { kind: 'unknown', reason: 'DEADLINE' });
    expectBreach(late, 'progress', 'grant of 1000 ms: no answer in 30001 ms, all is well since 1000');
    const never = new Story();
    never.invoke({ kind: 'grant', ttlMs: 1_000 });
    never.tell({ kind: 'phase', phase: 'liveness' });
    never.wait(30_001);
    never.tell({ kind: 'note', text: '' });
    expectBreach(never, 'progress', 'no answer in 30001 ms');
  });

  it('sees what is open at the end, but not of a client that has left', () => {
    const open = new Story();
    open.invoke({ kind: 'grant', ttlMs: 1_000 });
    open.end();
    expectBreach(open, 'progress', 'operation 1', 'is open at the end');
    const left = new Story();
    left.invoke({ kind: 'grant', ttlMs: 1_000 });
    left.tell({ kind: 'client-gone', client: 'x' });
    left.end();
    expectClean(left);
  });

  it('sees a member that stays behind or has another state, and that none is there', () => {
    const behind = new Story();
    behind.applyOn(behind.entry(), 'a', 'b');
    behind.end();
    expectBreach(behind, 'progress', 'c ends at index 0', 'the log at 1');
    const none = new Story();
    for (const member of ['a', 'b', 'c']) none.tell({ kind: 'down', member, life: 1, how: 'ended', reason: 'x' });
    none.end();
    expectBreach(none, 'progress', 'no member is running');
  });
});
