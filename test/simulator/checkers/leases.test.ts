import { describe, it } from 'vitest';
import type { CommandBody } from '../../../src/state-machine/types.ts';
import { key, registerAction, registerBody, Story, expectBreach, expectClean } from './story-kit.ts';

const ttlMs = 5_500;
/** By the fastest clock of a story. */
const leastMs = 5_000;

function expire(leaseId = 1, epoch = 1): CommandBody {
  return { kind: 'expire-lease', leaseId, epoch, term: 1 };
}

/** One instance on a lease of its own, asked for at 1,000 and answered at 1,100. */
function leased(client = 'x'): Story {
  const story = new Story();
  const action = registerAction(1, { lifetime: 'new', ttlMs });
  const operation = story.invoke(action, client);
  story.wait(100);
  story.apply(registerBody(action));
  story.ok(operation, { incarnation: 1, replaced: false, leaseId: 1 });
  return story;
}

/** Asked now and answered 100 ms later. */
function renew(story: Story, existed: boolean, client = 'x'): void {
  const operation = story.invoke({ kind: 'renew', leaseId: 1, ttlMs }, client);
  story.wait(100);
  story.ok(operation, { existed });
}

function liveness(story: Story): void {
  story.tell({ kind: 'phase', phase: 'liveness' });
}

function look(story: Story): void {
  story.tell({ kind: 'note', text: '' });
}

