import { unreachable } from '../base/assert.ts';
import { RollcallError } from '../base/errors.ts';
import { WireError } from '../base/wire-reader.ts';
import { holds, isJoint, keepsQuorum, leaveJoint, type Membership, membersOf } from '../raft/membership.ts';
import { type MembershipChange, planMembershipChange } from '../raft/membership-plan.ts';
import type { MemberId, SoftState, TransferEnd } from '../raft/types.ts';
import type { FormState } from '../transport/types.ts';
import type { ClusterAdmin, MembershipOrder, RecordedMembership } from './cluster-admin.ts';
import type { MembershipNews } from './consensus.ts';
import type { ConsensusPort } from './consensus-port.ts';
import type { ExecuteOutcome, ForwardAnswer, ForwardRequest } from './forward-codec.ts';
import {
  decodeMembershipAnswer,
  decodeOrder,
  encodeMembershipAnswer,
  encodeOrder,
  type HandedOrder,
} from './order-codec.ts';
import { membershipRefused, orderOutcomeUnknown, quorumAtRisk, refusalOf, transferFailed } from './order-refusals.ts';
import { recordedMembership } from './recorded-membership.ts';

/** Orders that this member carries out at once, until their end; more are refused as OVERLOADED. */
export const ordersOpenMax = 64;

export interface ClusterOrdersOptions {
  readonly memberId: MemberId;
  readonly clusterId: string;
  readonly consensus: Pick<ConsensusPort, 'askForm' | 'changeMembership' | 'status' | 'transferLeadership'>;
  /** As found at the start. */
  readonly membership: Membership;
  readonly soft: () => SoftState;
  /** This member as it tells others of itself. */
  readonly formState: () => FormState;
  /** Where this member is configured to be reached by its peers; '' where that is not known. */
  readonly ownAddress: string;
  /** Asks another member; false: nothing was sent. */
  readonly ask: (
    to: MemberId,
    request: ForwardRequest,
    onAnswer: (answer: ForwardAnswer | undefined) => void,
  ) => boolean;
  /** What is not done by then is of unknown outcome; also how long it waits before it tells its address again. */
  readonly timeoutTicks: number;
  readonly tickMs: number;
  readonly onFatal: (error: unknown) => void;
}

interface Waiter<T> {
  readonly deadlineTick: number;
  readonly resolve: (value: T) => void;
  readonly reject: (error: RollcallError) => void;
}

/**
 * What operators order of the cluster: changes of the members, and handing over. The leader carries it out; another
 * member hands it on.
 */
export class ClusterOrders implements ClusterAdmin {
  readonly #options: ClusterOrdersOptions;
  #inForce: Membership;
  #committed: Membership;
  #committedIndex = 0;
  #nowTick = 0;
  /** Carried out now, as the leader. */
  #open = 0;
  /** The leader is asked to record where this member is, not before this tick again. */
  #moveTick = 0;
  #stopped = false;
  #changes: (Waiter<RecordedMembership> & { readonly index: number })[] = [];
  #transfers: (Waiter<MemberId> & { readonly to: MemberId })[] = [];

  constructor(options: ClusterOrdersOptions) {
    this.#options = options;
    this.#inForce = options.membership;
    this.#committed = options.membership;
  }

  /** Ids of the voters that decide now, of both halves while a change is under way. */
  get voters(): readonly MemberId[] {
    const { voters, outgoing } = this.#inForce;
    return [...new Set([...voters, ...outgoing].map(({ id }) => id))];
  }

