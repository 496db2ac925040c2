import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyBatch, BatchQueue } from '../../src/client/batch-queue.ts';
import type { Instance, WatchBatch, WatchEvent } from '../../src/client/types.ts';

const header = { revision: 1, member: 'a', consistency: 'linearizable', ageMs: 0 } as const;

function put(id: number, revision: number): WatchEvent {
  const instance: Instance = {
    namespace: 'default',
    service: 'web',
    id: String(id),
    endpoints: [],
    version: '',
    weight: 100,
    tags: [],
    metadata: {},
    region: '',
    zone: '',
    status: 'up',
    incarnation: revision,
    createRevision: revision,
    modifyRevision: revision,
    createTimeMs: 0,
    modifyTimeMs: 0,
    leaseId: 0,
  };
  return { kind: 'put', revision, instance };
}

function gone(id: number, revision: number): WatchEvent {
  const key = { namespace: 'default', service: 'web', id: String(id) };
  return { kind: 'delete', revision, key, incarnation: 1, cause: 'deregistered', reason: '' };
}

function batch(kind: WatchBatch['kind'], from: number, to: number, events: WatchEvent[] = []): WatchBatch {
  return { kind, from, to, events, header, coalesced: false };
}

describe('the queue of a watch', () => {
  it('merges what a slow reader missed into one reset, at the first event beyond the bound', () => {
    const queue = new BatchQueue(0, 3);
    queue.push(batch('snapshot', 0, 1, [put(1, 1)]));
    for (let to = 2; to <= 4; to++) queue.push(batch('delta', to - 1, to, [put(1, to)]));
    expect(queue.size).toBe(4);
    queue.push(batch('delta', 4, 5, [put(1, 5)]));
    expect(queue.size).toBe(1);
    expect(queue.shift()).toMatchObject({ kind: 'reset', from: 0, to: 5, events: [{ instance: { incarnation: 5 } }] });
    queue.push(batch('delta', 5, 6, [put(2, 6)]));
    expect(queue.shift()).toMatchObject({ kind: 'delta', from: 5, to: 6 });
  });

  it('asks for a new beginning where it does not know the whole set', () => {
    const queue = new BatchQueue(10, 1);
    expect(queue.push(batch('delta', 10, 11, [put(1, 11)]))).toBe(true);
    expect(queue.push(batch('delta', 11, 12, [gone(1, 12)]))).toBe(false);
    expect(queue.size).toBe(0);
    expect(queue.push(batch('reset', 0, 13, [put(2, 13)]))).toBe(true);
    expect(queue.shift()).toMatchObject({ kind: 'reset', to: 13 });
  });

  it('takes any snapshot, however large', () => {
    const queue = new BatchQueue(0, 1);
    expect(queue.push(batch('snapshot', 0, 1, [put(1, 1), put(2, 1), put(3, 1)]))).toBe(true);
    expect(queue.shift()?.kind).toBe('snapshot');
  });

  it('keeps one progress mark in a row', () => {
    const queue = new BatchQueue(5);
    for (let to = 6; to < 9; to++) queue.push(batch('progress', to - 1, to));
    expect(queue.size).toBe(1);
    expect(queue.shift()).toMatchObject({ from: 5, to: 8 });
  });

  it('brings every reader, however slow, to the same set by batches that follow each other', () => {
    const step = fc.record({ id: fc.nat(5), remove: fc.boolean(), reads: fc.nat(2), progress: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 8 }), (history, eventsMax) => {
        const queue = new BatchQueue(0, eventsMax);
        const truth = new Map<string, Instance>();
        const seen = new Map<string, Instance>();
        let seenTo = 0;
        const read = (): boolean => {
          const next = queue.shift();
          if (next === undefined) return false;
          if (next.kind === 'delta' || next.kind === 'progress') expect(next.from).toBe(seenTo);
          expect(next.to).toBeGreaterThanOrEqual(seenTo);
          seenTo = next.to;
          applyBatch(seen, next);
          return true;
        };
        queue.push(batch('snapshot', 0, 1));
        let to = 1;
        for (const { id, remove, reads, progress } of history) {
          const events = progress ? [] : [remove ? gone(id, to + 1) : put(id, to + 1)];
          const next = batch(progress ? 'progress' : 'delta', to, to + 1, events);
          to += 1;
          applyBatch(truth, next);
          expect(queue.push(next)).toBe(true);
          for (let i = 0; i < reads; i++) read();
        }
        while (read());
        expect(seenTo).toBe(to);
        expect(seen).toEqual(truth);
      }),
    );
  });
});
