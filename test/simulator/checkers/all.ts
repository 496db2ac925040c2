import type { Observer, RunView } from '../types.ts';
import { Acknowledged } from './acknowledged.ts';
import { Holdings } from './holdings.ts';
import { Horizon } from './horizon.ts';
import { Leases } from './leases.ts';
import { LeaseTime, type Pauses } from './lease-time.ts';
import { Ledger } from './ledger.ts';
import { Linearizability } from './linearizability.ts';
import { Progress } from './progress.ts';
import { CommittedEntries } from './raft-commit.ts';
import { RaftLogs } from './raft-log.ts';
import { RaftPromises } from './raft-promises.ts';
import { Reads } from './reads.ts';
import { Refusals } from './refusals.ts';
import { Sessions } from './sessions.ts';
import { StateSafety } from './state-safety.ts';
import { Strangers } from './strangers.ts';
import { Values } from './values.ts';
import { defaultResetBounds, type ResetBounds, Watches } from './watches.ts';

const noPauses: Pauses = { tickMs: 1, of: () => ({ ms: 0, count: 0 }) };

export interface CheckerOptions {
  /** Lower where the run has smaller histories or queues. Default: those of a member as it is configured. */
  readonly resetBounds?: ResetBounds;
  /** When members stood still. Default: never. */
  readonly pauses?: Pauses;
}

/**
 * Every checker of what users are promised. Each must be given every event, in the order of this list: the first ones
 * feed what the others read, the last one counts what they have looked at.
 */
export function allCheckers(view: RunView, options: CheckerOptions = {}): Observer[] {
  const ledger = new Ledger();
  const strangers = new Strangers();
  const horizon = new Horizon(view);
  const committed = new CommittedEntries();
  const logs = new RaftLogs(view, committed);
  return [
    strangers,
    new StateSafety(view, ledger, strangers),
    logs,
    new RaftPromises(view, committed, logs, strangers),
    new Acknowledged(view, ledger, horizon),
    new Reads(view, ledger, horizon),
    new Values(view, ledger),
    new Refusals(view, ledger, horizon),
    new Leases(view, ledger),
    new LeaseTime(view, ledger, options.pauses ?? noPauses),
    new Sessions(view, ledger),
    new Holdings(view, ledger),
    new Watches(view, ledger, horizon, options.resetBounds ?? defaultResetBounds),
    new Progress(view, ledger),
    new Linearizability(view, ledger),
    horizon,
  ];
}