  membership(): RecordedMembership {
    return recordedMembership(this.#options.clusterId, this.#inForce, this.#committedIndex);
  }

  async changeMembership(order: MembershipOrder, force: boolean): Promise<RecordedMembership> {
    if (this.#leads) return this.#counted(() => this.#change(order, force));
    const answer = await this.#handOn({ kind: 'membership', order, force });
    try {
      return decodeMembershipAnswer(answer);
    } catch (error) {
      if (error instanceof WireError) throw orderOutcomeUnknown();
      throw error;
    }
  }

  async transferLeadership(to: MemberId): Promise<MemberId> {
    if (this.#leads) return this.#counted(() => this.#transfer(to));
    const { leader: asked } = this.#options.soft();
    try {
      return Buffer.from(await this.#handOn({ kind: 'transfer', to })).toString();
    } catch (error) {
      // Whoever leads now may be known here before the answer is, and then nobody waits for that any more.
      const { leader: now } = this.#options.soft();
      const isDone = now !== '' && now !== asked && (to === '' || now === to);
      if (error instanceof RollcallError && error.reason === 'OUTCOME_UNKNOWN' && isDone) return now;
      throw error;
    }
  }

  /** Another member hands an order on. Throws WireError where it is none. */
  handle(from: MemberId, bytes: Uint8Array, answer: (outcome: ExecuteOutcome) => void): void {
    const order = decodeOrder(bytes);
    this.#counted(() => this.#handled(from, order)).then(
      (result) => answer({ ok: true, result }),
      (error: unknown) => {
        if (error instanceof RollcallError) answer({ ok: false, error });
        else this.#options.onFatal(error);
      },
    );
  }

  /** Before the change of role that the same turn may bring: a leader that removes itself has done what it was to. */
  known({ inForce, committed, committedIndex }: MembershipNews): void {
    this.#inForce = inForce;
    this.#committed = committed;
    this.#committedIndex = committedIndex;
    if (isJoint(committed)) return;
    const done = this.#changes.filter(({ index }) => index <= committedIndex);
    this.#changes = this.#changes.filter(({ index }) => index > committedIndex);
    for (const { resolve } of done) resolve(this.membership());
  }

  transfersEnded(ends: readonly TransferEnd[]): void {
    for (const { to, outcome } of ends) {
      const concerned = this.#transfers.filter((waiter) => waiter.to === to);
      this.#transfers = this.#transfers.filter((waiter) => waiter.to !== to);
      for (const { resolve, reject } of concerned) {
        if (outcome === 'transferred') resolve(to);
        else reject(transferFailed(to, whyOf(outcome)));
      }
    }
  }

  /** The own role has changed. */
  roleChanged(): void {
    if (this.#leads) return;
    // A change that was appended may be carried on by the next leader.
    for (const { reject } of this.#changes.splice(0)) reject(orderOutcomeUnknown());
  }

  tick(nowTick: number): void {
    this.#nowTick = nowTick;
    this.#changes = this.#changes.filter((waiter) => this.#waits(waiter));
    this.#transfers = this.#transfers.filter((waiter) => this.#waits(waiter));
    this.#tellOwnAddress();
  }

  stop(error: RollcallError): void {
    this.#stopped = true;
    for (const { reject } of [...this.#changes.splice(0), ...this.#transfers.splice(0)]) reject(error);
  }

  get #leads(): boolean {
    return this.#options.soft().role === 'leader';
  }

  #waits({ deadlineTick, reject }: Waiter<never>): boolean {
    if (deadlineTick > this.#nowTick) return true;
    reject(orderOutcomeUnknown());
    return false;
  }

  /** Orders may wait for a member to answer, and for the log: so they are bounded in number. */
  async #counted<T>(carryOut: () => Promise<T>): Promise<T> {
    if (this.#open >= ordersOpenMax) {
      throw new RollcallError('OVERLOADED', 'too many orders wait for their end', { retryAfterMs: 1_000 });
    }
    this.#open += 1;
    try {
      return await carryOut();
    } finally {
      this.#open -= 1;
    }
  }

  async #handled(from: MemberId, order: HandedOrder): Promise<Uint8Array> {
    if (!this.#leads) throw new RollcallError('NOT_PROPOSED', 'the leader changed; order again', { retryAfterMs: 200 });
    switch (order.kind) {
      case 'membership':
        return encodeMembershipAnswer(await this.#change(order.order, order.force));
      case 'transfer':
        return Buffer.from(await this.#transfer(order.to));
      case 'move':
        return encodeMembershipAnswer(await this.#move(from, order.peerAddress));
      default:
        return unreachable(order);
    }
  }

  #handOn(order: HandedOrder): Promise<Uint8Array> {
    const { leader } = this.#options.soft();
    return new Promise((resolve, reject) => {
      const noLeader = (): RollcallError =>
        new RollcallError('NO_LEADER', 'no leader is known that could do it', { retryAfterMs: 200 });
      if (leader === '' || leader === this.#options.memberId) {
        reject(noLeader());
        return;
      }
      const sent = this.#options.ask(leader, { kind: 'order', order: encodeOrder(order) }, (answer) => {
        if (answer?.kind !== 'ordered') reject(orderOutcomeUnknown());
        else if (answer.outcome.ok) resolve(answer.outcome.result);
        else reject(answer.outcome.error);
      });
      if (!sent) reject(noLeader());
    });
  }

  async #change(order: MembershipOrder, force: boolean): Promise<RecordedMembership> {
    const change = await this.#changeOf(order);
    return change === undefined ? this.membership() : this.#propose(change, force);
  }

  /** undefined: it is so already. */
  async #changeOf(order: MembershipOrder): Promise<MembershipChange | undefined> {
    switch (order.kind) {
      case 'add':
        return this.#additionOf(order.peerAddress, order.autoPromote);
      case 'promote':
        return { kind: 'promote', id: order.memberId };
      case 'remove':
        if (this.#inForce.removedIds.includes(order.memberId)) return undefined;
        return { kind: 'remove', id: order.memberId };
      case 'replace': {
        if (this.#isReplaced(order.memberId, order.by)) return undefined;
        const by = this.#inForce.learners.find(({ id }) => id === order.by);
        if (by === undefined)
          throw refusalOf(holds(this.#inForce.voters, order.by) ? 'is-voter' : 'unknown-id', [order.by]);
        const { id, directoryId, peerAddress } = by;
        return { kind: 'replace', id: order.memberId, by: { id, directoryId, peerAddress } };
      }
      default:
        return unreachable(order);
    }
  }

  #isReplaced(memberId: MemberId, by: MemberId): boolean {
    return this.#inForce.removedIds.includes(memberId) && holds(this.#inForce.voters, by);
  }

  /** Who waits at the address says who it is: a wrong id or directory cannot be typed. */
  async #additionOf(peerAddress: string, autoPromote: boolean): Promise<MembershipChange | undefined> {
    const { clusterId, consensus, formState, tickMs, timeoutTicks } = this.#options;
    let found: FormState;
    try {
      found = await consensus.askForm(peerAddress, formState(), (tickMs * timeoutTicks) / 2);
    } catch (error) {
      if (!(error instanceof RollcallError)) throw error;
      throw membershipRefused('unreachable', `no member answers at ${peerAddress}: ${error.message}`);
    }
    const { memberId: id, directoryId, phase } = found;
    if (phase === 'empty' || phase === 'forming') {
      throw membershipRefused('forms-anew', `member ${id} waits to form a new cluster: start it with --join`);
    }
    if (phase === 'formed' && found.clusterId !== clusterId) {
      throw membershipRefused(
        'other-cluster',
        `member ${id} belongs to cluster ${found.clusterId}, this is ${clusterId}`,
      );
    }
    const known = membersOf(this.#inForce).find((one) => one.id === id && one.directoryId === directoryId);
    // One that is reached where it is recorded has not moved: the address that was ordered leads astray.
    const isMoved = known !== undefined && known.peerAddress !== peerAddress && !this.#isReached(id);
    if (isMoved) return { kind: 'set-address', id, peerAddress };
    if (holds(this.#inForce.voters, id) && known !== undefined) return undefined;
    return { kind: 'add-learner', member: { id, directoryId, peerAddress }, autoPromote };
  }

  #isReached(id: MemberId): boolean {
    const { consensus, memberId } = this.#options;
    return id === memberId || consensus.status().peers.some((peer) => peer.memberId === id && peer.connected);
  }

  async #move(memberId: MemberId, peerAddress: string): Promise<RecordedMembership> {
    return this.#propose({ kind: 'set-address', id: memberId, peerAddress }, false);
  }

  async #propose(change: MembershipChange, force: boolean): Promise<RecordedMembership> {
    if (!force) this.#refuseRisk(change);
    const result = await this.#options.consensus.changeMembership([change], force);
    if (result.outcome === 'refused') throw refusalOf(result.reason, result.ids);
    const { index } = result;
    if (index <= this.#committedIndex && !isJoint(this.#committed)) return this.membership();
    return new Promise((resolve, reject) => {
      this.#changes.push({ index, deadlineTick: this.#deadline, resolve, reject });
    });
  }

  /** What follows from a plan that the core will refuse is not looked at. */
  #refuseRisk(change: MembershipChange): void {
    const plan = planMembershipChange(this.#inForce, [change], { force: false });
    if (plan.kind !== 'changed' || plan.next.outgoing.length === 0) return;
    const { memberId, consensus } = this.#options;
    const active = new Set(
      consensus
        .status()
        .core?.peers.filter((peer) => peer.recentlyActive)
        .map(({ id }) => id),
    );
    const isLive = (id: MemberId): boolean => id === memberId || active.has(id);
    const next = leaveJoint(plan.next);
    if (keepsQuorum(next, isLive)) return;
    throw quorumAtRisk(next.voters.filter(({ id }) => isLive(id)).length, next.voters.length);
  }

  async #transfer(asked: MemberId): Promise<MemberId> {
    const to = asked === '' ? this.#successor() : asked;
    const result = await this.#options.consensus.transferLeadership(to);
    if (!result.accepted) {
      switch (result.reason) {
        case 'is-leader':
          return to;
        case 'not-voter':
          throw refusalOf('not-voter', [to]);
        case 'not-leader':
          throw refusalOf('not-leader', []);
        default:
          return unreachable(result.reason);
      }
    }
    return new Promise((resolve, reject) => {
      this.#transfers.push({ to, deadlineTick: this.#deadline, resolve, reject });
    });
  }

  #successor(): MemberId {
    const successor = this.#options.consensus.status().core?.successor ?? '';
    if (successor === '') throw transferFailed('(none)', 'no other voter is there');
    return successor;
  }

  get #deadline(): number {
    return this.#nowTick + this.#options.timeoutTicks;
  }

  /** The log learns where this member is now: others may know only where it was. */
  #tellOwnAddress(): void {
    const { memberId, ownAddress, timeoutTicks } = this.#options;
    const { leader } = this.#options.soft();
    if (this.#stopped || ownAddress === '' || leader === '' || this.#nowTick < this.#moveTick) return;
    const own = membersOf(this.#committed).find(({ id }) => id === memberId);
    if (own === undefined || own.peerAddress === ownAddress || this.#inForce !== this.#committed) return;
    // What does not come about is tried again, and not at every tick.
    this.#moveTick = this.#nowTick + timeoutTicks;
    const told = this.#leads
      ? this.#move(memberId, ownAddress)
      : this.#handOn({ kind: 'move', peerAddress: ownAddress });
    told.catch((error: unknown) => {
      if (!(error instanceof RollcallError)) this.#options.onFatal(error);
    });
  }
}

function whyOf(outcome: Exclude<TransferEnd['outcome'], 'transferred'>): string {
  switch (outcome) {
    case 'timed-out':
      return 'not within an election timeout';
    case 'replaced':
      return 'another was asked to lead meanwhile';
    case 'not-voter':
      return 'it has no vote any more';
    case 'other-leader':
      return 'another was elected';
    default:
      return unreachable(outcome);
  }
}
