import { encodeCommand } from '../state-machine/command-codec.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import type { CommandBody, LeaseChange } from '../state-machine/types.ts';
import { type DueLease, LeaseKeeper } from './lease-keeper.ts';
import type { RenewResult } from './types.ts';
import type { CallOutcome } from './write-calls.ts';

export const leaseBounds = {
  /** Leases whose end is proposed in one tick; the rest falls due at the next. */
  expiriesPerTickMax: 1_000,
  /** Proposals of this service without an outcome: more ends of leases wait, so that clients' writes find room. */
  proposalsMax: 4_096,
  /** Leases that a new leader takes in, and ends of leases that are proposed, in one turn of the loop: about 1 ms. */
  leasesPerTurnMax: 2_000,
  expiriesPerTurnMax: 250,
  /** Leases that live at least so many heartbeats have time to wait for the next one: it costs no round of its own. */
  patientHeartbeatsMin: 20,
} as const;

export interface LeaseServiceOptions {
  readonly memberId: string;
  readonly tickMs: number;
  readonly heartbeatTicks: number;
  /** A renewal that waits for the end of its lease is answered 'unavailable' after this long. */
  readonly timeoutTicks: number;
  readonly state: () => Registry;
  /** A linearizable read barrier of this member, shared with reads. A patient one goes with the next heartbeat. */
  readonly barrier: (patient: boolean) => Promise<void>;
  /** Proposes a command of the member itself, behind the clients' that wait. */
  readonly propose: (command: Uint8Array, onOutcome: (outcome: CallOutcome) => void) => void;
  /** Runs `work` in a later turn of the loop. */
  readonly nextTurn: (work: () => void) => void;
  readonly onExpired: (leases: number) => void;
}

/** A renewal of a lease whose end is on its way. */
interface EndWaiter {
  readonly deadlineTick: number;
  readonly wake: () => void;
}

/** One time of leading. */
interface Leadership {
  readonly term: number;
  readonly keeper: LeaseKeeper;
  /** Leases up to this id are in the keeper; Infinity once all are. They are taken in over several turns. */
  takenInTo: number;
  /** Leases that fell due and whose end is to be proposed in this turn or the next. */
  readonly toExpire: DueLease[];
  /** A turn that goes on with them is scheduled. */
  expiring: boolean;
  readonly waitingForEnd: Map<number, EndWaiter[]>;
  /** Ended leases with instances left, whose removal is to be proposed. */
  readonly toReap: Set<number>;
  /** Proposals without an outcome. */
  underWay: number;
  /** After a stall: nothing falls due before a quorum has confirmed that this member still leads. */
  confirmed: boolean;
  confirming: boolean;
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
    const leadership: Leadership = {
      term,
      keeper,
      takenInTo: 0,
      toExpire: [],
      expiring: false,
      waitingForEnd: new Map(),
      toReap: new Set(),
      underWay: 0,
      confirmed: true,
      confirming: false,
    };
    this.#leadership = leadership;
    this.#takeIn(leadership);
    for (const lease of this.#options.state().endedLeases()) leadership.toReap.add(lease.leaseId);
    this.#reap(leadership);
  }

  follow(): void {
    const leadership = this.#leadership;
    this.#leadership = undefined;
    if (leadership === undefined) return;
    for (const waiters of leadership.waitingForEnd.values()) for (const { wake } of waiters) wake();
  }