describe('the checker of leases', () => {
  it('passes a lease that ends in its time, and is not renewed behind it', () => {
    const story = leased();
    renew(story, true);
    story.wait(leastMs - 100);
    story.apply(expire());
    renew(story, false);
    expectClean(story);
  });

  it('sees one that ends early after its registration, by the fastest clock', () => {
    const early = leased();
    early.wait(leastMs - 101);
    early.apply(expire());
    expectBreach(early, 'leases', 'lease 1 ended at 5999', 'it was safe to 6000 by operation 1');
    const just = leased();
    just.wait(leastMs - 100);
    just.apply(expire());
    expectClean(just);
  });

  it('sees one that ends early after a grant, a session, a renewal or an attach', () => {
    const grant = new Story();
    const granted = grant.invoke({ kind: 'grant', ttlMs });
    grant.apply({ kind: 'grant-lease', ttlMs });
    grant.ok(granted, { leaseId: 1 });
    grant.wait(leastMs - 1);
    grant.apply(expire());
    expectBreach(grant, 'leases', 'lease 1 ended at 5999', 'grant of 5500 ms');
    const session = new Story();
    const opened = session.invoke({ kind: 'open-session', ttlMs });
    session.apply({ kind: 'open-session', ttlMs });
    session.ok(opened, { leaseId: 1 });
    session.wait(leastMs - 1);
    session.apply(expire());
    expectBreach(session, 'leases', 'lease 1 ended at 5999', 'open-session of 5500 ms');
    const renewed = leased();
    renewed.wait(3_000);
    renew(renewed, true);
    renewed.wait(leastMs - 101);
    renewed.apply(expire());
    expectBreach(renewed, 'leases', 'lease 1 ended at 9099', 'it was safe to 9100 by operation 2', 'renew lease 1');
    const attached = leased();
    attached.wait(3_000);
    attached.register(2, { lifetime: 'lease', leaseId: 1, key: 'default/api/two' });
    attached.wait(leastMs - 1);
    attached.apply(expire(1, 2));
    expectBreach(attached, 'leases', 'lease 1 ended at 9099', 'register default/api/two value 2 lease');
  });

  it('sees a renewal acknowledged for what had ended meanwhile, or before it was asked', () => {
    const meanwhile = leased();
    meanwhile.wait(leastMs);
    const operation = meanwhile.invoke({ kind: 'renew', leaseId: 1, ttlMs });
    meanwhile.wait(100);
    meanwhile.apply(expire());
    expectClean(meanwhile);
    meanwhile.ok(operation, { existed: true });
    expectBreach(meanwhile, 'leases', 'lease 1 ended at 6200 by expire-lease', 'it was safe to 11100 by operation 2');
    const before = leased();
    before.wait(leastMs);
    before.apply(expire());
    before.wait(1);
    renew(before, true);
    expectBreach(before, 'leases', 'lease 1 ended at 6100 by expire-lease, which is before it was acknowledged');
    const emptied = leased();
    emptied.register(2);
    emptied.wait(1);
    renew(emptied, true);
    expectBreach(emptied, 'leases', 'lease 1 ended at 1100 by emptied, which is before');
  });

  it('counts what the library was answered by itself, whenever that is told', () => {
    const told = leased();
    told.wait(3_000);
    told.tell({ kind: 'kept', client: 'x', leaseId: 1, sinceMs: 3_000 });
    told.wait(3_899);
    told.apply(expire());
    expectBreach(told, 'leases', 'lease 1 ended at 7999', 'safe to 8000 by a sign of life of x, sent at 3000');
    const late = leased();
    late.wait(6_000);
    late.apply(expire());
    late.tell({ kind: 'kept', client: 'x', leaseId: 1, sinceMs: 2_099 });
    expectClean(late);
    late.tell({ kind: 'kept', client: 'x', leaseId: 1, sinceMs: 2_101 });
    expectBreach(late, 'leases', 'lease 1 ended at 7100', 'safe to 7101');
  });

  it('does not count a renewal that failed or found nothing', () => {
    const story = leased();
    story.return(story.invoke({ kind: 'renew', leaseId: 1, ttlMs }), { kind: 'unknown', reason: 'NO_LEADER' });
    story.wait(leastMs - 100);
    story.apply(expire());
    expectClean(story);
  });

  it('sees an instance that goes although its lease has not ended', () => {
    const story = leased();
    const applied = story.entry({
      kind: 'deregister',
      name: { namespace: 'default', service: 'api', id: 'one' },
      incarnation: 0,
    });
    story.invoke({ kind: 'deregister', key, incarnation: 0 });
    const other = story.entry({ kind: 'grant-lease', ttlMs });
    story.applyOn(applied, 'a');
    story.applyOn(other, 'a');
    expectClean(story);
    const gone = new Story();
    const granted = gone.invoke({ kind: 'grant', ttlMs });
    gone.apply({ kind: 'grant-lease', ttlMs });
    gone.ok(granted, { leaseId: 1 });
    gone.register(1, { lifetime: 'lease', leaseId: 1 });
    const removed = gone.entry({
      kind: 'deregister',
      name: { namespace: 'default', service: 'api', id: 'one' },
      incarnation: 0,
    });
    const events = removed.events.map((event) => ({ ...event, cause: 'lease-expired' }) as never);
    gone.applyOn({ ...removed, events }, 'a');
    expectBreach(gone, 'leases', 'as lease-expired, its lease has not ended');
  });

  it('sees what an ended lease still holds, and what is put on it', () => {
    const holds = leased();
    holds.wait(leastMs);
    const applied = holds.entry(expire());
    const results = [{ kind: 'lease-ended', revision: 1, existed: true, instances: 1, remaining: 0 }] as const;
    holds.applyOn({ ...applied, revision: 1, results, events: [] }, 'a');
    expectBreach(holds, 'leases', 'lease 1 ended at revision 1 and holds default/api/one');
    const put = new Story();
    const granted = put.invoke({ kind: 'grant', ttlMs });
    put.apply({ kind: 'grant-lease', ttlMs });
    put.ok(granted, { leaseId: 1 });
    const late = registerAction(2, { lifetime: 'lease', leaseId: 1 });
    put.invoke(late);
    const attached = put.entry(registerBody(late));
    const ended = put.entry({ kind: 'grant-lease', ttlMs });
    put.invoke({ kind: 'revoke', leaseId: 1 });
    const revoke = put.entry({ kind: 'revoke-lease', leaseId: 1 });
    const empty = [{ kind: 'lease-ended', revision: 0, existed: true, instances: 0, remaining: 0 }] as const;
    put.applyOn({ ...revoke, index: 2, revision: 0, events: [], results: empty }, 'a');
    put.applyOn({ ...attached, index: 3 }, 'a');
    put.applyOn({ ...ended, index: 4 }, 'a');
    expectBreach(put, 'leases', 'revision 1 puts default/api/one', 'its lease ended at revision 0');
  });

  // Settled at 3,100: (5,500 + 3,000) / 0.9 later it is late.
  const lateMs = 2_000 + Math.ceil((ttlMs + 3_000) / 0.9);

  it('sees a lease without its client that stands too long in the phase of liveness', () => {
    const story = leased();
    story.tell({ kind: 'client-gone', client: 'x' });
    liveness(story);
    story.wait(lateMs - 10);
    look(story);
    expectClean(story);
    story.wait(510);
    look(story);
    expectBreach(story, 'leases', 'lease 1 of 5500 ms, renewed last at 1100, holds default/api/one');
  });

  it('gives one time to live more for each change of leader', () => {
    const story = leased();
    story.tell({ kind: 'client-gone', client: 'x' });
    liveness(story);
    story.wait(3_000);
    story.lead('a', 2);
    story.wait(lateMs - 3_000 + 510);
    look(story);
    expectClean(story);
    story.wait(ttlMs / 0.9);
    look(story);
    expectBreach(story, 'leases', 'holds default/api/one');
  });

  it('holds nothing late that is or may be renewed', () => {
    const renewed = leased();
    liveness(renewed);
    for (let i = 0; i < 20; i++) {
      renewed.wait(2_000);
      renew(renewed, true);
    }
    expectClean(renewed);
    renewed.wait(lateMs);
    look(renewed);
    expectBreach(renewed, 'leases', 'holds default/api/one');
    const silent = leased();
    liveness(silent);
    silent.wait(100_000);
    look(silent);
    expectClean(silent);
  });
});
