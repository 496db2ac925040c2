import { describe, expect, it } from 'vitest';
import type { CommandBody } from '../../../src/state-machine/types.ts';
import type { Action, Outcome } from '../types.ts';
import {
  key,
  nameOf,
  registerAction,
  registerBody,
  specOf,
  Story,
  updateBody,
  expectBreach,
  expectClean,
} from './story-kit.ts';

const other = 'default/api/two';
type Ok = Extract<Outcome, { kind: 'ok' }>;

/** Asks, applies what the command does, and answers with these fields. */
function call(story: Story, action: Action, body: CommandBody | undefined, fields: Partial<Ok>): void {
  const operation = story.invoke(action);
  if (body !== undefined) story.apply(body);
  story.ok(operation, fields);
}

function batch(...names: readonly string[]): CommandBody {
  const conditions = { ifAbsent: false, ifIncarnation: 0, keepEqual: false };
  const items = names.map((name, i) => ({ name: nameOf(name), spec: specOf(name, i + 1), ...conditions }));
  return { kind: 'batch-register', lifetime: { kind: 'persistent' }, items };
}

describe('the checker of acknowledged writes', () => {
  it('passes what was done as it was answered', () => {
    const story = new Story();
    story.register(1);
    story.register(2);
    call(story, { kind: 'update', key, value: 3, incarnation: 2 }, updateBody(3, 2), { incarnation: 2, changed: true });
    call(story, { kind: 'update', key, value: 3, incarnation: 2 }, updateBody(3, 2), { changed: false });
    story.deregister();
    story.deregister();
    call(story, { kind: 'batch', keys: [key, other], values: [1, 2] }, batch(key, other), {});
    call(story, { kind: 'grant', ttlMs: 5_000 }, { kind: 'grant-lease', ttlMs: 5_000 }, { leaseId: 1 });
    call(story, { kind: 'open-session', ttlMs: 5_000 }, { kind: 'open-session', ttlMs: 5_000 }, { leaseId: 2 });
    call(story, { kind: 'revoke', leaseId: 1 }, { kind: 'revoke-lease', leaseId: 1 }, { existed: true });
    const close: CommandBody = { kind: 'close-session', sessionId: 2, attachment: 1 };
    call(story, { kind: 'close-session', sessionId: 2 }, close, { existed: true });
    expect(story.breaches.filter(({ checker }) => checker === 'acknowledged')).toEqual([]);
  });

  it('waits for a log that comes later, and sees at the end what never came', () => {
    const story = new Story();
    const operation = story.invoke(registerAction(1));
    const applied = story.entry(registerBody(registerAction(1)));
    story.ok(operation, { incarnation: 1, replaced: false });
    expectClean(story);
    story.applyOn(applied, 'a', 'b', 'c');
    story.end();
    expectClean(story);
    const lost = new Story();
    lost.return(lost.invoke(registerAction(1)), { kind: 'ok', revision: 1, member: 'a', incarnation: 1 });
    expectClean(lost);
    lost.end();
    expectBreach(lost, 'acknowledged', 'acknowledged at revision 1, the log ends at index 0 revision 0');
  });

  it('sees what waited turn out otherwise', () => {
    const story = new Story();
    story.invoke(registerAction(2));
    const operation = story.invoke(registerAction(1));
    story.return(operation, { kind: 'ok', revision: 1, member: 'a', incarnation: 1 });
    story.apply(registerBody(registerAction(2)));
    expectBreach(story, 'acknowledged', 'acknowledged at revision 1, which has value 2');
  });

  const registers: readonly (readonly [string, Partial<Ok>, string])[] = [
    ['another incarnation', { incarnation: 4 }, 'incarnation 4 at revision 2'],
    ['that something was replaced', { replaced: true }, 'replaced true, before it was nothing'],
    ['another lease', { leaseId: 9 }, 'answered with lease 9'],
    ['an earlier revision', { revision: 1 }, 'when it was asked 1 was known already'],
  ];
  it.each(registers)('sees a registration answered with %s', (_what, fields, text) => {
    const story = new Story();
    story.register(1, { key: other });
    const action = registerAction(2);
    call(story, action, registerBody(action), { incarnation: 2, replaced: false, leaseId: 0, ...fields });
    expectBreach(story, 'acknowledged', 'register default/api/one value 2', text);
  });

  it('sees a registration without its effect, or with another', () => {
    const story = new Story();
    story.invoke(registerAction(2));
    call(story, registerAction(1), registerBody(registerAction(2)), { incarnation: 1 });
    expectBreach(story, 'acknowledged', 'acknowledged at revision 1, which has value 2');
    const leased = new Story();
    const body = registerBody(registerAction(1, { lifetime: 'new', ttlMs: 5_000 }));
    call(leased, registerAction(1), body, { incarnation: 1 });
    expectBreach(leased, 'acknowledged', 'is persistent, the log has value 1 incarnation 1 at 1 lease 1');
  });

  it('sees an update that is not there, of another incarnation, or that changed nothing', () => {
    const lost = new Story();
    lost.register(1);
    call(lost, { kind: 'update', key, value: 2, incarnation: 1 }, undefined, { changed: false });
    expectBreach(lost, 'acknowledged', 'to value 2: acknowledged at revision 1, which has value 1');
    const late = new Story();
    late.register(1);
    late.register(2);
    call(late, { kind: 'update', key, value: 3, incarnation: 1 }, updateBody(3, 2), { changed: true });
    expectBreach(late, 'values', 'meant was incarnation 1');
    expect(late.breaches[1]?.text).toContain('acknowledged for incarnation 1, the log has value 3 incarnation 2');
    const same = new Story();
    same.register(1);
    const again = same.invoke({ kind: 'update', key, value: 1, incarnation: 1 });
    same.register(5, { key: other });
    same.return(again, { kind: 'ok', revision: 2, member: 'a', changed: true });
    expectBreach(same, 'acknowledged', 'acknowledged as changed at revision 2');
  });

  it('sees a removal that left what it removed, took another, or removed nothing', () => {
    const left = new Story();
    left.register(1);
    call(left, { kind: 'deregister', key, incarnation: 0 }, undefined, { existed: false });
    expectBreach(left, 'acknowledged', 'acknowledged at revision 1, where the log has value 1');
    const nothing = new Story();
    nothing.register(1, { key: other });
    const removal = nothing.invoke({ kind: 'deregister', key, incarnation: 0 });
    nothing.register(2, { key: other });
    nothing.return(removal, { kind: 'ok', revision: 2, member: 'a', existed: true });
    expectBreach(nothing, 'acknowledged', 'existed at revision 2, which removes nothing');
    const another = new Story();
    another.register(1);
    another.register(2);
    another.invoke({ kind: 'deregister', key, incarnation: 0 });
    const body: CommandBody = { kind: 'deregister', name: nameOf(key), incarnation: 0 };
    call(another, { kind: 'deregister', key, incarnation: 1 }, body, { existed: true });
    expectBreach(another, 'acknowledged', 'removed at revision 3 what was value 2 incarnation 2');
  });

  it('sees half a batch, a lease given twice, one of another kind, and one that has not ended', () => {
    const half = new Story();
    call(half, { kind: 'batch', keys: [key, other], values: [1, 2] }, batch(key), {});
    expectBreach(half, 'acknowledged', 'where default/api/two is nothing');
    const twice = new Story();
    call(twice, { kind: 'grant', ttlMs: 5_000 }, { kind: 'grant-lease', ttlMs: 5_000 }, { leaseId: 1 });
    call(twice, { kind: 'grant', ttlMs: 5_000 }, undefined, { leaseId: 1 });
    expectBreach(twice, 'acknowledged', 'answered with lease 1, which was given to operation 1');
    const kind = new Story();
    call(kind, { kind: 'grant', ttlMs: 5_000 }, { kind: 'open-session', ttlMs: 5_000 }, { leaseId: 1 });
    expectBreach(kind, 'acknowledged', 'answered with lease 1, which is a session');
    const never = new Story();
    call(never, { kind: 'grant', ttlMs: 5_000 }, undefined, { leaseId: 1 });
    never.end();
    expectBreach(never, 'acknowledged', 'grant of 5000 ms: acknowledged at revision 0');
    const alive = new Story();
    call(alive, { kind: 'grant', ttlMs: 5_000 }, { kind: 'grant-lease', ttlMs: 5_000 }, { leaseId: 1 });
    call(alive, { kind: 'revoke', leaseId: 1 }, undefined, { existed: true });
    alive.end();
    expectBreach(alive, 'acknowledged', 'revoke lease 1: acknowledged');
  });

  it('sees a session answered with an incarnation that is not the one it holds', () => {
    const story = new Story();
    call(story, { kind: 'open-session', ttlMs: 5_000 }, { kind: 'open-session', ttlMs: 5_000 }, { leaseId: 1 });
    const action = registerAction(1, { lifetime: 'session', leaseId: 1 });
    const start = {
      kind: 'register',
      name: nameOf(key),
      spec: specOf(key, 1),
      restore: false,
      ownIncarnation: 0,
    } as const;
    const write: CommandBody = { kind: 'write-session', sessionId: 1, attachment: 1, sequence: 1, operations: [start] };
    call(story, action, write, { incarnation: 1 });
    expectClean(story);
    const again = story.invoke(registerAction(2, { lifetime: 'session', leaseId: 1 }));
    story.register(3, { key: other });
    story.return(again, { kind: 'ok', revision: 2, member: 'a', incarnation: 1 });
    expectBreach(story, 'acknowledged', 'acknowledged as incarnation 1, which is value 1');
    const future = new Story();
    call(future, action, undefined, { incarnation: 3 });
    expectBreach(future, 'acknowledged', 'answered with incarnation 3 at revision 0');
  });
});
