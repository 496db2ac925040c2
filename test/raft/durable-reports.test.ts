import { describe, expect, it } from 'vitest';
import { bytesOf } from './network.ts';
import { membershipOf } from './memberships.ts';
import { ackFromB, appendFrom, coreWith, drain, emptyBase, entriesOf, fromB, fromC, makeLeader } from './single.ts';

const membership = membershipOf(['a', 'b', 'c']);

describe('what waits for the disk', () => {
  it('keeps a vote back until it is durable', () => {
    const core = coreWith();
    core.step({ kind: 'vote-request', ...fromB, term: 1, preVote: false, lastIndex: 0, lastTerm: 0 });
    const ready = core.ready();
    expect(ready.persist?.hardState).toEqual({ term: 1, vote: 'b' });
    expect(ready.messages).toEqual([]);
    expect(core.hasReady()).toBe(false);
    core.reportDurable(1);
    expect(core.ready().messages).toMatchObject([{ kind: 'vote-reply', granted: true, term: 1 }]);
  });

  it('keeps vote requests back until the own vote is durable, and counts it only then', () => {
    const core = coreWith();
    while (core.role === 'follower') core.tick();
    drain(core);
    core.step({ kind: 'vote-reply', ...fromB, term: 1, preVote: true, granted: true });
    expect(core.ready()).toMatchObject({ messages: [], persist: { sequence: 1, hardState: { term: 1, vote: 'a' } } });
    core.step({ kind: 'vote-reply', ...fromB, term: 1, preVote: false, granted: true });
    expect(core.role).toBe('candidate');
    core.reportDurable(1);
    expect(core.role).toBe('leader');
  });

  it('does not take the report of an earlier step for that of its own vote', () => {
    const core = coreWith([], {}, { voters: ['a'] });
    while (core.role === 'follower') core.tick();
    core.reportDurable(core.ready().persist?.sequence ?? 0);
    expect([core.role, core.term]).toEqual(['leader', 1]);
    const entry = core.ready().persist;
    core.setEligible(false);
    core.setEligible(true);
    while (core.status().role === 'follower') core.tick();
    const vote = core.ready().persist;
    expect(vote).toMatchObject({ hardState: { term: 2, vote: 'a' } });
    core.reportDurable(entry?.sequence ?? 0);
    expect(core.role).toBe('candidate');
    core.reportDurable(vote?.sequence ?? 0);
    expect(core.role).toBe('leader');
  });

  it('drops what still waits when the term changes', () => {
    const core = coreWith();
    core.step({ kind: 'vote-request', ...fromB, term: 1, preVote: false, lastIndex: 0, lastTerm: 0 });
    const first = core.ready();
    core.step({ kind: 'heartbeat', ...fromC, term: 2, commit: 0, round: 0 });
    core.reportDurable(first.persist?.sequence ?? 0);
    const second = core.ready();
    expect([second.messages, second.persist?.hardState]).toEqual([[], { term: 2, vote: '' }]);
    core.reportDurable(second.persist?.sequence ?? 0);
    expect(core.ready().messages).toMatchObject([{ kind: 'heartbeat-reply', to: 'c', term: 2 }]);
  });

  it('acknowledges entries as they become durable', () => {
    const core = coreWith();
    const entries = entriesOf([1, 1, 1]);
    core.step(appendFrom(1, emptyBase, entries.slice(0, 1)));
    const first = core.ready();
    core.step(appendFrom(1, { ...emptyBase, ...entries[0] }, entries.slice(1)));
    const second = core.ready();
    expect([first.messages, second.messages]).toEqual([[], []]);
    core.reportDurable(1);
    expect(core.ready().messages).toMatchObject([{ accepted: true, matchIndex: 1 }]);
    core.reportDurable(2);
    expect(core.ready().messages).toMatchObject([{ accepted: true, matchIndex: 3 }]);
  });

  it('acknowledges with one message what one report covers', () => {
    const core = coreWith();
    const entries = entriesOf([1, 1]);
    core.step(appendFrom(1, emptyBase, entries.slice(0, 1)));
    core.ready();
    core.step(appendFrom(1, { ...emptyBase, ...entries[0] }, entries.slice(1)));
    core.ready();
    core.reportDurable(2);
    expect(core.ready().messages).toMatchObject([{ accepted: true, matchIndex: 2 }]);
  });

  it('never acknowledges to a new leader what the report of an overtaken write seems to cover', () => {
    const core = coreWith();
    const old = entriesOf([1, 1, 1]);
    core.step(appendFrom(1, emptyBase, old));
    const first = core.ready();
    const fresh = entriesOf([1, 2, 2]);
    core.step({ ...appendFrom(2, { ...emptyBase, ...old[0] }, fresh.slice(1)), from: 'c' });
    const second = core.ready();
    expect(second.persist?.entries).toEqual(fresh.slice(1));
    core.reportDurable(first.persist?.sequence ?? 0);
    expect(core.status().durableIndex).toBe(1);
    expect(core.ready().messages).toEqual([]);
    core.reportDurable(second.persist?.sequence ?? 0);
    expect(core.ready().messages).toMatchObject([{ to: 'c', term: 2, accepted: true, matchIndex: 3 }]);
  });

  it('lets the leader count itself only as far as its own disk', () => {
    const core = coreWith();
    makeLeader(core);
    const ready = core.ready();
    expect(ready.messages).toHaveLength(2);
    core.step(ackFromB(1, 1));
    expect(core.commit).toBe(0);
    core.reportDurable(ready.persist?.sequence ?? 0);
    expect(core.commit).toBe(1);
  });

  it('commits without its own disk when the others make a majority', () => {
    const core = coreWith();
    makeLeader(core);
    core.ready();
    core.step(ackFromB(1, 1));
    core.step({ ...ackFromB(1, 1), from: 'c' });
    expect(core.status()).toMatchObject({ commit: 1, durableIndex: 0 });
    expect(core.ready().committed).toHaveLength(1);
    core.reportApplied(1);
    expect(() => core.compact(1)).toThrow('durable');
  });

  it('hands each entry to the disk once, and what replaces it from where it differs', () => {
    const core = coreWith([1, 1, 1]);
    expect(core.ready().persist).toBeUndefined();
    core.step(appendFrom(2, { ...emptyBase, ...entriesOf([1])[0] }, entriesOf([1, 2]).slice(1)));
    const { persist } = core.ready();
    expect(persist).toMatchObject({ sequence: 1, hardState: { term: 2, vote: '' }, entries: [{ index: 2, term: 2 }] });
    expect(core.status()).toMatchObject({ lastIndex: 2, durableIndex: 1 });
    expect(core.ready().persist).toBeUndefined();
  });

  it('hands out nothing to apply above a snapshot that is not durable', () => {
    const core = coreWith();
    const base = { index: 5, term: 1, hash: '0123456789abcdef' };
    core.step({ kind: 'snapshot', ...fromB, term: 1, snapshot: base, membership });
    core.step(appendFrom(1, base, entriesOf([1], base), 6));
    const ready = core.ready();
    expect(ready.persist).toMatchObject({ snapshot: base, entries: [{ index: 6 }], commit: 6 });
    expect([ready.committed, core.commit]).toEqual([[], 6]);
    // The flush of an earlier index may end only now.
    core.compact(3);
    core.compact(5);
    expect(() => core.compact(6)).toThrow('durable');
    core.reportDurable(1);
    expect(core.ready()).toMatchObject({ committed: [{ index: 6 }], messages: [{ accepted: true, matchIndex: 6 }] });
  });

  it('tells commit with each step, never more than the steps so far hold', () => {
    const core = coreWith();
    core.step(appendFrom(1, emptyBase, entriesOf([1, 1]), 9));
    expect(core.ready().persist).toMatchObject({ commit: 2, entries: [{ index: 1 }, { index: 2 }] });
  });

  it('starts from what is on disk: hands out again what is committed and not applied', () => {
    const core = coreWith([1, 1, 1], { commit: 3, applied: 1 });
    expect(core.ready().committed.map((entry) => entry.index)).toEqual([2, 3]);
    expect(() => core.reportApplied(4)).toThrow('handed out');
    core.reportApplied(3);
    core.reportApplied(2);
    expect(core.status().applied).toBe(3);
    expect(core.propose(bytesOf('x'))).toEqual({ accepted: false, reason: 'not-leader' });
  });
});
