import { unreachable } from '../../../src/base/assert.ts';
import type { Observer, Operation, RunView, SimEvent } from '../types.ts';
import type { Change, Ledger, LedgerLease } from './ledger.ts';
import { printed } from './printed.ts';
import { shown } from './views.ts';

/** The greatest time between two leaders, and what the end of a lease may take beside it, by a member's clock. */
const electionTimeoutMs = 1_000;
const lateMsMax = 2_000;
/** From the beginning of the phase of liveness: until everything that lay in broken links has come or gone. */
const settleMs = 2_000;
/** How often late ends are looked for. */
const lateEveryMs = 500;

/** What clients did to keep a lease. */
interface Care {
  /** It must live until then: the latest acknowledged sign of life, and whose. */
  safeToMs: number;
  safeBy: string;
  /** When it was renewed last, as far as anybody can know. */
  lastMs: number;
  /** Single renewals are told, so one that is not told was not made. */
  isRenewalTold: boolean;
  readonly clients: Set<string>;
}

/**
 * A lease lives at least its time from the sending of the last acknowledged sign of life, whatever the leader's clock;
 * none that has ended is renewed, or held by anybody; its instances go together. In the phase of liveness none stands
 * longer than promised.
 */
export class Leases implements Observer {
  readonly name = 'leases';
  readonly #view: RunView;
  readonly #ledger: Ledger;
  readonly #care = new Map<number, Care>();
  /** By operation: when it was called. */
  readonly #open = new Map<number, Operation>();
  readonly #gone = new Set<string>();
  readonly #leaderTerms = new Map<number, number>();
  #livenessMs = Number.POSITIVE_INFINITY;
  #nextLateMs = 0;
  #changesTo = 0;
  #endedTo = 0;
  readonly #endings = new Set<LedgerLease>();

  constructor(view: RunView, ledger: Ledger) {
    this.#view = view;
    this.#ledger = ledger;
  }

  see(event: SimEvent): void {
    const { nowMs } = this.#view;
    if (event.kind === 'invoked') this.#invoked(event.operation);
    else if (event.kind === 'returned') this.#returned(event.operation);
    else if (event.kind === 'kept') this.#kept(event);
    else if (event.kind === 'applied') this.#applied();
    else if (event.kind === 'client-gone') this.#clientGone(event.client);
    else if (event.kind === 'role' && event.role === 'leader') {
      if (!this.#leaderTerms.has(event.term)) this.#leaderTerms.set(event.term, nowMs);
    } else if (event.kind === 'phase' && event.phase === 'liveness') this.#livenessMs = nowMs;
    this.#lookForLate();
  }

  atEnd(): void {
    this.#nextLateMs = 0;
    this.#lookForLate();
  }

  #careOf(leaseId: number): Care {
    let care = this.#care.get(leaseId);
    if (care === undefined) {
      care = { safeToMs: 0, safeBy: 'nobody', lastMs: 0, isRenewalTold: false, clients: new Set() };
      this.#care.set(leaseId, care);
    }
    return care;
  }

