import { describe, expect, it } from 'vitest';
import { drainMicrotasks, outsidePromises } from './microtasks.ts';

describe('promises between two steps', () => {
  it('all go as far as they can, however long their chain is', async () => {
    let reached = 0;
    await outsidePromises(() => {
      const chain = async (): Promise<void> => {
        for (let i = 0; i < 50; i++) {
          await Promise.resolve();
          reached++;
        }
      };
      void chain();
      expect(reached).toBe(0);
      drainMicrotasks();
      expect(reached).toBe(50);
      queueMicrotask(() => reached++);
      drainMicrotasks();
      expect(reached).toBe(51);
    });
  });

  it('tell what the work throws', async () => {
    await expect(
      outsidePromises(() => {
        throw new Error('thrown');
      }),
    ).rejects.toThrow('thrown');
  });
});
