import { type Membership, membersOf } from '../raft/membership.ts';
import type { MemberId } from '../raft/types.ts';
import type { PeerAddress } from '../transport/types.ts';
import type { MembershipNews } from './consensus.ts';

/**
 * Whom a member is to be connected to, and where. Configured addresses go before recorded ones: they are what the
 * operator knows now. Once the log records another address than at the start, that one is newer and holds.
 */
export class PeerList {
  readonly atStart: readonly PeerAddress[];
  readonly #memberId: MemberId;
  readonly #configured: ReadonlyMap<MemberId, string>;
  readonly #sponsors: readonly PeerAddress[];
  readonly #recordedAtStart: ReadonlyMap<MemberId, string>;

  /** @param sponsors Of a member that has not heard of its cluster yet; of no effect once it has. */
  constructor(
    memberId: MemberId,
    membership: Membership,
    configured: ReadonlyMap<MemberId, string>,
    sponsors: readonly PeerAddress[],
  ) {
    this.#memberId = memberId;
    this.#configured = configured;
    this.#sponsors = sponsors;
    this.#recordedAtStart = new Map(membersOf(membership).map(({ id, peerAddress }) => [id, peerAddress]));
    this.atStart = this.#peers([membership]);
  }

  /**
   * Until a change is committed those who leave are still peers: it may be undone, and they have to hear of it.
   */
  of({ inForce, committed }: MembershipNews): PeerAddress[] {
    return this.#peers(inForce === committed ? [inForce] : [inForce, committed]);
  }

  #peers(memberships: readonly Membership[]): PeerAddress[] {
    const peers = new Map<MemberId, PeerAddress>();
    for (const { id, directoryId, peerAddress } of memberships.flatMap(membersOf)) {
      // The first is the one in force.
      if (id === this.#memberId || peers.has(id)) continue;
      peers.set(id, { memberId: id, directoryId, address: this.#addressOf(id, peerAddress) });
    }
    const known = memberships.some(({ voters }) => voters.length > 0);
    return known ? [...peers.values()] : this.#sponsors.filter(({ memberId }) => memberId !== this.#memberId);
  }

  #addressOf(id: MemberId, recorded: string): string {
    const isNewer = recorded !== (this.#recordedAtStart.get(id) ?? recorded);
    return isNewer ? recorded : (this.#configured.get(id) ?? recorded);
  }
}