  #invoked(operation: Operation): void {
    this.#open.set(operation.number, operation);
    const leaseId = leaseIn(operation);
    if (leaseId === 0) return;
    const care = this.#careOf(leaseId);
    care.clients.add(operation.client);
    if (operation.action.kind === 'renew') care.isRenewalTold = true;
  }

  #returned(operation: Operation): void {
    this.#open.delete(operation.number);
    const { action, outcome, client, startMs, endMs } = operation;
    const leaseId = leaseIn(operation);
    if (leaseId === 0 || action.kind === 'revoke' || action.kind === 'close-session') return;
    const care = this.#careOf(leaseId);
    care.clients.add(client);
    if (outcome?.kind !== 'failed') care.lastMs = Math.max(care.lastMs, endMs);
    if (outcome?.kind !== 'ok' || !isSign(operation)) return;
    const lease = this.#ledger.leases.get(leaseId);
    const ttlMs = lease?.ttlMs ?? ('ttlMs' in action ? action.ttlMs : 0);
    this.#safe(leaseId, care, startMs, ttlMs, printed(operation));
  }

  /** By the library itself, beside all operations. */
  #kept({ client, leaseId, sinceMs }: Extract<SimEvent, { kind: 'kept' }>): void {
    const care = this.#careOf(leaseId);
    care.clients.add(client);
    care.lastMs = Math.max(care.lastMs, this.#view.nowMs);
    const ttlMs = this.#ledger.leases.get(leaseId)?.ttlMs ?? 0;
    this.#safe(leaseId, care, sinceMs, ttlMs, `a sign of life of ${client}, sent at ${sinceMs}`);
  }

  #safe(leaseId: number, care: Care, sinceMs: number, ttlMs: number, by: string): void {
    const safeToMs = sinceMs + ttlMs / this.#view.clockRateMax;
    if (safeToMs > care.safeToMs) {
      care.safeToMs = safeToMs;
      care.safeBy = by;
    }
    const ended = this.#ledger.leases.get(leaseId)?.ended;
    if (ended === undefined) return;
    const text = `lease ${leaseId} ended at ${ended.atMs} by ${ended.by}`;
    if (ended.atMs < sinceMs) this.#breach(`${text}, which is before it was acknowledged to ${by}`);
    else if (ended.by === 'expire-lease' && ended.atMs < safeToMs) this.#tooEarly(text, care);
  }

  #applied(): void {
    const { changes, endedLeases } = this.#ledger;
    for (let change = changes[this.#changesTo]; change !== undefined; change = changes[++this.#changesTo]) {
      this.#changed(change);
    }
    for (let lease = endedLeases[this.#endedTo]; lease !== undefined; lease = endedLeases[++this.#endedTo]) {
      this.#ended(lease);
    }
    for (const lease of this.#endings) this.#checkEnd(lease);
  }

  #changed({ key, before, after, cause, revision }: Change): void {
    const put = after === undefined || after.leaseId === 0 ? undefined : this.#ledger.leases.get(after.leaseId);
    if (put?.ended !== undefined && put.ended.revision < revision && after?.incarnation === revision) {
      this.#breach(
        `revision ${revision} puts ${key} ${shown(after)}, its lease ended at revision ${put.ended.revision}`,
      );
    }
    if (cause !== 'lease-expired' && cause !== 'lease-revoked') return;
    const lease = this.#ledger.leases.get(before?.leaseId ?? 0);
    const isEnded = lease?.ended !== undefined && lease.ended.by !== 'emptied';
    if (isEnded) return;
    // An implicit lease may be emptied by its own end.
    if (lease?.ended?.revision === revision) return;
    this.#breach(`revision ${revision} removes ${key} ${shown(before)} as ${cause}, its lease has not ended`);
  }

  #ended(lease: LedgerLease): void {
    this.#endings.add(lease);
    const care = this.#care.get(lease.leaseId);
    if (care === undefined || lease.ended?.by !== 'expire-lease' || lease.ended.atMs >= care.safeToMs) return;
    this.#tooEarly(`lease ${lease.leaseId} ended at ${lease.ended.atMs} (revision ${lease.ended.revision})`, care);
  }

  /** What an ended lease held is gone, but for what is to go with further revisions. */
  #checkEnd(lease: LedgerLease): void {
    if (lease.remaining > 0) return;
    this.#endings.delete(lease);
    if (lease.keys.size === 0) return;
    this.#breach(
      `lease ${lease.leaseId} ended at revision ${lease.ended?.revision} and holds ${[...lease.keys].join()}`,
    );
  }

  #clientGone(client: string): void {
    this.#gone.add(client);
    for (const care of this.#care.values()) {
      if (care.clients.has(client)) care.lastMs = Math.max(care.lastMs, this.#view.nowMs);
    }
  }

  #lookForLate(): void {
    const { nowMs } = this.#view;
    if (nowMs < this.#nextLateMs || nowMs < this.#livenessMs + settleMs) return;
    this.#nextLateMs = nowMs + lateEveryMs;
    for (const lease of this.#ledger.leases.values()) if (lease.keys.size > 0) this.#checkLate(lease, nowMs);
  }

  #checkLate({ leaseId, ttlMs, keys }: LedgerLease, nowMs: number): void {
    const care = this.#care.get(leaseId);
    // Without a word of its clients nobody knows what they do.
    if (care === undefined || !this.#isLeft(care)) return;
    for (const open of this.#open.values()) {
      if (leaseIn(open) === leaseId && !this.#gone.has(open.client)) return;
    }
    const sinceMs = Math.max(care.lastMs, this.#livenessMs + settleMs);
    const changes = [...this.#leaderTerms.values()].filter((atMs) => atMs > sinceMs).length;
    const rate = this.#view.clockRateMin;
    const endMs = sinceMs + (ttlMs * (1 + changes) + electionTimeoutMs + lateMsMax) / rate;
    if (nowMs <= endMs) return;
    const held = [...keys].join();
    this.#breach(`lease ${leaseId} of ${ttlMs} ms, renewed last at ${care.lastMs}, holds ${held} at ${nowMs}`);
  }

  /** Nobody renews it, or each renewal is told. */
  #isLeft({ isRenewalTold, clients }: Care): boolean {
    return isRenewalTold || [...clients].every((client) => this.#gone.has(client));
  }

  #tooEarly(text: string, { safeBy, safeToMs }: Care): void {
    this.#breach(`${text}, it was safe to ${safeToMs} by ${safeBy}`);
  }

  #breach(text: string): void {
    this.#view.breach(this.name, text);
  }
}

/** The lease that an operation is about, as far as it is known; 0: none. */
function leaseIn({ action, outcome }: Operation): number {
  const answered = outcome?.kind === 'ok' ? (outcome.leaseId ?? 0) : 0;
  switch (action.kind) {
    case 'register':
      return action.lifetime === 'lease' || action.lifetime === 'session' ? action.leaseId : answered;
    case 'grant':
    case 'open-session':
      return answered;
    case 'renew':
    case 'revoke':
      return action.leaseId;
    case 'close-session':
      return action.sessionId;
    case 'update':
    case 'deregister':
    case 'batch':
    case 'discover':
      return 0;
    default:
      return unreachable(action);
  }
}

/** An acknowledged sign of life. What is written through a session is none. */
function isSign({ action, outcome }: Operation): boolean {
  if (action.kind === 'register') return action.lifetime === 'new' || action.lifetime === 'lease';
  if (action.kind === 'renew') return outcome?.kind === 'ok' && outcome.existed === true;
  return action.kind === 'grant' || action.kind === 'open-session';
}
