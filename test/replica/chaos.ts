import { must } from '../../src/base/assert.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { SeededRandom } from '../../src/base/random.ts';
import type { CommandBody, CommandResult, InstanceName } from '../../src/state-machine/types.ts';
import { HashLedger } from './hash-ledger.ts';
import { MemoryCluster } from './memory-cluster.ts';

const stepMs = 5;
/** Two election timeouts, a tick, and the step of the harness. */
const settleMsMax = 2 * 20 * 50 + 60;

interface Slot {
  readonly name: InstanceName;
  /** What the newest acknowledged write left there; undefined: absent. */
  revision: number;
  present: boolean;
  busy: boolean;
  incarnation: number;
}

interface Lease {
  readonly id: number;
  readonly ttlMs: number;
  /** Not to be gone before. */
  readonly safeUntilMs: number;
  /** Whoever has applied so much knows of it. */
  readonly knownIndex: number;
}

export interface ChaosReport {
  readonly acknowledged: number;
  readonly refused: number;
  readonly unknown: number;
  readonly reads: number;
  readonly renewals: number;
  readonly crashes: number;
  readonly snapshots: number;
}

/**
 * One random life of a cluster, drawn from a seed: crashes, cuts, frozen members and slow disks under load, with what
 * was promised checked all the way. Throws with the seed where a promise is broken.
 */
export class ChaosRun {
  readonly #seed: number;
  readonly #random: SeededRandom;
  readonly #cluster: MemoryCluster;
  readonly #ids: readonly string[];
  readonly #slots: Slot[] = [];
  readonly #leases = new Map<number, Lease>();
  readonly #ledger = new HashLedger();
  readonly #open = new Map<object, { readonly what: string; readonly sinceMs: number; readonly member: string }>();
  readonly #releases = new Map<string, (() => void)[]>();
  readonly #downUntilMs = new Map<string, number>();
  readonly #frozenUntilMs = new Map<string, number>();
  #counts = { acknowledged: 0, refused: 0, unknown: 0, reads: 0, renewals: 0, crashes: 0, snapshots: 0 };
  readonly #twoThreads: boolean;
  #revisionMax = 0;
  #nextSlot = 0;
  #failure: Error | undefined;

