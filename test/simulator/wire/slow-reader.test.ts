import { describe, expect, it } from 'vitest';
import { MachineClock, ProcessClock } from '../world/process-clock.ts';
import { WorldClock } from '../world/world-clock.ts';
import { MemoryClientStream } from './client-calls.ts';
import { SendQueue } from './send-queue.ts';

describe('a reader that takes its time', () => {
  it('takes one message each time, gives back room for it alone, and lets no more be sent than its window', () => {
    const world = new WorldClock();
    const clock = new ProcessClock(new MachineClock(world));
    const sent: number[] = [];
    const stream = new MemoryClientStream(clock, '/watch', undefined, () => 100);
    const queue = new SendQueue(
      clock,
      (bytes) => {
        sent.push(bytes.length);
        stream.receive(bytes);
      },
      20,
    );
    const read: number[] = [];
    stream.on('data', (bytes: Buffer) => read.push(bytes.length));
    stream.attach({
      message: () => undefined,
      halfClose: () => undefined,
      reset: () => undefined,
      release: () => undefined,
      credit: (bytes) => queue.credit(bytes),
    });
    for (let i = 0; i < 6; i++) queue.push(Buffer.alloc(10), () => undefined);
    const pass = (ms: number): void => {
      const endMs = world.monotonicMs() + ms;
      while (world.step(endMs));
    };
    pass(1);
    // Two that the window holds, and one for the room of the first, which was read at once.
    expect([read.length, sent.length]).toEqual([1, 3]);
    pass(100);
    expect([read.length, sent.length]).toEqual([2, 4]);
    pass(1_000);
    expect([read.length, sent.length]).toEqual([6, 6]);
  });
});
