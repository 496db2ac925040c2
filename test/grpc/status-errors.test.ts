import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import type { Reason } from '../../src/base/errors.ts';
import { invalidField, reasonCodes, RollcallError } from '../../src/base/errors.ts';
import { grpcLimits } from '../../src/grpc/limits.ts';
import { callStatusOf } from '../../src/grpc/status-errors.ts';
import { detailsOf } from './grpc-harness.ts';

function decoded(error: RollcallError): ReturnType<typeof detailsOf> & { code: number; details: string } {
  const sent = callStatusOf(error);
  return { ...detailsOf(Object.assign(new Error(), sent)), code: sent.code, details: sent.details };
}

describe('callStatusOf', () => {
  it.each(Object.keys(reasonCodes) as Reason[])('gives %s its code, and the details the same', (reason) => {
    const error = decoded(new RollcallError(reason, `why: ${reason}`, { facts: { leader: 'b' } }));
    expect(error.code).toBe(status[reasonCodes[reason]]);
    expect(error.status).toMatchObject({ code: error.code, message: error.details });
    expect(error.errorInfo).toMatchObject({ reason, domain: 'rollcall', metadata: { leader: 'b' } });
  });

  it('names the field', () => {
    const error = decoded(invalidField('instance.endpoints[2].port', 'is 0, allowed is 1 to 65535'));
    expect(error.badRequest?.fieldViolations).toMatchObject([
      { field: 'instance.endpoints[2].port', description: 'instance.endpoints[2].port: is 0, allowed is 1 to 65535' },
    ]);
  });

  it.each([
    [0, 0, 0],
    [1, 0, 1_000_000],
    [999.2, 1, 0],
    [61_500, 61, 500_000_000],
  ])('hints at %d ms', (retryAfterMs, seconds, nanos) => {
    const error = decoded(new RollcallError('OVERLOADED', 'busy', { retryAfterMs }));
    expect(error.retryInfo?.retryDelay?.seconds ?? 0).toBe(seconds);
    expect(error.retryInfo?.retryDelay?.nanos ?? 0).toBe(nanos);
  });

  it('keeps what it sends small and encodable', () => {
    const long = 'ü'.repeat(100_000);
    const facts = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`fact${i}`, long]));
    const sent = callStatusOf(new RollcallError('INTERNAL', long, { facts }));
    expect(sent.details).toHaveLength(grpcLimits.statusMessageUnitsMax);
    const [bytes] = sent.metadata.get('grpc-status-details-bin');
    expect(bytes?.length).toBeLessThan(16 * 1024);
    const torn = callStatusOf(new RollcallError('INTERNAL', `torn \ud83d here`));
    expect(() => encodeURI(torn.details)).not.toThrow();
    expect(decoded(new RollcallError('INTERNAL', `torn \ud83d`)).status.message).toBe('torn \ufffd');
  });
});