  /** @param twoThreads Each member's two sides on threads of their own, which also stand still one by one. */
  constructor(seed: number, twoThreads: boolean = false) {
    this.#twoThreads = twoThreads;
    this.#seed = seed;
    this.#random = new SeededRandom(seed * 7_919 + 1);
    const small = seed % 3 === 0;
    this.#cluster = new MemoryCluster(
      small ? { seed, twoThreads, logKeepBytes: 32 * 1024, segmentBytes: 64 * 1024 } : { seed, twoThreads },
    );
    this.#ids = this.#cluster.members.map(({ id }) => id);
    for (let i = 0; i < 12; i++) this.#slots.push(this.#newSlot());
  }

  #newSlot(): Slot {
    const number = this.#nextSlot++;
    const name = { namespace: 'default', service: `s${number % 3}`, id: `i${number}` };
    return { name, revision: 0, present: false, busy: false, incarnation: 0 };
  }

  /** A write without a known outcome may be applied at any time later: nothing can be said of its slot any more. */
  #retire(slot: Slot): void {
    this.#slots[this.#slots.indexOf(slot)] = this.#newSlot();
  }

  async run(ms: number): Promise<ChaosReport> {
    await this.#cluster.startAll();
    await this.#cluster.leader();
    for (let passed = 0; passed < ms; passed += stepMs) {
      await this.#advance();
      if (this.#chance(6)) this.#act();
      if (this.#chance(90)) this.#disturb();
    }
    await this.#calm();
    await this.#checkEnd();
    await this.#cluster.stop();
    this.#checkFatal();
    return this.#counts;
  }

  get #nowMs(): number {
    return this.#cluster.clock.monotonicMs();
  }

  #chance(oneIn: number): boolean {
    return this.#random.below('chance', oneIn) === 0;
  }

  #pick<T>(items: readonly T[]): T {
    return must(items[this.#random.below('pick', items.length)], 'something to pick');
  }

  #fail(what: string): void {
    this.#failure ??= new Error(`seed ${this.#seed} at ${this.#nowMs} ms: ${what}`);
  }

  async #advance(): Promise<void> {
    await this.#cluster.run(stepMs);
    for (const [id, untilMs] of this.#downUntilMs) {
      if (untilMs > this.#nowMs) continue;
      this.#downUntilMs.delete(id);
      await this.#cluster.start(id);
    }
    for (const [id, untilMs] of this.#frozenUntilMs) if (untilMs <= this.#nowMs) this.#thaw(id);
    this.#watch();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** What must hold at every step. */
  #watch(): void {
    this.#checkFatal();
    for (const { id, replica } of this.#cluster.members) {
      if (replica?.phase !== 'serving') continue;
      const { boot, revision, applied, stateHash } = replica.status();
      const problem = this.#ledger.see({ id, boot, revision, index: applied, hash: stateHash });
      if (problem !== undefined) this.#fail(problem);
      this.#watchLeases(id);
    }
    for (const [call, { what, sinceMs, member }] of this.#open) {
      if (this.#nowMs - sinceMs <= settleMsMax || this.#frozenUntilMs.has(member)) continue;
      this.#open.delete(call);
      this.#fail(`${what} on ${member} is not settled after ${this.#nowMs - sinceMs} ms`);
    }
  }

  #watchLeases(id: string): void {
    const { state } = this.#cluster.replica(id);
    for (const lease of this.#leases.values()) {
      if (this.#nowMs >= lease.safeUntilMs) this.#leases.delete(lease.id);
      else if (state.position.index >= lease.knownIndex && state.lease(lease.id) === undefined) {
        this.#fail(`lease ${lease.id} is gone on ${id} ${lease.safeUntilMs - this.#nowMs} ms before its time`);
      }
    }
  }

  #checkFatal(): void {
    for (const { id, fatal, events } of this.#cluster.members) {
      if (fatal.length > 0) this.#fail(`member ${id} ended: ${String(fatal[0])}`);
      const alarm = events.find(
        ({ kind }) => kind === 'fenced' || kind === 'hash-split' || kind === 'malformed-forward',
      );
      if (alarm !== undefined) this.#fail(`member ${id} raised ${JSON.stringify(alarm)}`);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #act(): void {
    const up = this.#ids.filter((id) => this.#cluster.member(id).replica !== undefined && !this.#frozenUntilMs.has(id));
    if (up.length === 0) return;
    const id = this.#pick(up);
    switch (this.#random.below('act', 8)) {
      case 0:
      case 1:
      case 2:
        this.#write(id);
        return;
      case 3:
        this.#remove(id);
        return;
      case 4:
      case 5:
        this.#read(id);
        return;
      case 6:
        this.#grant(id);
        return;
      default:
        this.#renew(id);
    }
  }

  #free(): Slot | undefined {
    const free = this.#slots.filter(({ busy }) => !busy);
    return free.length === 0 ? undefined : this.#pick(free);
  }

  #write(member: string): void {
    const slot = this.#free();
    if (slot === undefined) return;
    const spec = new Uint8Array(this.#random.below('bytes', 900) + 1);
    if (slot.present && this.#chance(2)) {
      const body: CommandBody = { kind: 'update', name: slot.name, spec, incarnation: slot.incarnation };
      this.#change(member, slot, body, () => undefined);
      return;
    }
    const lifetime = { kind: 'persistent' } as const;
    const body: CommandBody = { kind: 'register', name: slot.name, spec, lifetime, ifAbsent: false, ifIncarnation: 0 };
    this.#change(member, slot, body, (result) => {
      slot.present = true;
      if (result.kind === 'registered') slot.incarnation = result.incarnation;
    });
  }

  #remove(member: string): void {
    const slot = this.#free();
    if (slot === undefined) return;
    this.#change(member, slot, { kind: 'deregister', name: slot.name, incarnation: 0 }, () => {
      slot.present = false;
    });
  }

  #change(member: string, slot: Slot, body: CommandBody, then: (result: CommandResult) => void): void {
    slot.busy = true;
    const before = this.#revisionMax;
    this.#call(
      member,
      body.kind,
      this.#cluster.execute(member, body),
      (result) => {
        if (result.kind === 'refused') this.#fail(`${body.kind} of ${slot.name.id} was refused: ${result.reason}`);
        // A change of what was there raises the revision above all that was acknowledged before the call.
        const changed = result.kind === 'registered' || (result.kind === 'updated' && result.changed);
        if (changed && result.revision <= before) {
          this.#fail(`${body.kind} got revision ${result.revision}, ${before} was acknowledged before`);
        }
        this.#revisionMax = Math.max(this.#revisionMax, result.revision);
        slot.busy = false;
        slot.revision = result.revision;
        then(result);
      },
      (reason) => {
        slot.busy = false;
        if (reason === 'OUTCOME_UNKNOWN') this.#retire(slot);
      },
      () => this.#retire(slot),
    );
  }

  /** A linearizable read sees every write that was acknowledged before it began. */
  #read(member: string): void {
    const before = this.#revisionMax;
    const expected = this.#slots.filter(({ busy }) => !busy).map((slot) => ({ ...slot }));
    const replica = this.#cluster.replica(member);
    this.#call(member, 'read', replica.readBarrier(), () => {
      this.#counts.reads++;
      const { revision } = replica.state.position;
      if (revision < before) this.#fail(`a read on ${member} at revision ${revision}, ${before} was acknowledged`);
      for (const then of expected) {
        const slot = this.#slots.find(({ name }) => name === then.name);
        // Written since, or of unknown fate: this read may see either.
        if (slot === undefined || slot.busy || slot.revision !== then.revision) continue;
        this.#checkSlot(member, slot);
      }
    });
  }

  #checkSlot(member: string, slot: Slot): void {
    const { namespace, service, id } = slot.name;
    const incarnation = this.#cluster.replica(member).state.incarnationOf(namespace, service, id);
    if ((incarnation !== undefined) === slot.present && (!slot.present || incarnation === slot.incarnation)) return;
    this.#fail(
      `${id} on ${member} has incarnation ${incarnation}, acknowledged was ${slot.present} ${slot.incarnation}`,
    );
  }

  #grant(member: string): void {
    const ttlMs = 1_000 + this.#random.below('ttl', 3_000);
    const askedMs = this.#nowMs;
    this.#call(member, 'grant', this.#cluster.execute(member, { kind: 'grant-lease', ttlMs }), (result) => {
      if (result.kind === 'lease-granted') this.#keep(result.leaseId, ttlMs, askedMs);
    });
  }

  #renew(member: string): void {
    const ids = [...this.#leases.keys()];
    if (ids.length === 0) return;
    const lease = must(this.#leases.get(this.#pick(ids)), 'a lease');
    const arrivedMs = this.#nowMs;
    this.#call(member, 'renew', this.#cluster.replica(member).renew([lease.id]), ([result]) => {
      if (result?.status !== 'renewed') return;
      this.#counts.renewals++;
      this.#keep(lease.id, lease.ttlMs, arrivedMs);
    });
  }

  /** Acknowledged: it lives for its TTL from when it was asked for, whoever leads. */
  #keep(id: number, ttlMs: number, fromMs: number): void {
    const known = this.#leases.get(id);
    const safeUntilMs = Math.max(fromMs + ttlMs, known?.safeUntilMs ?? 0);
    const applied = this.#cluster.members.map(({ replica }) => replica?.state.position.index ?? 0);
    this.#leases.set(id, { id, ttlMs, safeUntilMs, knownIndex: known?.knownIndex ?? Math.max(...applied) });
  }

  #call<T>(
    member: string,
    what: string,
    promise: Promise<T>,
    onResult: (value: T) => void,
    onRefused: (reason: string) => void = () => undefined,
    onLost: () => void = () => undefined,
  ): void {
    const key = { onLost };
    this.#open.set(key, { what, sinceMs: this.#nowMs, member });
    this.#lost.set(key, onLost);
    const isOpen = (): boolean => {
      this.#lost.delete(key);
      return this.#open.delete(key);
    };
    promise.then(
      (value) => {
        if (!isOpen()) return;
        this.#counts.acknowledged++;
        onResult(value);
      },
      (error: unknown) => {
        if (!isOpen()) return;
        if (!(error instanceof RollcallError)) return this.#fail(`${what} on ${member} failed with ${String(error)}`);
        if (error.reason === 'OUTCOME_UNKNOWN') this.#counts.unknown++;
        else this.#counts.refused++;
        onRefused(error.reason);
      },
    );
  }

  readonly #lost = new Map<object, () => void>();

  #disturb(): void {
    const id = this.#pick(this.#ids);
    const other = this.#pick(this.#ids.filter((one) => one !== id));
    switch (this.#random.below('disturb', 7)) {
      case 0:
      case 1:
        this.#crash(id);
        return;
      case 2:
        this.#cluster.network.cut(id, other);
        if (this.#chance(2)) this.#cluster.network.cut(other, id);
        return;
      case 3:
        this.#heal();
        return;
      case 4:
        this.#freeze(id);
        return;
      case 5:
        void this.#hold(id);
        return;
      default:
        // The loss of power on all.
        if (this.#chance(3)) for (const one of this.#ids) this.#crash(one);
    }
  }

  #crash(id: string): void {
    const { replica } = this.#cluster.member(id);
    if (replica === undefined) return;
    this.#counts.crashes++;
    this.#thaw(id);
    this.#releases.delete(id);
    this.#ledger.crashed(id);
    if (this.#chance(2)) this.#cluster.crash(id);
    else this.#cluster.kill(id);
    // Whoever called it hears nothing any more; what it asked for may have been done.
    for (const [key, { member }] of this.#open) {
      if (member !== id) continue;
      this.#open.delete(key);
      this.#lost.get(key)?.();
      this.#lost.delete(key);
    }
    this.#downUntilMs.set(id, this.#nowMs + this.#random.below('down', 3_000));
  }

  #freeze(id: string): void {
    if (this.#cluster.member(id).replica === undefined || this.#frozenUntilMs.has(id)) return;
    this.#cluster.freeze(id, this.#twoThreads ? this.#pick(['both', 'serving', 'consensus'] as const) : 'both');
    this.#frozenUntilMs.set(id, this.#nowMs + 50 + this.#random.below('frozen', 4_000));
  }

  #thaw(id: string): void {
    if (!this.#frozenUntilMs.delete(id)) return;
    this.#cluster.thaw(id);
    // Its callers' time begins anew: it could not answer while it stood still.
    for (const [key, call] of this.#open)
      if (call.member === id) this.#open.set(key, { ...call, sinceMs: this.#nowMs });
  }

  /** The next write to its log waits for a while. */
  async #hold(id: string): Promise<void> {
    if (this.#cluster.member(id).replica?.phase !== 'serving') return;
    const release = await this.#cluster.holdLog(id);
    this.#releases.set(id, [...(this.#releases.get(id) ?? []), release]);
    this.#cluster.clock.setTimer(50 + this.#random.below('slow', 5_000), release);
  }

  #heal(): void {
    for (const a of this.#ids) {
      for (const b of this.#ids) if (a !== b && !this.#frozenUntilMs.has(b)) this.#cluster.network.heal(a, b);
    }
  }

  /** All whole again: whatever is under way comes to its end. */
  async #calm(): Promise<void> {
    for (const id of this.#ids) this.#thaw(id);
    this.#heal();
    for (const releases of this.#releases.values()) for (const release of releases) release();
    for (const id of this.#downUntilMs.keys()) this.#downUntilMs.set(id, this.#nowMs);
    for (let passed = 0; passed < 4_000; passed += stepMs) await this.#advance();
  }

  async #checkEnd(): Promise<void> {
    await this.#cluster.leader();
    for (const id of this.#ids) {
      await this.#cluster.outcome(this.#cluster.replica(id).readBarrier());
      const { revision } = this.#cluster.replica(id).state.position;
      if (revision < this.#revisionMax)
        this.#fail(`${id} ends at revision ${revision}, ${this.#revisionMax} was acknowledged`);
      for (const slot of this.#slots) if (!slot.busy) this.#checkSlot(id, slot);
    }
    if (new Set(await this.#cluster.hashes()).size !== 1) this.#fail('the states differ');
    const events = this.#cluster.members.flatMap((member) => member.events);
    this.#counts.snapshots = events.filter(({ kind }) => kind === 'snapshot-installed').length;
    if (this.#failure !== undefined) throw this.#failure;
  }
}
