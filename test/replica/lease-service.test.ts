import { beforeEach, describe, expect, it } from 'vitest';
import { RollcallError } from '../../src/base/errors.ts';
import { leaseBounds, LeaseService } from '../../src/replica/lease-service.ts';
import type { RenewResult } from '../../src/replica/types.ts';
import type { CallOutcome } from '../../src/replica/write-calls.ts';
import { encodeBatch, encodeCommand } from '../../src/state-machine/command-codec.ts';
import { RegistryState } from '../../src/state-machine/registry-state.ts';
import type { ApplyOutcome, CommandBody } from '../../src/state-machine/types.ts';

const term = 4;
const ttlTicks = 20;

/** A leader's leases over a real state; the log commits what is proposed when the test says so. */
class Bench {
  readonly state = new RegistryState();
  readonly proposals: { command: Uint8Array; onOutcome: (outcome: CallOutcome) => void }[] = [];
  readonly turns: (() => void)[] = [];
  readonly rounds: { confirm: () => void; fail: () => void }[] = [];
  readonly patience: boolean[] = [];
  readonly leases: LeaseService;
  tick = 0;
  refuseAtOnce = false;
  refusals = 0;

  constructor() {
    this.leases = new LeaseService({
      memberId: 'a',
      tickMs: 50,
      heartbeatTicks: 2,
      timeoutTicks: 39,
      state: () => this.state,
      barrier: (patient) =>
        new Promise((resolve, reject) => {
          this.patience.push(patient);
          this.rounds.push({ confirm: resolve, fail: () => reject(new Error('no quorum')) });
        }),
      propose: (command, onOutcome) => {
        if (!this.refuseAtOnce) {
          this.proposals.push({ command, onOutcome });
          return;
        }
        this.refusals++;
        onOutcome({ ok: false, error: new RollcallError('OVERLOADED', '') });
      },
      nextTurn: (work) => this.turns.push(work),
      onExpired: () => undefined,
    });
  }

  /** All later turns of the loop that were asked for. */
  runTurns(): void {
    while (this.turns.length > 0) this.turns.shift()?.();
  }

  apply(commands: readonly Uint8Array[], entryTerm: number = term): ApplyOutcome {
    const data = encodeBatch({ wallMs: 1, elapsedMs: 0, commands });
    const outcome = this.state.apply({ index: this.state.position.index + 1, term: entryTerm, data });
    this.leases.applied(outcome.leases);
    return outcome;
  }

  run(body: CommandBody): void {
    this.apply([encodeCommand({ actor: 'x', origin: 'y', reason: '', requestId: '', body })]);
  }

  register(id: string): void {
    const name = { namespace: 'default', service: 's', id };
    const lifetime = { kind: 'ttl', ttlMs: ttlTicks * 50 } as const;
    this.run({ kind: 'register', name, spec: new Uint8Array([1]), lifetime, ifAbsent: false, ifIncarnation: 0 });
  }

  /** Commits all that was proposed, as entries of `entryTerm`. */
  commitProposals(entryTerm: number = term): void {
    for (const { command, onOutcome } of this.proposals.splice(0)) {
      const result = this.apply([command], entryTerm).results[0];
      if (result !== undefined) onOutcome({ ok: true, result });
    }
  }

  ticks(count: number, stalled: boolean = false): void {
    for (let i = 0; i < count; i++) {
      this.leases.tick(++this.tick, stalled && i === 0);
      this.runTurns();
    }
  }
}

