import { assert } from '../base/assert.ts';
import type { MemberId } from './types.ts';

/** Peers that are remembered, of all memberships since the start. */
const peersMax = 1024;

export type BootNews = 'first' | 'older' | 'same' | 'newer';

/**
 * The greatest boot number heard of each peer. A boot is one life of a member: a crash, and what it lost, ends it. Two
 * starts with one boot, of which one can only be on an old copy of the directory, are told apart before the core: the
 * transport lets one of them pass (PeerGate).
 */
export class PeerBoots {
  readonly #boots = new Map<MemberId, number>();

  /** 0 where the peer was not heard yet. */
  of(peer: MemberId): number {
    return this.#boots.get(peer) ?? 0;
  }

  /** Whether one more peer may be heard that is no member as far as is known here. */
  hasRoomFor(peer: MemberId): boolean {
    return this.#boots.has(peer) || this.#boots.size < peersMax;
  }

  /** Takes note of a boot; `first` when nothing was heard of the peer before. */
  heard(peer: MemberId, boot: number): BootNews {
    assert(boot >= 1, () => `boot ${boot} of ${peer}`);
    const known = this.of(peer);
    if (boot === known) return 'same';
    if (boot < known) return 'older';
    this.#boots.set(peer, boot);
    return known === 0 ? 'first' : 'newer';
  }
}
