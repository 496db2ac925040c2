import { describe, it } from 'vitest';
import type { Action } from '../types.ts';
import { expectBreach, expectClean, key, registerAction, Story } from './story-kit.ts';

const ttlMs = 5_500;

/** Asked now, and refused 100 ms later; `meanwhile` happens in between. */
function refuse(story: Story, action: Action, reason: string, meanwhile: () => void = () => undefined): void {
  const operation = story.invoke(action, 'y');
  story.wait(50);
  meanwhile();
  story.wait(50);
  story.return(operation, { kind: 'refused', reason });
}

const ifAbsent = registerAction(7, { ifAbsent: true });

function granted(): Story {
  const story = new Story();
  const operation = story.invoke({ kind: 'grant', ttlMs });
  story.apply({ kind: 'grant-lease', ttlMs });
  story.ok(operation, { leaseId: 1 });
  return story;
}

function expire(story: Story): void {
  story.wait(ttlMs);
  story.apply({ kind: 'expire-lease', leaseId: 1, epoch: 1, term: 1 });
}

describe('the checker of refusals', () => {
  it('passes what is refused for what was there at any time of the call', () => {
    const story = new Story();
    story.register(1);
    refuse(story, ifAbsent, 'ALREADY_REGISTERED');
    refuse(story, registerAction(8, { ifIncarnation: 99 }), 'SUPERSEDED');
    // Removed, and put again, before the answer.
    refuse(story, ifAbsent, 'ALREADY_REGISTERED', () => story.deregister());
    refuse(story, registerAction(9, { ifIncarnation: 1 }), 'UNKNOWN_INSTANCE');
    refuse(story, ifAbsent, 'ALREADY_REGISTERED', () => {
      story.register(2);
      story.deregister();
    });
    refuse(story, { kind: 'batch', keys: [key], values: [5], absent: [key] }, 'ALREADY_REGISTERED', () => {
      story.register(3);
    });
    expectClean(story);
  });

  it('sees a refusal for an instance that was gone before it was asked for', () => {
    const story = new Story();
    story.register(1);
    story.deregister();
    refuse(story, ifAbsent, 'ALREADY_REGISTERED');
    expectBreach(story, 'refusals', 'that was not so between revision 2 and now, where the log has nothing');
  });

  it('sees a refusal of the incarnation that is there, and one of a condition that was not asked for', () => {
    const story = new Story();
    story.register(1);
    refuse(story, registerAction(8, { ifIncarnation: 1 }), 'SUPERSEDED');
    expectBreach(story, 'refusals', 'incarnation 1');
    const free = new Story();
    free.register(1);
    refuse(free, registerAction(8), 'ALREADY_REGISTERED');
    expectBreach(free, 'refusals', 'that was not so');
    const there = new Story();
    there.register(1);
    refuse(there, registerAction(8, { ifIncarnation: 1 }), 'UNKNOWN_INSTANCE');
    expectBreach(there, 'refusals', 'that was not so');
  });

  it('sees a batch that is refused though nothing was there', () => {
    const story = new Story();
    refuse(story, { kind: 'batch', keys: [key], values: [5], absent: [key] }, 'ALREADY_REGISTERED');
    expectBreach(story, 'refusals', `none of ${key} was there meanwhile`);
  });

  it('passes a lease that is said to be gone behind its end', () => {
    const story = granted();
    const renewal = story.invoke({ kind: 'renew', leaseId: 1, ttlMs });
    expire(story);
    story.ok(renewal, { existed: false });
    refuse(story, registerAction(2, { lifetime: 'lease', leaseId: 1 }), 'UNKNOWN_LEASE');
    expectClean(story);
  });

  it.each([
    ['a renewal', { kind: 'renew', leaseId: 1, ttlMs }],
    ['a revocation', { kind: 'revoke', leaseId: 1 }],
  ] as const)('sees %s that says of a lease that it is gone before its end', (_what, action) => {
    const story = granted();
    story.ok(story.invoke(action), { existed: false });
    expectBreach(story, 'refusals', 'lease 1 is said to be gone, it has not ended');
  });

  it('sees a registration that is refused for a lease that lives', () => {
    const story = granted();
    refuse(story, registerAction(2, { lifetime: 'lease', leaseId: 1 }), 'UNKNOWN_LEASE');
    expectBreach(story, 'refusals', 'lease 1 is said to be gone, it has not ended');
  });
});
