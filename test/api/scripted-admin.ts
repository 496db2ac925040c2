import { assert, unreachable } from '../../src/base/assert.ts';
import type { RollcallError } from '../../src/base/errors.ts';
import type {
  ClusterAdmin,
  MembershipOrder,
  RecordedMember,
  RecordedMembership,
} from '../../src/replica/cluster-admin.ts';

export function recordedMember(memberId: string, extra: Partial<RecordedMember> = {}): RecordedMember {
  const directoryId = memberId.padStart(32, '0');
  return { memberId, directoryId, peerAddress: `${memberId}:7401`, kind: 'voter', autoPromote: false, ...extra };
}

export interface SeenOrder {
  readonly order: MembershipOrder;
  readonly force: boolean;
}

/** The edge of the cluster's own orders: each is carried out at once on a plain list, unless the test refuses it. */
export class ScriptedAdmin implements ClusterAdmin {
  readonly orders: SeenOrder[] = [];
  readonly transfers: string[] = [];
  /** What the next orders are refused with, one each. */
  readonly refusals: RollcallError[] = [];
  /** What the membership itself is refused with. */
  unreadable: RollcallError | undefined;
  /** Who answers at an address that is added. */
  readonly waiting = new Map<string, string>();
  leader = 'a';
  current: RecordedMembership = {
    clusterId: 'c1',
    index: 5,
    members: ['a', 'b', 'c'].map((memberId) => recordedMember(memberId)),
    joint: false,
    removedIds: [],
  };

  membership(): RecordedMembership {
    if (this.unreadable !== undefined) throw this.unreadable;
    return this.current;
  }

  async changeMembership(order: MembershipOrder, force: boolean): Promise<RecordedMembership> {
    this.orders.push({ order, force });
    this.#refuse();
    const { members, removedIds } = this.#after(order);
    const sorted = members.toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1));
    this.current = { ...this.current, index: this.current.index + 1, members: sorted, removedIds };
    return this.current;
  }

  async transferLeadership(to: string): Promise<string> {
    this.transfers.push(to);
    this.#refuse();
    if (to !== '') this.leader = to;
    return this.leader;
  }

  #refuse(): void {
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw refusal;
  }

  #after(order: MembershipOrder): Pick<RecordedMembership, 'members' | 'removedIds'> {
    const { members, removedIds } = this.current;
    const others = (id: string): RecordedMember[] => members.filter(({ memberId }) => memberId !== id);
    switch (order.kind) {
      case 'add': {
        const { peerAddress, autoPromote } = order;
        const id = this.waiting.get(peerAddress);
        assert(id !== undefined, () => `nobody waits at ${peerAddress}`);
        const added = recordedMember(id, { peerAddress, autoPromote, kind: 'learner' });
        return { members: [...others(id), added], removedIds };
      }
      case 'promote': {
        const { memberId } = order;
        return { members: [...others(memberId), this.#voter(memberId)], removedIds };
      }
      case 'remove': {
        const { memberId } = order;
        return { members: others(memberId), removedIds: [...removedIds, memberId] };
      }
      case 'replace': {
        const { memberId, by } = order;
        const left = members.filter((each) => each.memberId !== memberId && each.memberId !== by);
        return { members: [...left, this.#voter(by)], removedIds: [...removedIds, memberId] };
      }
      default:
        return unreachable(order);
    }
  }

  #voter(id: string): RecordedMember {
    const found = this.current.members.find(({ memberId }) => memberId === id);
    assert(found !== undefined, () => `${id} is no member`);
    return { ...found, kind: 'voter', autoPromote: false };
  }
}
