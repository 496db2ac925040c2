import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Operation } from '../../src/client/session-operations.ts';
import { encodedWrite, operationOf } from '../../src/client/session-operations.ts';
import { SessionQueue } from '../../src/client/session-queue.ts';
import { v1 } from './fake-member.ts';

const bounds = { operationsMax: 5, bytesMax: 200, writeOperationsMax: 3, writeBytesMax: 120 };

function operation(id: string, specBytes = 10): Operation {
  const name = { namespace: 'default', service: 'web', id };
  const spec = v1.InstanceSpec.encode({ version: 'x'.repeat(specBytes - 2) }).finish();
  return operationOf({ kind: 'register', name, spec });
}

describe('the queue of a session', () => {
  it('takes operations up to its bounds, those that are sent and not answered included', () => {
    const queue = new SessionQueue(bounds);
    for (let i = 0; i < 3; i++) queue.push(operation(String(i)));
    expect(() => queue.assertRoom(10, 1)).not.toThrow();
    expect(() => queue.assertRoom(10, 2)).toThrow(/5 operations of this session wait for their answers/);
    const { bytes } = operation('1');
    const left = bounds.bytesMax - 3 * bytes.length;
    expect(() => queue.assertRoom(left, 0)).not.toThrow();
    expect(() => queue.assertRoom(left + 1, 0)).toThrow(/at most 200/);
    queue.takeWrite();
    expect(() => queue.assertRoom(bounds.bytesMax, 0)).not.toThrow();
  });

  it('fills a write up to its bounds, and sends alone what is larger', () => {
    const queue = new SessionQueue({ ...bounds, operationsMax: 100, bytesMax: 10_000 });
    for (let i = 0; i < 4; i++) queue.push(operation(`s${i}`));
    queue.push(operation('l1', 80));
    queue.push(operation('l2', 80));
    queue.push(operation('xl', 120));
    const writes = [0, 1, 2, 3].map(() => queue.takeWrite().map(({ name }) => name.id));
    expect(writes).toEqual([['s0', 's1', 's2'], ['s3', 'l1'], ['l2'], ['xl']]);
    expect([queue.size, queue.takeWrite()]).toEqual([0, []]);
  });

  it('counts what it says of a write into the bytes of the message', () => {
    const queue = new SessionQueue({
      operationsMax: 1_000,
      bytesMax: 10_000_000,
      writeOperationsMax: 1_000,
      writeBytesMax: 5_000,
    });
    for (let i = 0; i < 900; i++) queue.push(operation(String(i), 10 + (i % 110)));
    for (let taken = queue.takeWrite(); taken.length > 0; taken = queue.takeWrite()) {
      const bytes = encodedWrite(2 ** 40, taken);
      // The number of the write, and the frame around it.
      expect(bytes.length).toBeLessThanOrEqual(5_000 + 16);
      expect(v1.SessionRequest.decode(bytes).write?.operations).toHaveLength(taken.length);
    }
  });

  it('gives every operation once, one of an instance a write, each instance in its order', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('push' as const), key: fc.nat(4) }),
      fc.record({ kind: fc.constant('take' as const), again: fc.boolean() }),
      fc.record({ kind: fc.constant('remove' as const), nth: fc.nat(20) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const queue = new SessionQueue({ ...bounds, operationsMax: 1_000, bytesMax: 1_000_000 });
        const expected = new Map<string, Operation[]>();
        const given: Operation[] = [];
        const pushed: Operation[] = [];
        const give = (taken: readonly Operation[]): void => {
          expect(new Set(taken.map(({ key }) => key)).size).toBe(taken.length);
          expect(taken.length).toBeLessThanOrEqual(bounds.writeOperationsMax);
          for (const each of taken) {
            expect(expected.get(each.key)?.shift()).toBe(each);
            given.push(each);
          }
        };
        for (const each of steps) {
          if (each.kind === 'push') {
            const next = operation(String(each.key));
            queue.push(next);
            pushed.push(next);
            expected.set(next.key, [...(expected.get(next.key) ?? []), next]);
          } else if (each.kind === 'take') {
            const taken = queue.takeWrite();
            // A write that is taken back comes first again.
            if (each.again) queue.unshift(taken);
            else give(taken);
          } else {
            const victim = pushed[each.nth];
            if (victim === undefined) continue;
            const list = expected.get(victim.key) ?? [];
            expect(queue.remove(victim)).toBe(list.includes(victim));
            expected.set(
              victim.key,
              list.filter((other) => other !== victim),
            );
          }
        }
        for (let taken = queue.takeWrite(); taken.length > 0; taken = queue.takeWrite()) give(taken);
        expect([...expected.values()].flat()).toEqual([]);
        expect(new Set(given).size).toBe(given.length);
        expect(queue.size).toBe(0);
      }),
    );
  });
});
