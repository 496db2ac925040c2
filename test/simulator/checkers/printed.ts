import { unreachable } from '../../../src/base/assert.ts';
import type { Action, Operation } from '../types.ts';

/** An operation in one line, for messages. */
export function printed(operation: Operation): string {
  const { number, client, action, startMs, outcome } = operation;
  const ended = outcome === undefined ? 'open' : outcome.kind === 'ok' ? '' : `${outcome.kind} ${outcome.reason}`;
  return `operation ${number} (${client}, asked at ${startMs}${ended === '' ? '' : `, ${ended}`}): ${what(action)}`;
}

function what(action: Action): string {
  switch (action.kind) {
    case 'register':
      return `register ${action.key} value ${action.value} ${action.lifetime}`;
    case 'update':
      return `update ${action.key} incarnation ${action.incarnation} to value ${action.value}`;
    case 'deregister':
      return `deregister ${action.key} incarnation ${action.incarnation}`;
    case 'batch':
      return `batch ${action.keys.map((key, i) => `${key} value ${action.values[i]}`).join(', ')}`;
    case 'grant':
    case 'open-session':
      return `${action.kind} of ${action.ttlMs} ms`;
    case 'revoke':
    case 'renew':
      return `${action.kind} lease ${action.leaseId}`;
    case 'close-session':
      return `close-session ${action.sessionId}`;
    case 'discover':
      return `discover ${action.service} ${action.consistency}`;
    default:
      return unreachable(action);
  }
}

/** The values that an action sends, with their keys. */
export function valuesOf(action: Action): readonly (readonly [key: string, value: number])[] {
  if (action.kind === 'register' || action.kind === 'update') return [[action.key, action.value]];
  if (action.kind === 'batch') return action.keys.map((key, i) => [key, action.values[i] ?? Number.NaN]);
  return [];
}