describe('LeaseService', () => {
  let bench: Bench;

  beforeEach(() => {
    bench = new Bench();
    bench.leases.lead(term);
    bench.register('one');
  });

  it('waits for a heartbeat only with renewals of leases that have the time', async () => {
    const name = { namespace: 'default', service: 's', id: 'long' };
    const lifetime = { kind: 'ttl', ttlMs: 60_000 } as const;
    bench.run({ kind: 'register', name, spec: new Uint8Array([1]), lifetime, ifAbsent: false, ifIncarnation: 0 });
    const renewals = [[2], [1, 2], [1]].map((leaseIds) => bench.leases.renew(leaseIds));
    for (const round of bench.rounds) round.confirm();
    await Promise.all(renewals);
    expect(bench.patience).toEqual([true, false, false]);
  });

  it('ends a lease that nobody renews, not before its time, and its instance goes', () => {
    bench.ticks(ttlTicks);
    expect(bench.proposals).toEqual([]);
    bench.ticks(1);
    bench.commitProposals();
    expect(bench.state.counts()).toMatchObject({ instances: 0, leases: 0 });
  });

  it('acknowledges a renewal only behind a round that began after it came, and counts from its arrival', async () => {
    bench.ticks(10);
    const renewal = bench.leases.renew([1]);
    let answer: RenewResult[] | undefined;
    void renewal.then((results) => {
      answer = results;
    });
    await Promise.resolve();
    expect(answer).toBeUndefined();
    expect(bench.rounds).toHaveLength(1);
    bench.ticks(5);
    bench.rounds[0]?.confirm();
    expect(await renewal).toEqual([{ leaseId: 1, status: 'renewed', ttlMs: 1_000 }]);
    bench.ticks(ttlTicks - 5);
    expect(bench.proposals).toEqual([]);
    bench.ticks(6);
    expect(bench.proposals).toHaveLength(1);
  });

  it('answers unavailable where no quorum confirms, and where it does not lead', async () => {
    const renewal = bench.leases.renew([1]);
    bench.rounds[0]?.fail();
    expect(await renewal).toEqual([{ leaseId: 1, status: 'unavailable', ttlMs: 0 }]);
    bench.leases.follow();
    expect(await bench.leases.renew([1])).toEqual([{ leaseId: 1, status: 'unavailable', ttlMs: 0 }]);
  });

  it('answers unavailable to a renewal during which it stopped leading, even if the round succeeds later', async () => {
    const renewal = bench.leases.renew([1]);
    bench.leases.follow();
    bench.leases.lead(term + 1);
    bench.rounds[0]?.confirm();
    expect(await renewal).toMatchObject([{ status: 'unavailable' }]);
  });

  it('says unknown for a lease that is not there, behind a round as well', async () => {
    const renewal = bench.leases.renew([77]);
    bench.rounds[0]?.confirm();
    expect(await renewal).toEqual([{ leaseId: 77, status: 'unknown', ttlMs: 0 }]);
  });

  it('lets a renewal that meets an expiring lease wait for the outcome: it ended', async () => {
    bench.ticks(ttlTicks + 1);
    const renewal = bench.leases.renew([1]);
    bench.rounds[0]?.confirm();
    await Promise.resolve();
    bench.commitProposals();
    expect(await renewal).toMatchObject([{ status: 'unknown' }]);
  });

  it('lets a renewal that meets an expiring lease wait for the outcome: the expiry was void', async () => {
    bench.ticks(ttlTicks + 1);
    const renewal = bench.leases.renew([1]);
    bench.rounds[0]?.confirm();
    await Promise.resolve();
    // An entry of another term than the command's: the proposer no longer led.
    bench.commitProposals(term + 1);
    expect(await renewal).toMatchObject([{ status: 'renewed' }]);
    expect(bench.state.counts().instances).toBe(1);
  });

  it('starts every lease in full when it begins to lead', () => {
    bench.ticks(15);
    bench.leases.follow();
    bench.leases.lead(term + 1);
    bench.ticks(ttlTicks);
    expect(bench.proposals).toEqual([]);
    bench.ticks(1);
    expect(bench.proposals).toHaveLength(1);
  });

  it('lets nothing expire after a stall before a new round has confirmed it', async () => {
    bench.ticks(1, true);
    bench.ticks(ttlTicks * 2);
    expect(bench.proposals).toEqual([]);
    bench.rounds.at(-1)?.confirm();
    await Promise.resolve();
    await Promise.resolve();
    bench.ticks(1);
    expect(bench.proposals).toHaveLength(1);
  });

  it('tries again after a stall when the confirming round fails', async () => {
    bench.ticks(1, true);
    bench.rounds[0]?.fail();
    await Promise.resolve();
    await Promise.resolve();
    // Not at once: a barrier that is refused on the spot would be asked for without end.
    expect(bench.rounds).toHaveLength(1);
    bench.ticks(1);
    expect(bench.rounds).toHaveLength(2);
  });

  it('lets an expiry that was not taken fall due again', () => {
    bench.ticks(ttlTicks + 1);
    const first = bench.proposals.splice(0)[0];
    bench.leases.renew([1]).catch(() => undefined);
    first?.onOutcome({
      ok: true,
      result: { kind: 'refused', revision: 1, reason: 'OVERLOADED', message: '', field: '' },
    });
    bench.ticks(2);
    expect(bench.proposals).toHaveLength(1);
  });

  it('renews no lease whose end may still be applied, and lets whoever waits for it go at the deadline', async () => {
    bench.ticks(ttlTicks + 1);
    const end = bench.proposals.splice(0)[0];
    end?.onOutcome({ ok: false, error: new RollcallError('OUTCOME_UNKNOWN', '') });
    const renewal = bench.leases.renew([1]);
    bench.rounds[0]?.confirm();
    await Promise.resolve();
    bench.ticks(38);
    await expect(Promise.race([renewal, Promise.resolve('open')])).resolves.toBe('open');
    bench.ticks(1);
    expect(await renewal).toEqual([{ leaseId: 1, status: 'unavailable', ttlMs: 0 }]);
    expect(bench.proposals).toEqual([]);
    if (end !== undefined) bench.apply([end.command]);
    expect(bench.state.counts()).toMatchObject({ instances: 0, leases: 0 });
  });

  it('has no more proposals under way than its bound, and goes on as they end', () => {
    const more = leaseBounds.proposalsMax + 10;
    for (let i = 0; i < more; i++) bench.run({ kind: 'grant-lease', ttlMs: 1_000 });
    bench.ticks(ttlTicks + 20);
    expect(bench.proposals).toHaveLength(leaseBounds.proposalsMax);
    bench.commitProposals();
    bench.ticks(1);
    expect(bench.proposals).toHaveLength(11);
    bench.commitProposals();
    expect(bench.state.counts().leases).toBe(0);
  });

  it('takes many leases in over several turns, each in full, and at once what is renewed before its turn', async () => {
    bench.leases.follow();
    const count = 2 * leaseBounds.leasesPerTurnMax + 5;
    for (let i = 0; i < count; i++) bench.run({ kind: 'grant-lease', ttlMs: ttlTicks * 50 });
    bench.leases.lead(term);
    const renewal = bench.leases.renew([count, count + 2]);
    bench.rounds.at(-1)?.confirm();
    expect((await renewal).map(({ status }) => status)).toEqual(['renewed', 'unknown']);
    // Nothing falls due before its time, though some were taken in at once and some later.
    bench.ticks(ttlTicks);
    expect(bench.proposals).toEqual([]);
    bench.ticks(10);
    bench.commitProposals();
    bench.ticks(10);
    bench.commitProposals();
    expect(bench.state.counts().leases).toBe(0);
  });

  it('proposes no more of the ends that fell due after a stall, until a quorum has confirmed it', async () => {
    for (let i = 0; i < leaseBounds.expiriesPerTurnMax + 10; i++)
      bench.run({ kind: 'grant-lease', ttlMs: ttlTicks * 50 });
    for (let i = 0; i <= ttlTicks; i++) bench.leases.tick(++bench.tick, false);
    expect(bench.proposals).toHaveLength(leaseBounds.expiriesPerTurnMax);
    bench.leases.tick(++bench.tick, true);
    bench.runTurns();
    expect(bench.proposals).toHaveLength(leaseBounds.expiriesPerTurnMax);
    bench.rounds.at(-1)?.confirm();
    await Promise.resolve();
    await Promise.resolve();
    bench.ticks(2);
    expect(bench.proposals).toHaveLength(leaseBounds.expiriesPerTurnMax + 11);
  });

  it('waits for the next tick where a removal is refused on the spot', () => {
    bench.leases.follow();
    bench.run({ kind: 'grant-lease', ttlMs: 1_000 });
    for (let i = 0; i < 1_001; i++) {
      const name = { namespace: 'default', service: 'big', id: `i${i}` };
      const lifetime = { kind: 'lease', leaseId: 2 } as const;
      bench.run({ kind: 'register', name, spec: new Uint8Array([1]), lifetime, ifAbsent: false, ifIncarnation: 0 });
    }
    bench.run({ kind: 'revoke-lease', leaseId: 2 });
    bench.refuseAtOnce = true;
    bench.leases.lead(term + 1);
    bench.ticks(2);
    expect(bench.refusals).toBe(3);
    bench.refuseAtOnce = false;
    bench.ticks(1);
    expect(bench.proposals).toHaveLength(1);
  });

  it('goes on removing the instances of a large lease until none is left', () => {
    bench.run({ kind: 'grant-lease', ttlMs: 1_000 });
    for (let i = 0; i < 2_500; i++) {
      bench.run({
        kind: 'register',
        name: { namespace: 'default', service: 'big', id: `i${i}` },
        spec: new Uint8Array([1]),
        lifetime: { kind: 'lease', leaseId: 2 },
        ifAbsent: false,
        ifIncarnation: 0,
      });
    }
    bench.ticks(ttlTicks + 1);
    let entries = 0;
    while (bench.proposals.length > 0) {
      entries++;
      bench.commitProposals();
    }
    expect(bench.state.counts()).toMatchObject({ instances: 0, leases: 0 });
    expect(entries).toBe(3);
  });
});
