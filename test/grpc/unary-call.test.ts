// What a call meets that is over before the loop comes to it.
import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import { Metadata, status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import type { Caller } from '../../src/api/types.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { grpcLimits } from '../../src/grpc/limits.ts';
import { unaryHandler } from '../../src/grpc/unary-call.ts';
import { detailsOf, RecordingObserver } from './grpc-harness.ts';

type Outcome = Parameters<sendUnaryData<Buffer>>[0];

class Harness {
  readonly clock = new ManualClock();
  readonly observer = new RecordingObserver();
  readonly callers: Caller[] = [];
  readonly outcomes: Outcome[] = [];

  /** A call as grpc-js hands it over. */
  async call(deadline: Date | number, cancelled = false): Promise<void> {
    const context = { clock: this.clock, limits: grpcLimits, observer: this.observer, onFatal: () => undefined };
    const handler = unaryHandler(context, {
      name: 'Register',
      parse: (bytes) => bytes,
      run: async (_request, caller) => void this.callers.push(caller),
      render: () => new Uint8Array(0),
    });
    const call = { request: Buffer.alloc(0), cancelled, getPeer: () => 'here', getDeadline: () => deadline };
    handler(call as unknown as ServerUnaryCall<Buffer, Buffer>, (error) => this.outcomes.push(error));
    for (let i = 0; i < 10; i++) await Promise.resolve();
  }
}

describe('a unary call', () => {
  it('that is past its deadline is refused with DEADLINE and not begun', async () => {
    const h = new Harness();
    await h.call(h.clock.wallMs());
    expect(h.callers).toEqual([]);
    const [error] = h.outcomes;
    if (error === null || error === undefined || !('code' in error)) throw new Error('no status');
    expect(error.code).toBe(status.DEADLINE_EXCEEDED);
    const details = detailsOf(Object.assign(new Error(), { metadata: new Metadata(), code: 4, details: '' }, error));
    expect(details.errorInfo).toMatchObject({ reason: 'DEADLINE', domain: 'rollcall' });
    expect(h.observer.calls).toEqual([{ method: 'Register', outcome: 'DEADLINE_EXCEEDED', durationMs: 0 }]);
  });

  it('has its deadline by the monotonic clock', async () => {
    const h = new Harness();
    h.clock.advance(500);
    await h.call(h.clock.wallMs() + 1);
    await h.call(new Date(h.clock.wallMs() + 2_000));
    await h.call(Infinity);
    const nowMs = h.clock.monotonicMs();
    expect(h.callers.map(({ deadlineMs }) => deadlineMs)).toEqual([nowMs + 1, nowMs + 2_000, undefined]);
    expect(h.outcomes).toEqual([null, null, null]);
  });

  it('that is cancelled is not begun, and not answered', async () => {
    const h = new Harness();
    await h.call(Infinity, true);
    expect([h.callers, h.outcomes]).toEqual([[], []]);
    expect(h.observer.calls).toMatchObject([{ outcome: 'CANCELLED' }]);
  });
});
