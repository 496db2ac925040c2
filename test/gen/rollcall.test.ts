import { describe, expect, it } from 'vitest';
import { google } from '../../src/gen/rollcall.js';

describe('the generated code', () => {
  it.each([0, 1, -1, 2 ** 31, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])(
    'carries the 64-bit value %d as a number',
    (seconds) => {
      const bytes = google.protobuf.Duration.encode({ seconds, nanos: 7 }).finish();
      const decoded = google.protobuf.Duration.decode(bytes);
      expect(decoded.seconds).toBe(seconds);
      expect(decoded.nanos).toBe(7);
    },
  );

  it('has numbers as defaults of 64-bit fields too', () => {
    expect(google.protobuf.Duration.decode(new Uint8Array(0)).seconds).toBe(0);
    expect(google.protobuf.Duration.create().seconds).toBe(0);
  });

  it('writes the error details with the field numbers that other languages know', () => {
    const status = google.rpc.Status.encode({
      code: 3,
      message: 'no',
      details: [{ type_url: 'a', value: Buffer.of(1) }],
    });
    expect(Buffer.from(status.finish()).toString('hex')).toBe('08031202' + '6e6f' + '1a06' + '0a0161' + '120101');
    const info = google.rpc.ErrorInfo.encode({ reason: 'R', domain: 'd', metadata: { k: 'v' } });
    expect(Buffer.from(info.finish()).toString('hex')).toBe('0a0152' + '120164' + '1a06' + '0a016b' + '120176');
    const retry = google.rpc.RetryInfo.encode({ retryDelay: { seconds: 2 } });
    expect(Buffer.from(retry.finish()).toString('hex')).toBe('0a02' + '0802');
    const bad = google.rpc.BadRequest.encode({ fieldViolations: [{ field: 'f', description: 'd' }] });
    expect(Buffer.from(bad.finish()).toString('hex')).toBe('0a06' + '0a0166' + '120164');
  });

  it('drops fields that it does not know instead of keeping their bytes', () => {
    const decoded = google.protobuf.Duration.decode(Buffer.from('0805' + '7a03616263', 'hex'));
    expect(Object.keys(decoded)).toEqual(['seconds']);
  });
});
