import { describe, it } from 'vitest';
import type { Action, Outcome } from '../types.ts';
import { key, registerAction, registerBody, Story, expectClean } from './story-kit.ts';

const discover: Action = {
  kind: 'discover',
  service: 'api',
  consistency: 'linearizable',
  minRevision: 0,
  filtered: false,
};

/** A story whose checkers of the log are shut out: what is told here is told by clients alone. */
function only(story: Story): string {
  const found = story.breaches.find(({ checker }) => checker === 'linearizability');
  return found?.text ?? '';
}

function answered(story: Story, action: Action, outcome: Outcome, client = 'x'): void {
  story.return(story.invoke(action, client), outcome);
}

describe('the checker of linearizability', () => {
  it('passes a run of all kinds of calls', ({ expect }) => {
    const story = new Story();
    story.register(1);
    const open = story.invoke(registerAction(2), 'y');
    story.register(3, { lifetime: 'new', ttlMs: 5_000 });
    const seen = story.seen();
    answered(story, discover, { kind: 'ok', revision: 2, member: 'a', instances: seen === undefined ? [] : [seen] });
    story.apply(registerBody(registerAction(2)));
    story.return(open, { kind: 'unknown', reason: 'OUTCOME_UNKNOWN' });
    answered(story, registerAction(4, { ifAbsent: true }), { kind: 'refused', reason: 'ALREADY_REGISTERED' });
    answered(story, { kind: 'update', key, value: 5, incarnation: 1 }, { kind: 'refused', reason: 'SUPERSEDED' });
    answered(story, registerAction(6), { kind: 'failed', reason: 'NO_LEADER' });
    answered(story, registerAction(7, { lifetime: 'lease', leaseId: 9 }), { kind: 'refused', reason: 'UNKNOWN_LEASE' });
    story.deregister();
    story.deregister();
    answered(story, discover, { kind: 'ok', revision: story.revision, member: 'a', instances: [] });
    story.end();
    expect(only(story)).toBe('');
    expectClean(story);
  });

  it('sees a read of what was overwritten before, and a removal of what is there', ({ expect }) => {
    const read = new Story();
    read.register(1);
    const before = read.seen();
    read.register(2);
    answered(read, discover, { kind: 'ok', revision: 2, member: 'a', instances: before === undefined ? [] : [before] });
    read.end();
    expect(only(read)).toContain(key);
    const removal = new Story();
    removal.register(1);
    answered(
      removal,
      { kind: 'deregister', key, incarnation: 0 },
      { kind: 'ok', revision: 1, member: 'a', existed: false },
    );
    removal.end();
    expect(only(removal)).toContain(key);
    const missing = new Story();
    missing.register(1);
    answered(missing, discover, { kind: 'ok', revision: 1, member: 'a', instances: [] });
    missing.end();
    expect(only(missing)).toContain(key);
  });

  it('sees a batch of which half is gone, and a refusal that cannot be', ({ expect }) => {
    const batch = new Story();
    const keys = [key, 'default/api/two'];
    answered(batch, { kind: 'batch', keys, values: [1, 2] }, { kind: 'ok', revision: 1, member: 'a' });
    answered(
      batch,
      { kind: 'deregister', key, incarnation: 0 },
      { kind: 'ok', revision: 1, member: 'a', existed: false },
    );
    batch.end();
    expect(only(batch)).toContain(key);
    const refusal = new Story();
    answered(refusal, registerAction(1, { ifAbsent: true }), { kind: 'refused', reason: 'ALREADY_REGISTERED' });
    refusal.end();
    expect(only(refusal)).toContain(key);
    const update = new Story();
    const changed = { kind: 'ok', revision: 1, member: 'a', changed: true } as const;
    answered(update, { kind: 'update', key, value: 1, incarnation: 1 }, changed);
    update.end();
    expect(only(update)).toContain(key);
  });

  it('leaves out keys of sessions, stale and filtered reads, and pages that are no cut', ({ expect }) => {
    const story = new Story();
    story.register(1);
    const nothing = { kind: 'ok', revision: 1, member: 'a', instances: [] } as const;
    answered(story, { ...discover, consistency: 'stale' }, nothing);
    answered(story, { ...discover, filtered: true }, nothing);
    answered(story, discover, { ...nothing, inexact: true });
    story.end();
    expect(only(story)).toBe('');
    const session = new Story();
    session.register(1);
    session.invoke(registerAction(2, { lifetime: 'session', leaseId: 1 }));
    answered(session, discover, nothing);
    session.end();
    expect(only(session)).toBe('');
  });
});
