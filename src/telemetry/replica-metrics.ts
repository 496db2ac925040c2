import { unreachable } from '../base/assert.ts';
import type { ReplicaEvent } from '../replica/events.ts';
import type { MemberMetrics } from './metrics.ts';

/** Counts one event of the replica. */
export function countReplicaEvent(metrics: MemberMetrics, event: ReplicaEvent): void {
  switch (event.kind) {
    case 'role':
      return metrics.roleChanges.inc({ role: event.role });
    case 'leading':
      return metrics.leaderships.inc();
    case 'stalled':
      return metrics.stalls.inc();
    case 'unreachable':
      return metrics.peerFailures.inc({ peer: event.peer });
    case 'expired':
      return metrics.expiredLeases.inc(event.leases);
    case 'flushed':
      metrics.flushSeconds.observe(event.ms / 1_000);
      return metrics.flushedKeys.inc(event.keys);
    case 'compacted':
      return metrics.compactions.inc();
    case 'snapshot-sent':
      return metrics.snapshots.inc({ event: 'sent' });
    case 'snapshot-failed':
      return metrics.snapshots.inc({ event: 'failed' });
    case 'snapshot-receiving':
      return metrics.snapshots.inc({ event: 'receiving' });
    case 'snapshot-installed':
      return metrics.snapshots.inc({ event: 'installed' });
    case 'hashes-compared':
      return metrics.hashComparisons.inc();
    case 'fenced':
      return metrics.hashMismatches.inc({ kind: 'fenced' });
    case 'hash-split':
      return metrics.hashMismatches.inc({ kind: 'split' });
    case 'malformed-forward':
      return metrics.malformedForwards.inc();
    // Told by the status at each scrape, or by the log alone.
    case 'forming':
    case 'formed':
    case 'recovered':
    case 'connected':
    case 'membership':
    case 'transferred':
    case 'joined':
    case 'removed':
    case 'suspected':
      return;
    default:
      return unreachable(event);
  }
}
