import { beforeEach, describe, expect, it } from 'vitest';
import { RollcallError } from '../../src/base/errors.ts';
import type { ReadContext } from '../../src/raft/types.ts';
import { ReadBarriers } from '../../src/replica/read-barriers.ts';

describe('ReadBarriers', () => {
  let contexts: ReadContext[];
  let barriers: ReadBarriers;
  let done: string[];

  beforeEach(() => {
    contexts = [];
    done = [];
    barriers = new ReadBarriers({
      memberId: 'a',
      boot: 3,
      timeoutTicks: 10,
      revisionTimeoutTicks: 5,
      readIndex: (context) => contexts.push(context),
    });
  });

  function watch(name: string, promise: Promise<void>): Promise<void> {
    return promise.then(
      () => void done.push(`${name}: ok`),
      (error: unknown) => void done.push(`${name}: ${error instanceof RollcallError ? error.reason : 'not typed'}`),
    );
  }

  it('shares one round among all barriers of a turn, and resolves them once its index is applied', async () => {
    const all = [watch('one', barriers.barrier()), watch('two', barriers.barrier())];
    barriers.dispatch();
    expect(contexts).toEqual([{ member: 'a', boot: 3, counter: 1 }]);
    barriers.confirmed({ context: { member: 'a', boot: 3, counter: 1 }, index: 8 });
    barriers.applied(7, 1);
    await Promise.resolve();
    expect(done).toEqual([]);
    barriers.applied(8, 1);
    await Promise.all(all);
    expect(done).toEqual(['one: ok', 'two: ok']);
  });

  it('asks patiently where only patient barriers wait, one context at a time', async () => {
    const one = watch('one', barriers.patientBarrier());
    barriers.dispatch();
    const two = watch('two', barriers.patientBarrier());
    barriers.dispatch();
    expect(contexts).toEqual([{ member: 'a', boot: 3, counter: 1, patient: true }]);
    // A barrier that does not wait asks at once, and takes the patient one along.
    const three = watch('three', barriers.barrier());
    barriers.dispatch();
    expect(contexts[1]).toEqual({ member: 'a', boot: 3, counter: 2 });
    barriers.confirmed({ context: { member: 'a', boot: 3, counter: 2 }, index: 0 });
    await Promise.all([two, three]);
    expect(done).toEqual(['three: ok', 'two: ok']);
    barriers.confirmed({ context: { member: 'a', boot: 3, counter: 1, patient: true }, index: 0 });
    await one;
    expect(done).toEqual(['three: ok', 'two: ok', 'one: ok']);
  });

  it('leaves its rounds to the others while a patient context is under way', () => {
    barriers.patientBarrier().catch(() => undefined);
    barriers.dispatch();
    for (let i = 0; i < 6; i++) {
      barriers.barrier().catch(() => undefined);
      barriers.dispatch();
    }
    expect(contexts).toHaveLength(1 + 4);
  });

  it('takes no word of a round that was asked for before a restart', async () => {
    const one = watch('one', barriers.barrier());
    barriers.dispatch();
    barriers.restart();
    barriers.confirmed({ context: { member: 'a', boot: 3, counter: 1 }, index: 0 });
    await Promise.resolve();
    expect(done).toEqual([]);
    barriers.dispatch();
    expect(contexts.map(({ counter }) => counter)).toEqual([1, 2]);
    barriers.confirmed({ context: { member: 'a', boot: 3, counter: 2 }, index: 0 });
    await one;
    expect(done).toEqual(['one: ok']);
  });

  it('never lets a barrier join a round that was sent before it came', async () => {
    const one = watch('one', barriers.barrier());
    barriers.dispatch();
    void watch('two', barriers.barrier());
    barriers.confirmed({ context: { member: 'a', boot: 3, counter: 1 }, index: 0 });
    await one;
    expect(done).toEqual(['one: ok']);
    barriers.dispatch();
    expect(contexts.map(({ counter }) => counter)).toEqual([1, 2]);
  });

  it('asks again under a new context after a void round', () => {
    void watch('one', barriers.barrier());
    barriers.dispatch();
    barriers.voided({ member: 'a', boot: 3, counter: 1 });
    barriers.tick(1);
    expect(contexts.map(({ counter }) => counter)).toEqual([1, 2]);
  });

  it('fails with NO_LEADER at the deadline, also while a round never answers', async () => {
    const one = watch('one', barriers.barrier());
    barriers.dispatch();
    barriers.tick(9);
    expect(done).toEqual([]);
    barriers.tick(10);
    await one;
    expect(done).toEqual(['one: NO_LEADER']);
  });

  it('is not blocked by rounds whose answers were lost', async () => {
    for (let i = 0; i < 4; i++) {
      void watch('lost', barriers.barrier());
      barriers.dispatch();
    }
    barriers.tick(10);
    void watch('next', barriers.barrier());
    barriers.dispatch();
    expect(contexts).toHaveLength(5);
  });

  it('waits for a revision, and says MEMBER_BEHIND at the deadline', async () => {
    barriers.applied(4, 20);
    await watch('past', barriers.revision(20));
    const soon = watch('soon', barriers.revision(21));
    const never = watch('never', barriers.revision(99));
    barriers.applied(5, 21);
    await soon;
    barriers.tick(5);
    await never;
    expect(done).toEqual(['past: ok', 'soon: ok', 'never: MEMBER_BEHIND']);
  });

  it('ends all with the error given', async () => {
    const all = [watch('barrier', barriers.barrier()), watch('revision', barriers.revision(5))];
    barriers.failAll(new RollcallError('MEMBER_FENCED', 'fenced', { retryAfterMs: 1 }));
    await Promise.all(all);
    expect(done.toSorted()).toEqual(['barrier: MEMBER_FENCED', 'revision: MEMBER_FENCED']);
  });

  it('refuses a wait above its bound', async () => {
    for (let i = 0; i < 65_536; i++) barriers.barrier().catch(() => undefined);
    await watch('too many', barriers.barrier());
    expect(done).toEqual(['too many: OVERLOADED']);
    barriers.failAll(new RollcallError('NOT_SERVING', 'stopping'));
  });
});
