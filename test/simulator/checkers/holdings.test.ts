import { describe, it } from 'vitest';
import type { HeldBySession } from '../types.ts';
import { key, nameOf, registerAction, specOf, Story, expectBreach, expectClean } from './story-kit.ts';

const ttlMs = 5_000;

/** Session 1 of client x, with one instance as incarnation 1. */
function held(): Story {
  const story = new Story();
  const operation = story.invoke({ kind: 'open-session', ttlMs });
  story.apply({ kind: 'open-session', ttlMs });
  story.ok(operation, { leaseId: 1 });
  const start = story.invoke(registerAction(1, { lifetime: 'session', leaseId: 1 }));
  const register = { kind: 'register', name: nameOf(key), spec: specOf(key, 1), restore: false, ownIncarnation: 0 };
  const operations = [{ ...register, kind: 'register' } as const];
  story.apply({ kind: 'write-session', sessionId: 1, attachment: 1, sequence: 1, operations });
  story.ok(start, { incarnation: 1 });
  return story;
}

function tell(story: Story, fields: Partial<HeldBySession>): void {
  const usual = { sessionId: 1, state: 'live', instances: [{ key, incarnation: 1 }] } as const;
  story.tell({ kind: 'holds', client: 'x', held: { ...usual, ...fields } });
}

describe('the checker of holdings', () => {
  it('passes a session that knows what it has, and what it has lost', () => {
    const story = held();
    tell(story, {});
    story.register(2, {}, [], 'y');
    tell(story, { instances: [] });
    expectClean(story);
  });

  it('sees a session that was not told of what it lost', () => {
    const story = held();
    story.register(2, {}, [], 'y');
    tell(story, {});
    expectBreach(story, 'holdings', 'session 1 of x believes to hold', 'as incarnation 1: value 2 incarnation 2');
  });

  it('sees what is gone, and what has another incarnation', () => {
    const gone = held();
    gone.deregister();
    tell(gone, {});
    expectBreach(gone, 'holdings', 'believes to hold', 'nothing');
    const other = held();
    tell(other, { instances: [{ key, incarnation: 2 }] });
    expectBreach(other, 'holdings', 'as incarnation 2: value 1 incarnation 1');
  });

  it('sees an instance that its session does not know of', () => {
    const story = held();
    tell(story, { instances: [] });
    expectBreach(story, 'holdings', `does not know that it holds ${key}`);
  });

  it('sees a session that is not live although all is quiet', () => {
    for (const state of ['connecting', 'uncertain', 'ended'] as const) {
      const story = held();
      tell(story, { state });
      expectBreach(story, 'holdings', `session 1 of x is ${state}`);
    }
  });
});
