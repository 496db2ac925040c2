import type { Clock } from '../base/clock.ts';
import { type Membership, membersOf } from '../raft/membership.ts';
import type { MemberId } from '../raft/types.ts';
import type { PeerAddress } from '../transport/types.ts';
import type { MembershipNews } from './consensus.ts';

export interface PeerListOptions {
  readonly memberId: MemberId;
  /** As found at the start. */
  readonly membership: Membership;
  readonly configured: ReadonlyMap<MemberId, string>;
  /** Of a member that has not heard of its cluster yet; of no effect once it has. */
  readonly sponsors: readonly PeerAddress[];
  readonly clock: Clock;
  /** So long a member that was removed is still spoken to, ms: what it has asked for is to be answered. */
  readonly farewellMs: number;
  readonly setPeers: (peers: readonly PeerAddress[], removedIds: readonly MemberId[]) => void;
}

/**
 * Whom a member is to be connected to, and where. Configured addresses go before recorded ones: they are what the
 * operator knows now. Once the log records another address than at the start, that one is newer and holds.
 */
export class PeerList {
  readonly atStart: readonly PeerAddress[];
  readonly #options: PeerListOptions;
  readonly #recordedAtStart: ReadonlyMap<MemberId, string>;
  #peers: readonly PeerAddress[];
  /** Removed, and still spoken to. */
  #leaving: readonly PeerAddress[] = [];
  #removedIds: readonly MemberId[] = [];

  constructor(options: PeerListOptions) {
    this.#options = options;
    const { membership } = options;
    this.#recordedAtStart = new Map(membersOf(membership).map(({ id, peerAddress }) => [id, peerAddress]));
    this.atStart = this.#peersOf([membership]);
    this.#peers = this.atStart;
  }

  /**
   * Until a change is committed those who leave are peers: it may be undone. After that they are for a while, then they
   * are told that they were removed.
   */
  changed({ inForce, committed }: MembershipNews): void {
    const peers = this.#peersOf(inForce === committed ? [inForce] : [inForce, committed]);
    const isPeer = ({ memberId }: PeerAddress): boolean => peers.some((one) => one.memberId === memberId);
    const leaving = this.#peers.filter((peer) => !isPeer(peer));
    this.#leaving = [...this.#leaving.filter((peer) => !isPeer(peer)), ...leaving];
    this.#peers = peers;
    this.#removedIds = committed.removedIds;
    this.#tell();
    if (leaving.length > 0) this.#options.clock.setTimer(this.#options.farewellMs, () => this.#left(leaving));
  }

  #left(peers: readonly PeerAddress[]): void {
    this.#leaving = this.#leaving.filter((peer) => !peers.includes(peer));
    this.#tell();
  }

  #tell(): void {
    const peers = [...this.#peers, ...this.#leaving];
    const gone = this.#removedIds.filter((id) => !peers.some(({ memberId }) => memberId === id));
    this.#options.setPeers(peers, gone);
  }

  #peersOf(memberships: readonly Membership[]): PeerAddress[] {
    const { memberId, sponsors } = this.#options;
    const peers = new Map<MemberId, PeerAddress>();
    for (const { id, directoryId, peerAddress } of memberships.flatMap(membersOf)) {
      // The first is the one in force.
      if (id === memberId || peers.has(id)) continue;
      peers.set(id, { memberId: id, directoryId, address: this.#addressOf(id, peerAddress) });
    }
    const known = memberships.some(({ voters }) => voters.length > 0);
    return known ? [...peers.values()] : sponsors.filter((sponsor) => sponsor.memberId !== memberId);
  }

  #addressOf(id: MemberId, recorded: string): string {
    const isNewer = recorded !== (this.#recordedAtStart.get(id) ?? recorded);
    return isNewer ? recorded : (this.#options.configured.get(id) ?? recorded);
  }
}
