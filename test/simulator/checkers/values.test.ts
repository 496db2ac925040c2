import { describe, it } from 'vitest';
import type { CommandBody } from '../../../src/state-machine/types.ts';
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

function removal(name = key, incarnation = 0): CommandBody {
  return { kind: 'deregister', name: nameOf(name), incarnation };
}

describe('the checker of values', () => {
  it('passes what was asked for, whether it was answered or not', () => {
    const story = new Story();
    const unknown = story.invoke(registerAction(1));
    story.return(unknown, { kind: 'unknown', reason: 'OUTCOME_UNKNOWN' });
    story.apply(registerBody(registerAction(1)));
    story.invoke({ kind: 'update', key, value: 2, incarnation: 1 });
    story.apply(updateBody(2, 1));
    story.invoke({ kind: 'deregister', key, incarnation: 1 });
    story.apply(removal());
    const refused = story.invoke(registerAction(3, { ifAbsent: true }));
    story.return(refused, { kind: 'refused', reason: 'ALREADY_REGISTERED' });
    expectClean(story);
  });

  it('sees what nobody has sent, and what was sent for another instance', () => {
    const nobody = new Story();
    nobody.apply(registerBody(registerAction(1)));
    expectBreach(nobody, 'values', 'puts default/api/one value 1', 'nobody has sent it');
    const another = new Story();
    another.invoke(registerAction(1, { key: other }));
    another.apply(registerBody(registerAction(1)));
    expectBreach(another, 'values', 'it was sent by operation 1', 'register default/api/two');
  });

  it('sees what had no effect by its answer, before or after it', () => {
    for (const kind of ['failed', 'refused'] as const) {
      const before = new Story();
      before.return(before.invoke(registerAction(1)), { kind, reason: 'NOT_PROPOSED' });
      before.apply(registerBody(registerAction(1)));
      expectBreach(before, 'values', 'it had no effect, said the answer to operation 1', 'NOT_PROPOSED');
      const after = new Story();
      const operation = after.invoke(registerAction(1));
      after.apply(registerBody(registerAction(1)));
      after.return(operation, { kind, reason: 'NOT_PROPOSED' });
      expectBreach(after, 'values', 'had no effect, revision 1 has value 1');
    }
  });

  it('sees what is there twice', () => {
    const story = new Story();
    story.invoke(registerAction(1));
    story.apply(registerBody(registerAction(1)));
    story.apply(registerBody(registerAction(1)));
    expectBreach(story, 'values', 'revision 2 (index 2) puts', 'it was put at 1 already');
    const updated = new Story();
    updated.register(1);
    updated.invoke({ kind: 'update', key, value: 2, incarnation: 1 });
    updated.apply(updateBody(2, 1));
    updated.invoke({ kind: 'update', key, value: 3, incarnation: 1 });
    updated.apply(updateBody(3, 1));
    updated.apply(updateBody(2, 1));
    expectBreach(updated, 'values', 'it was put at 2 already');
  });

  it('sees an update of an older incarnation, and registrations whose conditions did not hold', () => {
    const late = new Story();
    late.register(1);
    late.register(2);
    late.invoke({ kind: 'update', key, value: 3, incarnation: 1 });
    late.apply(updateBody(3, 2));
    expectBreach(late, 'values', 'meant was incarnation 1 by operation 3');
    const absent = new Story();
    absent.register(1);
    absent.invoke(registerAction(2, { ifAbsent: true }));
    absent.apply(registerBody(registerAction(2)));
    expectBreach(absent, 'values', 'over value 1', 'meant was over nothing');
    const incarnation = new Story();
    incarnation.register(1);
    incarnation.register(2);
    incarnation.invoke(registerAction(3, { ifIncarnation: 1 }));
    incarnation.apply(registerBody(registerAction(3)));
    expectBreach(incarnation, 'values', 'over value 2', 'meant was 1');
  });

  it('sees a removal that nobody asked for, or only of another incarnation, or in vain', () => {
    const nobody = new Story();
    nobody.register(1);
    nobody.apply(removal());
    expectBreach(nobody, 'values', 'removes default/api/one value 1', 'nobody has asked for it');
    const another = new Story();
    another.register(1);
    another.register(2);
    another.invoke({ kind: 'deregister', key, incarnation: 1 });
    another.apply(removal());
    expectBreach(another, 'values', 'nobody has asked for it');
    const vain = new Story();
    vain.register(1);
    vain.return(vain.invoke({ kind: 'deregister', key, incarnation: 0 }), { kind: 'failed', reason: 'NO_LEADER' });
    vain.apply(removal());
    expectBreach(vain, 'values', 'nobody has asked for it');
  });

  it('sees a session that is closed by nobody', () => {
    const told = (isAsked: boolean): Story => {
      const story = new Story();
      story.apply({ kind: 'open-session', ttlMs: 5_000 });
      story.invoke(registerAction(1, { lifetime: 'session', leaseId: 1 }));
      const spec = specOf(key, 1);
      const start = { kind: 'register', name: nameOf(key), spec, restore: false, ownIncarnation: 0 } as const;
      story.apply({ kind: 'write-session', sessionId: 1, attachment: 1, sequence: 1, operations: [start] });
      if (isAsked) story.invoke({ kind: 'close-session', sessionId: 1 });
      story.apply({ kind: 'close-session', sessionId: 1, attachment: 1 });
      return story;
    };
    expectClean(told(true));
    expectBreach(told(false), 'values', 'as deregistered: nobody has closed its session');
  });

  it('sees a lease revoked by nobody, and a persistent instance that goes with a lease', () => {
    const revoked = new Story();
    revoked.register(1, { lifetime: 'new', ttlMs: 5_000 });
    revoked.apply({ kind: 'revoke-lease', leaseId: 1 });
    expectBreach(revoked, 'values', 'as lease-revoked: nobody has revoked it');
    const persistent = new Story();
    persistent.register(1);
    const applied = persistent.entry(removal());
    const events = applied.events.map((event) => ({ ...event, cause: 'lease-expired' }) as never);
    persistent.applyOn({ ...applied, events }, 'a');
    expectBreach(persistent, 'values', 'as lease-expired: it is persistent');
  });

  it('sees a batch over what is there, where it was meant over nothing', () => {
    const item = { name: nameOf(key), spec: specOf(key, 2), ifAbsent: false, ifIncarnation: 0, keepEqual: false };
    const body = { kind: 'batch-register', lifetime: { kind: 'persistent' }, items: [item] } as const;
    const bad = new Story();
    bad.register(1);
    bad.invoke({ kind: 'batch', keys: [key], values: [2], absent: [key] });
    bad.apply(body);
    expectBreach(bad, 'values', 'over value 1', 'meant was over nothing');
    const good = new Story();
    good.invoke({ kind: 'batch', keys: [key], values: [2], absent: [key] });
    good.apply(body);
    expectClean(good);
  });
});
