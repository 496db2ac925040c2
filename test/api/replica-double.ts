import type { SessionOpener } from '../../src/api/registry-api.ts';
import { assert } from '../../src/base/assert.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { AppliedTurn, RenewResult, Replica, ReplicaStatus } from '../../src/replica/types.ts';
import type { Registry } from '../../src/state-machine/interfaces.ts';
import type { Command, CommandResult } from '../../src/state-machine/types.ts';
import { WatchHub } from '../../src/watch/watch-hub.ts';
import { RegistryDriver } from '../watch/registry-driver.ts';
import { ScriptedAdmin } from './scripted-admin.ts';

/** For tests that open no session. */
export const noSessions: SessionOpener = {
  open: () => {
    throw new Error('a session was opened');
  },
};

/**
 * The edge of the replica without a cluster behind it: a real state to which commands are applied at once. Barriers and
 * waits can be held and failed by the test.
 */
export class ReplicaDouble implements Replica {
  readonly memberId = 'a';
  readonly electionTimeoutMs = 1_000;
  readonly driver = new RegistryDriver();
  readonly clock = new ManualClock();
  readonly hub: WatchHub;
  readonly admin = new ScriptedAdmin();
  readonly commands: Command[] = [];
  /** With each command: until when its caller waits. */
  readonly deadlines: (number | undefined)[] = [];
  readonly waits: number[] = [];
  barriers = 0;
  /** What every call is refused with. */
  refusal: RollcallError | undefined;
  /** What the status says in place of what stands below. */
  reported: Partial<ReplicaStatus> = {};
  /** Barriers wait until the test lets them go. */
  held: (() => void)[] | undefined;

  constructor() {
    this.hub = new WatchHub({ state: () => this.state, clock: this.clock, memberId: 'a', ageMs: () => this.ageMs() });
  }

  get state(): Registry {
    return this.driver.state;
  }

  execute(command: Command, deadlineMs?: number): Promise<CommandResult> {
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    this.deadlines.push(deadlineMs);
    this.commands.push(command);
    const result = this.driver.execute(command);
    this.hub.applied(this.driver.takeTurn());
    return Promise.resolve(result);
  }

  renew(leaseIds: readonly number[]): Promise<readonly RenewResult[]> {
    return Promise.resolve(
      leaseIds.map((leaseId) => {
        const lease = this.state.lease(leaseId);
        return lease === undefined || lease.ended
          ? { leaseId, status: 'unknown', ttlMs: 0 }
          : { leaseId, status: 'renewed', ttlMs: lease.ttlMs };
      }),
    );
  }

  async readBarrier(): Promise<void> {
    this.barriers++;
    const { held } = this;
    if (held !== undefined) await new Promise<void>((resolve) => held.push(resolve));
    this.assertServing();
  }

  waitForRevision(revision: number): Promise<void> {
    this.waits.push(revision);
    if (revision <= this.driver.revision) return Promise.resolve();
    return Promise.reject(new RollcallError('MEMBER_BEHIND', 'behind', { retryAfterMs: 10 }));
  }

  ageMs(): number {
    return 12;
  }

  assertServing(): void {
    if (this.refusal !== undefined) throw this.refusal;
  }

  onApplied(_listener: (turn: AppliedTurn) => void): () => void {
    return () => undefined;
  }

  onReplaced(_listener: (revision: number) => void): () => void {
    return () => undefined;
  }

  /** Lets all barriers go that wait. */
  release(): void {
    assert(this.held !== undefined, 'no barrier is held');
    const held = this.held.splice(0);
    for (const go of held) go();
  }

  status(): ReplicaStatus {
    return {
      clusterId: 'c1',
      memberId: 'a',
      directoryId: 'd1',
      boot: 3,
      phase: 'serving',
      waitingFor: '',
      role: 'leader',
      leader: 'a',
      term: 4,
      commit: 10,
      applied: 10,
      lastIndex: 11,
      durableIndex: 11,
      flushedIndex: 8,
      firstKeptIndex: 1,
      revision: this.driver.revision,
      stateHash: this.state.stateHash(),
      fenced: false,
      diskFreeBytes: 1,
      logBytes: 2,
      uptimeMs: 5_000,
      peers: [peerStatus('c', undefined, false), peerStatus('b', 100, true)],
      ...this.reported,
    };
  }
}

export function peerStatus(
  memberId: string,
  lastHeardMs: number | undefined,
  connected: boolean,
): ReplicaStatus['peers'][number] {
  return {
    memberId,
    address: `${memberId}:7401`,
    connected,
    boot: 1,
    clientAddress: '',
    lastHeardMs,
    queuedBytes: 0,
    droppedBatches: 0,
    matchIndex: 9,
    replicationState: 'replicate',
  };
}
