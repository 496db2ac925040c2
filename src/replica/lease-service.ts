import { encodeCommand } from '../state-machine/command-codec.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import type { CommandBody, LeaseChange } from '../state-machine/types.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import type { RenewResult } from './types.ts';
import type { CallOutcome } from './write-calls.ts';

/** Leases whose end is proposed in one tick; the rest falls due at the next. */
const expiriesPerTickMax = 1_000;

export interface LeaseServiceOptions {
  readonly memberId: string;
  readonly tickMs: number;
  readonly state: () => Registry;
  /** A linearizable read barrier of this member, shared with reads. */
  readonly barrier: () => Promise<void>;
  /** Proposes a command of the member itself, behind the clients' that wait. */
  readonly propose: (command: Uint8Array, onOutcome: (outcome: CallOutcome) => void) => void;
  readonly onExpired: (leases: number) => void;
}

/** One time of leading. */
interface Leadership {
  readonly term: number;
  readonly keeper: LeaseKeeper;
  readonly waitingForEnd: Map<number, (() => void)[]>;
  readonly reaping: Set<number>;
  /** After a stall: nothing falls due before a quorum has confirmed that this member still leads. */
  confirmed: boolean;
}

/**
 * Leases as the leader keeps them (design section 5). A renewal goes to the leader's memory, not through the log; it is
 * acknowledged only behind a quorum round that began after it arrived, so a leader that was replaced acknowledges none.
 * Ends of leases go through the log. Every other member answers 'unavailable'.
 */
export class LeaseService {
  readonly #options: LeaseServiceOptions;
  #leadership: Leadership | undefined;
  #nowTick = 0;

  constructor(options: LeaseServiceOptions) {
    this.#options = options;
  }

  get leading(): boolean {
    return this.#leadership !== undefined;
  }

  /** This member leads `term` and has applied an entry of it: every lease starts in full. */
  lead(term: number): void {
    const keeper = new LeaseKeeper(this.#options.tickMs, this.#nowTick);
    for (const lease of this.#options.state().liveLeases()) keeper.begin(lease, this.#nowTick);
    const leadership: Leadership = {
      term,
      keeper,
      waitingForEnd: new Map(),
      reaping: new Set(),
      confirmed: true,
    };
    this.#leadership = leadership;
    for (const lease of this.#options.state().endedLeases()) this.#reap(leadership, lease.leaseId);
  }

  follow(): void {
    const leadership = this.#leadership;
    this.#leadership = undefined;
    if (leadership === undefined) return;
    for (const waiters of leadership.waitingForEnd.values()) for (const wake of waiters) wake();
  }

  applied(changes: readonly LeaseChange[]): void {
    const leadership = this.#leadership;
    if (leadership === undefined) return;
    for (const change of changes) {
      leadership.keeper.change(change, this.#nowTick);
      if (change.kind !== 'ended') continue;
      leadership.reaping.delete(change.leaseId);
      this.#wake(leadership, change.leaseId);
      if (change.remaining > 0) this.#reap(leadership, change.leaseId);
    }
  }

  async renew(leaseIds: readonly number[]): Promise<RenewResult[]> {
    const leadership = this.#leadership;
    if (leadership === undefined) return unavailable(leaseIds);
    // The time to live counts from here, not from the acknowledgement.
    const arrivalTick = this.#nowTick;
    for (const leaseId of leaseIds) leadership.keeper.touch(leaseId, arrivalTick);
    try {
      await this.#options.barrier();
    } catch {
      return unavailable(leaseIds);
    }
    if (this.#leadership !== leadership) return unavailable(leaseIds);
    const results: RenewResult[] = [];
    for (const leaseId of leaseIds) results.push(await this.#renewed(leadership, leaseId));
    return results;
  }

  tick(nowTick: number, stalled: boolean): void {
    this.#nowTick = nowTick;
    const leadership = this.#leadership;
    if (leadership === undefined) return;
    if (stalled) this.#confirmAnew(leadership);
    if (!leadership.confirmed) return;
    const due = leadership.keeper.due(nowTick, expiriesPerTickMax);
    for (const { leaseId, epoch } of due) this.#expire(leadership, leaseId, epoch);
    if (due.length > 0) this.#options.onExpired(due.length);
  }

  async #renewed(leadership: Leadership, leaseId: number): Promise<RenewResult> {
    while (leadership.keeper.isExpiring(leaseId)) {
      // Its end is on its way through the log: only the outcome can say whether there is anything to renew.
      await new Promise<void>((wake) => {
        const waiting = leadership.waitingForEnd.get(leaseId);
        if (waiting === undefined) leadership.waitingForEnd.set(leaseId, [wake]);
        else waiting.push(wake);
      });
      if (this.#leadership !== leadership) return { leaseId, status: 'unavailable', ttlMs: 0 };
    }
    if (leadership.keeper.touch(leaseId, this.#nowTick) === 'unknown') return { leaseId, status: 'unknown', ttlMs: 0 };
    const lease = this.#options.state().lease(leaseId);
    if (lease === undefined || lease.ended) return { leaseId, status: 'unknown', ttlMs: 0 };
    return { leaseId, status: 'renewed', ttlMs: lease.ttlMs };
  }

  #expire(leadership: Leadership, leaseId: number, epoch: number): void {
    const command = this.#command(
      { kind: 'expire-lease', leaseId, epoch, term: leadership.term },
      'lease not renewed in time',
    );
    this.#options.propose(command, (outcome) => {
      if (this.#leadership !== leadership) return;
      // Ended: the change told the keeper already. Void or not taken: it lives, and falls due again unless renewed.
      if (!outcome.ok || outcome.result.kind === 'refused') leadership.keeper.restore(leaseId, this.#nowTick);
      this.#wake(leadership, leaseId);
    });
  }

  #reap(leadership: Leadership, leaseId: number): void {
    if (leadership.reaping.has(leaseId)) return;
    leadership.reaping.add(leaseId);
    const command = this.#command({ kind: 'reap-lease', leaseId }, 'rest of an ended lease');
    this.#options.propose(command, (outcome) => {
      if (this.#leadership !== leadership || outcome.ok) return;
      leadership.reaping.delete(leaseId);
      this.#reap(leadership, leaseId);
    });
  }

  #confirmAnew(leadership: Leadership): void {
    leadership.confirmed = false;
    this.#options.barrier().then(
      () => {
        leadership.confirmed = true;
      },
      () => {
        if (this.#leadership === leadership) this.#confirmAnew(leadership);
      },
    );
  }

  #wake(leadership: Leadership, leaseId: number): void {
    const waiting = leadership.waitingForEnd.get(leaseId);
    if (waiting === undefined) return;
    leadership.waitingForEnd.delete(leaseId);
    for (const wake of waiting) wake();
  }

  #command(body: CommandBody, reason: string): Uint8Array {
    return encodeCommand({ actor: 'system', origin: this.#options.memberId, reason, requestId: '', body });
  }
}

export function unavailable(leaseIds: readonly number[]): RenewResult[] {
  return leaseIds.map((leaseId) => ({ leaseId, status: 'unavailable', ttlMs: 0 }));
}
