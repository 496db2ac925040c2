import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PeerOutbox } from '../../src/transport/peer-outbox.ts';
import type { Encoded } from '../../src/transport/raft-message-codec.ts';

function item(bytes: number, mark: number): Encoded {
  return { parts: [new Uint8Array(bytes).fill(mark)], bytes };
}

describe('the outbox of a peer', () => {
  it('takes up to exactly its bytes, those not yet written among them', () => {
    const outbox = new PeerOutbox(100, 10);
    expect(outbox.push([item(40, 1), item(59, 2)])).toBe(true);
    expect(outbox.push([item(2, 3)])).toBe(false);
    expect(outbox.push([item(1, 3)])).toBe(true);
    expect(outbox.queuedBytes).toBe(100);
    const { bytes } = outbox.take(new Uint8Array(3), 1000);
    expect([bytes, outbox.itemCount, outbox.queuedBytes]).toEqual([100, 0, 100]);
    expect(outbox.push([item(1, 4)])).toBe(false);
    outbox.written(bytes);
    expect(outbox.push([item(100, 4)])).toBe(true);
  });

  it('takes up to exactly its count, and all of a batch or nothing', () => {
    const outbox = new PeerOutbox(1000, 3);
    expect(outbox.push([item(1, 1), item(1, 1)])).toBe(true);
    expect(outbox.push([item(1, 2), item(1, 2)])).toBe(false);
    expect(outbox.itemCount).toBe(2);
    expect(outbox.push([item(1, 3)])).toBe(true);
    expect(outbox.push([item(1, 4)])).toBe(false);
  });

  it('fills a batch up to its bound, and sends a larger item alone', () => {
    const outbox = new PeerOutbox(1000, 10);
    outbox.push([item(50, 1), item(47, 2), item(1, 3), item(300, 4), item(1, 5)]);
    const head = new Uint8Array(3);
    expect(outbox.take(head, 100).bytes).toBe(97);
    expect(outbox.take(head, 100).bytes).toBe(1);
    expect(outbox.take(head, 100).bytes).toBe(300);
    expect(outbox.take(head, 100).bytes).toBe(1);
  });

  it('gives out what was pushed, in order and once, as a plain list would', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ push: fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 6 }) }),
        fc.record({ take: fc.integer({ min: 1, max: 150 }) }),
        fc.constant({ written: true }),
        fc.constant({ clear: true }),
      ),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const outbox = new PeerOutbox(400, 12);
        let waiting: number[] = [];
        let unwritten: number[] = [];
        const sum = (list: readonly number[]): number => list.reduce((total, value) => total + value, 0);
        for (const step of all) {
          if ('push' in step) {
            const fits =
              sum(waiting) + sum(unwritten) + sum(step.push) <= 400 && waiting.length + step.push.length <= 12;
            expect(outbox.push(step.push.map((bytes) => item(bytes, bytes)))).toBe(fits);
            if (fits) waiting.push(...step.push);
          } else if ('take' in step) {
            if (waiting.length === 0) continue;
            const { batch, bytes } = outbox.take(new Uint8Array(1), step.take);
            let count = 1;
            while (count < waiting.length && 1 + sum(waiting.slice(0, count + 1)) <= step.take) count += 1;
            const taken = waiting.splice(0, count);
            expect([...batch]).toEqual([0, ...taken.flatMap((size) => Array.from({ length: size }, () => size))]);
            unwritten.push(bytes);
          } else if ('written' in step) {
            const bytes = unwritten.shift();
            if (bytes !== undefined) outbox.written(bytes);
          } else {
            outbox.clear();
            waiting = [];
            unwritten = [];
          }
          expect([outbox.itemCount, outbox.unwrittenBytes]).toEqual([waiting.length, sum(unwritten)]);
          expect(outbox.queuedBytes).toBe(sum(waiting) + sum(unwritten));
        }
      }),
      { numRuns: 300 },
    );
  });
});