  applied(changes: readonly LeaseChange[]): void {
    const leadership = this.#leadership;
    if (leadership === undefined) return;
    for (const change of changes) {
      leadership.keeper.change(change, this.#nowTick);
      if (change.kind !== 'ended') continue;
      this.#wake(leadership, change.leaseId);
      if (change.remaining > 0) leadership.toReap.add(change.leaseId);
    }
    this.#reap(leadership);
  }

  async renew(leaseIds: readonly number[]): Promise<RenewResult[]> {
    const leadership = this.#leadership;
    if (leadership === undefined) return unavailable(leaseIds);
    // The time to live counts from here, not from the acknowledgement.
    const arrivalTick = this.#nowTick;
    for (const leaseId of leaseIds) this.#touch(leadership, leaseId, arrivalTick);
    try {
      await this.#options.barrier(leaseIds.every((leaseId) => this.#isPatient(leadership, leaseId)));
    } catch {
      return unavailable(leaseIds);
    }
    if (this.#leadership !== leadership) return unavailable(leaseIds);
    const results: RenewResult[] = [];
    const deadlineTick = arrivalTick + this.#options.timeoutTicks;
    for (const leaseId of leaseIds) results.push(await this.#renewed(leadership, leaseId, deadlineTick));
    return results;
  }

  tick(nowTick: number, stalled: boolean): void {
    this.#nowTick = nowTick;
    const leadership = this.#leadership;
    if (leadership === undefined) return;
    if (leadership.waitingForEnd.size > 0) this.#wakeLate(leadership);
    if (stalled) leadership.confirmed = false;
    if (!leadership.confirmed) {
      this.#confirmAnew(leadership);
      return;
    }
    const { expiriesPerTickMax, proposalsMax } = leaseBounds;
    const room = Math.min(expiriesPerTickMax, proposalsMax - leadership.underWay - leadership.toExpire.length);
    const due = leadership.keeper.due(nowTick, room);
    if (due.length > 0) this.#options.onExpired(due.length);
    leadership.toExpire.push(...due);
    if (!leadership.expiring) this.#expireSome(leadership);
    this.#reap(leadership);
  }

  /** A million leases at once would hold the loop for a second: a slice a turn, until all are in the keeper. */
  #takeIn(leadership: Leadership): void {
    if (this.#leadership !== leadership) return;
    const { leasesPerTurnMax } = leaseBounds;
    const leases = this.#options.state().liveLeases(leadership.takenInTo, leasesPerTurnMax);
    for (const lease of leases) {
      if (!leadership.keeper.has(lease.leaseId)) leadership.keeper.begin(lease, this.#nowTick);
    }
    leadership.takenInTo = leases.at(-1)?.leaseId ?? Number.POSITIVE_INFINITY;
    if (leases.length > 0) this.#options.nextTurn(() => this.#takeIn(leadership));
  }

  /** A renewal of a lease that is not taken in yet takes it in. */
  #touch(leadership: Leadership, leaseId: number, nowTick: number): 'live' | 'expiring' | 'unknown' {
    if (leaseId > leadership.takenInTo && !leadership.keeper.has(leaseId)) {
      const lease = this.#options.state().lease(leaseId);
      if (lease !== undefined && !lease.ended) leadership.keeper.begin(lease, nowTick);
    }
    return leadership.keeper.touch(leaseId, nowTick);
  }

  /** A short lease cannot wait for a heartbeat: its client would think it lost. One that is not known costs nothing. */
  #isPatient({ keeper }: Leadership, leaseId: number): boolean {
    const lengthTicks = keeper.lengthTicks(leaseId);
    return lengthTicks === 0 || lengthTicks >= leaseBounds.patientHeartbeatsMin * this.#options.heartbeatTicks;
  }

  #expireSome(leadership: Leadership): void {
    leadership.expiring = false;
    // After a stall the rest waits for the tick behind the confirmation.
    if (this.#leadership !== leadership || !leadership.confirmed) return;
    for (const { leaseId, epoch } of leadership.toExpire.splice(0, leaseBounds.expiriesPerTurnMax)) {
      this.#expire(leadership, leaseId, epoch);
    }
    if (leadership.toExpire.length === 0) return;
    leadership.expiring = true;
    this.#options.nextTurn(() => this.#expireSome(leadership));
  }

  async #renewed(leadership: Leadership, leaseId: number, deadlineTick: number): Promise<RenewResult> {
    while (leadership.keeper.isExpiring(leaseId)) {
      if (this.#nowTick >= deadlineTick) return { leaseId, status: 'unavailable', ttlMs: 0 };
      // Its end is on its way through the log: only the outcome can say whether there is anything to renew.
      await new Promise<void>((wake) => {
        const waiting = leadership.waitingForEnd.get(leaseId);
        if (waiting === undefined) leadership.waitingForEnd.set(leaseId, [{ deadlineTick, wake }]);
        else waiting.push({ deadlineTick, wake });
      });
      if (this.#leadership !== leadership) return { leaseId, status: 'unavailable', ttlMs: 0 };
    }
    if (this.#touch(leadership, leaseId, this.#nowTick) === 'unknown') return { leaseId, status: 'unknown', ttlMs: 0 };
    const lease = this.#options.state().lease(leaseId);
    if (lease === undefined || lease.ended) return { leaseId, status: 'unknown', ttlMs: 0 };
    return { leaseId, status: 'renewed', ttlMs: lease.ttlMs };
  }

  #expire(leadership: Leadership, leaseId: number, epoch: number): void {
    const command = this.#command(
      { kind: 'expire-lease', leaseId, epoch, term: leadership.term },
      'lease not renewed in time',
    );
    leadership.underWay++;
    this.#options.propose(command, (outcome) => {
      leadership.underWay--;
      if (this.#leadership !== leadership) return;
      // It may still be applied: the lease stays EXPIRING, since a renewal could be taken back by it.
      if (!outcome.ok && outcome.error.reason === 'OUTCOME_UNKNOWN') return;
      // Ended: the change told the keeper already. Void or not taken: it lives, and falls due again unless renewed.
      if (!outcome.ok || outcome.result.kind === 'refused') leadership.keeper.restore(leaseId, this.#nowTick);
      this.#wake(leadership, leaseId);
    });
  }

  /** Proposes what there is room for; what is not taken goes again with the next tick, never at once. */
  #reap(leadership: Leadership): void {
    if (leadership.toReap.size === 0) return;
    // A copy: what is refused on the spot comes back into the set, and would be met again without end.
    const leaseIds = Array.from(leadership.toReap);
    for (const leaseId of leaseIds) {
      if (leadership.underWay >= leaseBounds.proposalsMax) return;
      leadership.toReap.delete(leaseId);
      leadership.underWay++;
      const command = this.#command({ kind: 'reap-lease', leaseId }, 'rest of an ended lease');
      this.#options.propose(command, (outcome) => {
        leadership.underWay--;
        if (!outcome.ok) leadership.toReap.add(leaseId);
      });
    }
  }

  /** One round at a time; where it fails the next tick begins another. */
  #confirmAnew(leadership: Leadership): void {
    if (leadership.confirming) return;
    leadership.confirming = true;
    this.#options.barrier(false).then(
      () => {
        leadership.confirming = false;
        leadership.confirmed = true;
      },
      () => {
        leadership.confirming = false;
      },
    );
  }

  #wakeLate(leadership: Leadership): void {
    for (const [leaseId, waiting] of leadership.waitingForEnd) {
      const late = waiting.filter(({ deadlineTick }) => deadlineTick <= this.#nowTick);
      if (late.length === 0) continue;
      const others = waiting.filter(({ deadlineTick }) => deadlineTick > this.#nowTick);
      if (others.length === 0) leadership.waitingForEnd.delete(leaseId);
      else leadership.waitingForEnd.set(leaseId, others);
      for (const { wake } of late) wake();
    }
  }

  #wake(leadership: Leadership, leaseId: number): void {
    const waiting = leadership.waitingForEnd.get(leaseId);
    if (waiting === undefined) return;
    leadership.waitingForEnd.delete(leaseId);
    for (const { wake } of waiting) wake();
  }

  #command(body: CommandBody, reason: string): Uint8Array {
    return encodeCommand({ actor: 'system', origin: this.#options.memberId, reason, requestId: '', body });
  }
}

export function unavailable(leaseIds: readonly number[]): RenewResult[] {
  return leaseIds.map((leaseId) => ({ leaseId, status: 'unavailable', ttlMs: 0 }));
}
