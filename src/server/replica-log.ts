import { unreachable } from '../base/assert.ts';
import type { ReplicaEvent } from '../replica/events.ts';

type Level = 'debug' | 'info' | 'warn' | 'error';

/** One line of the log: how serious, what to read, and the facts as fields. */
export interface LogLine {
  readonly level: Level;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

/** What an event of the replica says in the log. @param slowMs Operations that take longer are warned of. */
export function logLineOf(event: ReplicaEvent, slowMs: number): LogLine {
  const { kind: _kind, ...facts } = event;
  switch (event.kind) {
    case 'forming':
      return line('info', `forming a cluster, waits for ${event.waitingFor}`, {});
    case 'formed':
      return line('info', 'the cluster is formed', facts);
    case 'recovered':
      if (event.torn === '') return line('info', 'read the data directory', facts);
      return line('warn', 'read the data directory; a torn last write, never acknowledged, was wiped', facts);
    case 'role':
      return line('info', event.leader === '' ? `${event.role}, no leader known` : `${event.role} in the term`, facts);
    case 'leading':
      return line('info', 'leads: an entry of its own term is applied', facts);
    case 'membership':
      return line('info', 'the members of the cluster have changed', facts);
    case 'transferred':
      return line('info', event.outcome === 'transferred' ? 'handed leadership over' : 'kept leadership', facts);
    case 'joined':
      return line('info', 'the cluster has taken this member in', facts);
    case 'removed':
      return line('warn', 'this member was removed from the cluster for good; it ends', facts);
    case 'suspected':
      return line('warn', 'the leader is gone: its streams have ended and its port refuses', facts);
    case 'stalled':
      return line('warn', 'the event loop stood still for over half an election timeout', facts);
    case 'connected':
      return line('info', 'connected to a peer', facts);
    case 'unreachable':
      return line('warn', 'cannot reach a peer', facts);
    case 'expired':
      return line('info', 'leases were not renewed in time; their ends are proposed', facts);
    case 'flushed':
      return line(event.ms > slowMs ? 'warn' : 'debug', event.ms > slowMs ? 'a slow flush' : 'flushed', facts);
    case 'compacted':
      return line('info', 'dropped a log prefix that is covered by the flushed state', facts);
    case 'snapshot-sent':
      return line('info', 'sent a snapshot', { peer: event.peer, index: event.base.index, ms: Math.round(event.ms) });
    case 'snapshot-failed':
      return line('warn', 'a snapshot could not be sent; it is tried again', facts);
    case 'snapshot-receiving':
      return line('info', 'takes a snapshot', { from: event.from, index: event.base.index });
    case 'snapshot-installed':
      return line('info', 'installed a snapshot', facts);
    case 'hashes-compared':
      return line('debug', 'compared state hashes', facts);
    case 'fenced':
      return line('error', 'this state differs from the majority: the member fences itself and serves nothing', facts);
    case 'hash-split':
      return line('error', 'no majority of members agrees on the state: writes are stopped', facts);
    case 'malformed-forward':
      return line('warn', 'a peer handed on something that is not understood', facts);
    default:
      return unreachable(event);
  }
}

function line(level: Level, message: string, facts: object): LogLine {
  const fields: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(facts)) {
    if (typeof value === 'number') fields[name] = Number.isInteger(value) ? value : Math.round(value * 10) / 10;
    else if (typeof value === 'string' || typeof value === 'boolean') fields[name] = value;
  }
  return { level, message, fields };
}
