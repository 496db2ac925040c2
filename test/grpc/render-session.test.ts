import { describe, expect, it } from 'vitest';
import type { SessionAnswer, SessionResult } from '../../src/api/types.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { renderSessionAnswer } from '../../src/grpc/render-session.ts';

const { v1 } = rollcall;
const header = { revision: 9, member: 'a', consistency: 'linearizable', ageMs: 0 } as const;
const name = { namespace: 'default', service: 'cart', id: 'i' };

function shown(answer: SessionAnswer): object {
  return v1.SessionResponse.toObject(v1.SessionResponse.decode(renderSessionAnswer(answer)), { enums: String });
}

describe('an answer of a session', () => {
  it('says what was opened', () => {
    const opened = { kind: 'opened', header, sessionId: 2 ** 41, ttlMs: 5_000, lastSequence: 3, instances: 4 } as const;
    expect(shown({ ...opened, moreLost: true })).toEqual({
      opened: {
        header: { revision: 9, member: 'a' },
        sessionId: 2 ** 41,
        ttlMs: 5_000,
        lastSequence: 3,
        instances: 4,
        moreLost: true,
      },
    });
    expect(shown({ ...opened, lastSequence: 0, instances: 0, moreLost: false })).toEqual({
      opened: { header: { revision: 9, member: 'a' }, sessionId: 2 ** 41, ttlMs: 5_000 },
    });
  });

  it('has one result an operation, whatever it is', () => {
    const statuses = ['registered', 'replaced', 'updated', 'unchanged', 'deregistered', 'absent'] as const;
    const results: SessionResult[] = statuses.map((status, i) => ({ status, incarnation: i, reason: '', message: '' }));
    results.push({ status: 'refused', incarnation: 7, reason: 'SUPERSEDED', message: 'why' });
    expect(shown({ kind: 'written', header, sequence: 5, results })).toEqual({
      written: {
        header: { revision: 9, member: 'a' },
        sequence: 5,
        results: [
          { status: 'SESSION_RESULT_STATUS_REGISTERED' },
          { status: 'SESSION_RESULT_STATUS_REPLACED', incarnation: 1 },
          { status: 'SESSION_RESULT_STATUS_UPDATED', incarnation: 2 },
          { status: 'SESSION_RESULT_STATUS_UNCHANGED', incarnation: 3 },
          { status: 'SESSION_RESULT_STATUS_DEREGISTERED', incarnation: 4 },
          { status: 'SESSION_RESULT_STATUS_ABSENT', incarnation: 5 },
          {
            status: 'SESSION_RESULT_STATUS_REFUSED',
            incarnation: 7,
            errorReason: 'SUPERSEDED',
            errorMessage: 'why',
          },
        ],
      },
    });
  });

  it('gives a ping back, also the first of all', () => {
    expect(shown({ kind: 'pong', pingId: 8, renewed: true })).toEqual({ pong: { pingId: 8, renewed: true } });
    expect(shown({ kind: 'pong', pingId: 0, renewed: false })).toEqual({ pong: {} });
  });

  it('names what was lost, why, and to whom', () => {
    expect(shown({ kind: 'lost', lost: { name, cause: 'superseded', incarnation: 12 } })).toEqual({
      lost: { key: name, cause: 'SESSION_LOST_CAUSE_SUPERSEDED', incarnation: 12 },
    });
    expect(shown({ kind: 'lost', lost: { name, cause: 'deregistered', incarnation: 0 } })).toEqual({
      lost: { key: name, cause: 'SESSION_LOST_CAUSE_DEREGISTERED' },
    });
  });
});
