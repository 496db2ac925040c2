import { describe, expect, it } from 'vitest';
import type { SessionOperation } from '../../../src/state-machine/types.ts';
import { key, nameOf, registerAction, specOf, Story, expectBreach, expectClean } from './story-kit.ts';

function open(story: Story, client = 'x'): number {
  const operation = story.invoke({ kind: 'open-session', ttlMs: 5_000 }, client);
  const [result] = story.apply({ kind: 'open-session', ttlMs: 5_000 }).results;
  const leaseId = result?.kind === 'session-opened' ? result.sessionId : 0;
  story.ok(operation, { leaseId });
  return leaseId;
}

function start(value: number): SessionOperation {
  return { kind: 'register', name: nameOf(key), spec: specOf(key, value), restore: false, ownIncarnation: 0 };
}

function restore(value: number, ownIncarnation: number): SessionOperation {
  return { kind: 'register', name: nameOf(key), spec: specOf(key, value), restore: true, ownIncarnation };
}

function write(story: Story, sessionId: number, sequence: number, ...operations: readonly SessionOperation[]): void {
  story.apply({ kind: 'write-session', sessionId, attachment: 1, sequence, operations });
}

/** What a state machine would refuse, put into the log as if it had been a start. */
function forged(
  story: Story,
  sessionId: number,
  sequence: number,
  told: SessionOperation,
  really: SessionOperation,
): void {
  const bodies = (operation: SessionOperation) =>
    ({ kind: 'write-session', sessionId, attachment: 1, sequence, operations: [operation] }) as const;
  const applied = story.entry(bodies(really));
  const { data } = new Story().entry(bodies(told));
  story.applyOn({ ...applied, data }, 'a');
}

function sends(story: Story, value: number, client = 'x', leaseId = 1): void {
  story.invoke(registerAction(value, { lifetime: 'session', leaseId }), client);
}

describe('the checker of sessions', () => {
  it('passes starts, takeovers, and what a process has back in a new session', () => {
    const story = new Story();
    const first = open(story);
    sends(story, 1);
    write(story, first, 1, start(1));
    story.wait(10_000);
    story.apply({ kind: 'expire-lease', leaseId: first, epoch: 1, term: 1 });
    const second = open(story);
    write(story, second, 1, restore(1, 1));
    const third = open(story);
    write(story, third, 1, restore(1, story.revision));
    const other = open(story, 'y');
    sends(story, 2, 'y', other);
    write(story, other, 1, start(2));
    sends(story, 3);
    write(story, third, 2, start(3));
    expectClean(story);
    expect(story.seen()?.value).toBe(3);
  });

  it('sees a session that takes back what it lost', () => {
    const story = new Story();
    const mine = open(story);
    sends(story, 1);
    write(story, mine, 1, start(1));
    story.register(2, {}, [], 'y');
    story.deregister();
    forged(story, mine, 2, restore(1, 0), start(1));
    expectBreach(story, 'sessions', 'session 1 takes default/api/one back by itself, it lost it at 2');
  });

  it('sees a session that has back what somebody deregistered', () => {
    const story = new Story();
    const mine = open(story);
    sends(story, 1);
    write(story, mine, 1, start(1));
    story.deregister();
    forged(story, mine, 2, restore(1, 0), start(1));
    expectBreach(story, 'sessions', 'takes default/api/one back by itself, it lost it at 2');
  });

  it("sees a restore over what is another process's, or not the incarnation meant", () => {
    const another = new Story();
    const mine = open(another);
    another.register(2, {}, [], 'y');
    sends(another, 1);
    forged(another, mine, 1, restore(1, 1), start(1));
    expectBreach(another, 'sessions', 'session 1 of x takes default/api/one back by itself', 'of y');
    const older = new Story();
    const session = open(older);
    older.register(2);
    sends(older, 1);
    forged(older, session, 1, restore(1, 9), start(1));
    expectBreach(older, 'sessions', 'as incarnation 9 over value 2 incarnation 1');
  });

  it('sees an update or removal through a session of what is not its own', () => {
    const update = (incarnation: number): SessionOperation => {
      return { kind: 'update', name: nameOf(key), spec: specOf(key, 3), incarnation };
    };
    const story = new Story();
    const [mine, theirs] = [open(story), open(story, 'y')];
    sends(story, 1);
    write(story, mine, 1, start(1));
    story.invoke({ kind: 'update', key, value: 3, incarnation: 0 }, 'y');
    const applied = story.entry({
      kind: 'write-session',
      sessionId: mine,
      attachment: 1,
      sequence: 2,
      operations: [update(0)],
    });
    const forgery = {
      kind: 'write-session',
      sessionId: theirs,
      attachment: 1,
      sequence: 1,
      operations: [update(0)],
    } as const;
    story.applyOn({ ...applied, data: new Story().entry(forgery).data }, 'a');
    expectBreach(story, 'sessions', 'session 2 has update of default/api/one work on value 1');
    const late = new Story();
    const session = open(late);
    sends(late, 1);
    write(late, session, 1, start(1));
    sends(late, 2);
    write(late, session, 2, start(2));
    late.invoke({ kind: 'update', key, value: 3, incarnation: 1 });
    forged(late, session, 3, update(1), update(2));
    expectBreach(late, 'sessions', 'means incarnation 1 of default/api/one, changed is value 2 incarnation 2');
  });

  it('sees a start that leaves an instance on another lease, and a change that its write does not name', () => {
    const story = new Story();
    const [mine, theirs] = [open(story), open(story, 'y')];
    sends(story, 1);
    const body = { kind: 'write-session', attachment: 1, sequence: 1, operations: [start(1)] } as const;
    const applied = story.entry({ ...body, sessionId: mine });
    story.applyOn({ ...applied, data: new Story().entry({ ...body, sessionId: theirs }).data }, 'a');
    expectBreach(story, 'sessions', 'session 2 registers default/api/one as value 1');
    const unnamed = new Story();
    const session = open(unnamed);
    sends(unnamed, 1);
    const elsewhere: SessionOperation = { ...start(1), name: nameOf('default/api/two') } as SessionOperation;
    forged(unnamed, session, 1, elsewhere, start(1));
    expectBreach(unnamed, 'sessions', 'its write does not name it');
  });
});
