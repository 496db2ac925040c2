import type { MemberId } from '../../../src/raft/types.ts';
import type { Observer, Operation, RunView, SimEvent } from '../types.ts';
import type { Ledger, LedgerLease } from './ledger.ts';

/** When processes stood still. */
export interface Pauses {
  readonly tickMs: number;
  /** Of the member within these moments of the world's clock: how long, and how often. */
  of(member: MemberId, fromMs: number, toMs: number): { readonly ms: number; readonly count: number };
}

/** A side that stands still counts the tick that it was in, and the one in which it goes on. */
const ticksAPauseMax = 2;

/**
 * The time of leases stands still with their leader: what it missed in a pause counts for no lease, since renewals may
 * lie unread in its sockets. So a lease lives its time beside all pauses of the leader that ends it, from the
 * beginning of its lead and from each acknowledged sign of life.
 */
export class LeaseTime implements Observer {
  readonly name = 'lease-time';
  readonly #view: RunView;
  readonly #ledger: Ledger;
  readonly #pauses: Pauses;
  readonly #leaders = new Map<number, { readonly member: MemberId; readonly sinceMs: number }>();
  readonly #signs = new Map<number, number>();
  #endedTo = 0;

  constructor(view: RunView, ledger: Ledger, pauses: Pauses) {
    this.#view = view;
    this.#ledger = ledger;
    this.#pauses = pauses;
  }

  see(event: SimEvent): void {
    if (event.kind === 'applied') this.#applied(event.term);
    else if (event.kind === 'returned') this.#returned(event.operation);
    else if (event.kind === 'kept') this.#sign(event.leaseId, event.sinceMs);
    else if (event.kind === 'role' && event.role === 'leader' && !this.#leaders.has(event.term)) {
      this.#leaders.set(event.term, { member: event.member, sinceMs: this.#view.nowMs });
    }
  }

  #returned({ action, outcome, startMs }: Operation): void {
    if (outcome?.kind !== 'ok') return;
    if (action.kind === 'renew') {
      if (outcome.existed === true) this.#sign(action.leaseId, startMs);
    } else if ((action.kind === 'grant' || action.kind === 'open-session') && outcome.leaseId !== undefined) {
      this.#sign(outcome.leaseId, startMs);
    }
  }

  #sign(leaseId: number, atMs: number): void {
    if (atMs > (this.#signs.get(leaseId) ?? 0)) this.#signs.set(leaseId, atMs);
  }

  #applied(term: number): void {
    const { endedLeases } = this.#ledger;
    for (let lease = endedLeases[this.#endedTo]; lease !== undefined; lease = endedLeases[++this.#endedTo]) {
      if (lease.ended?.by === 'expire-lease') this.#ended(lease, term);
    }
  }

  #ended({ leaseId, ttlMs }: LedgerLease, term: number): void {
    const leader = this.#leaders.get(term);
    if (leader === undefined) return;
    const { nowMs, clockRateMax } = this.#view;
    const fromMs = Math.max(leader.sinceMs, this.#signs.get(leaseId) ?? 0);
    const { ms, count } = this.#pauses.of(leader.member, fromMs, nowMs);
    if (count === 0) return;
    const livedMs = (nowMs - fromMs - ms) * clockRateMax + count * ticksAPauseMax * this.#pauses.tickMs;
    if (livedMs >= ttlMs) return;
    const text = `lease ${leaseId} of ${ttlMs} ms is ended by leader ${leader.member} of term ${term}`;
    const since = fromMs === leader.sinceMs ? 'it leads' : 'a sign of life';
    const seen = `of the ${nowMs - fromMs} ms since ${since} at ${fromMs} it stood still for ${ms}`;
    this.#view.breach(this.name, `${text}, ${seen}`);
  }
}
