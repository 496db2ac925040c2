import { RollcallError } from '../base/errors.ts';

/** For every call that a stopping member still gets. */
export function stopping(): RollcallError {
  return new RollcallError('NOT_SERVING', 'the member is stopping; ask another', { retryAfterMs: 100 });
}

/** For every call that a fenced member gets. */
export function fenced(): RollcallError {
  return new RollcallError('MEMBER_FENCED', 'this member found its state outside the majority; ask another member', {
    retryAfterMs: 1_000,
  });
}
