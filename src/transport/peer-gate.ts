import { assert } from '../base/assert.ts';
import type { MemberId } from '../raft/types.ts';
import type { PeerIdentity } from './peer-codec.ts';
import { type DropReason, PeerRefusal, printable } from './refusal.ts';
import type { LocalIdentity, PeerAddress } from './types.ts';

/** `open`: the first batch of a stream, or a snapshot. `later`: any further batch of an accepted stream. */
export type Moment = 'open' | 'later';

/** `drop`: the sender is who it says and its stream stays, but what the batch holds is not looked at. */
export type Verdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop'; readonly reason: DropReason }
  | { readonly kind: 'refuse'; readonly refusal: PeerRefusal };

interface Heard {
  readonly directoryId: string;
  readonly boot: number;
}

/**
 * Judges who speaks, before anything of what is said is looked at. `check` is pure; `record` notes the highest boot
 * heard of each member, in memory only: a member that was restarted has to hear it again.
 */
export class PeerGate {
  readonly #local: LocalIdentity;
  readonly #acknowledged: (member: MemberId) => number;
  readonly #peers = new Map<MemberId, PeerAddress>();
  readonly #heard = new Map<MemberId, Heard>();

  /** @param acknowledged See TransportHandlers. */
  constructor(
    local: LocalIdentity,
    peers: readonly PeerAddress[],
    acknowledged: (member: MemberId) => number = () => 0,
  ) {
    this.#acknowledged = acknowledged;
    assert(local.boot >= 1 && local.memberId !== '', 'identity of this member');
    this.#local = local;
    for (const peer of peers) {
      assert(peer.memberId !== local.memberId, 'this member among its peers');
      assert(!this.#peers.has(peer.memberId), () => `peer ${peer.memberId} named twice`);
      this.#peers.set(peer.memberId, peer);
    }
  }

  /** Highest boot heard of a member, 0 before. */
  bootOf(member: MemberId): number {
    return this.#heard.get(member)?.boot ?? 0;
  }

  check(identity: PeerIdentity, moment: Moment): Verdict {
    const refusal = this.#stranger(identity);
    if (refusal !== undefined) return { kind: 'refuse', refusal };
    const seen = this.#seenBoot(identity);
    if (identity.boot < seen) {
      // On a stream that was open already it is a batch that took long; a new stream can only be made by a process that
      // lives now, and lives on a directory from before.
      if (moment === 'later') return { kind: 'drop', reason: 'late-boot' };
      const text = `member ${identity.memberId} speaks as boot ${identity.boot}, its boot ${seen} was heard before`;
      return { kind: 'refuse', refusal: new PeerRefusal('old-copy', text) };
    }
    if (moment === 'open' && identity.boot > seen && this.#hasLost(identity)) {
      const acknowledged = this.#acknowledged(identity.memberId);
      const found = `has found its log up to index ${identity.startIndex}, it had acknowledged ${acknowledged}`;
      const text = `member ${identity.memberId}, started as boot ${identity.boot}, ${found}`;
      return { kind: 'refuse', refusal: new PeerRefusal('old-copy', text) };
    }
    const own = this.#local.boot;
    if (identity.toBoot > own) {
      const text = `member ${this.#local.memberId} runs as boot ${own}, its boot ${identity.toBoot} was heard before`;
      return { kind: 'refuse', refusal: new PeerRefusal('receiver-old-copy', text) };
    }
    if (identity.toBoot !== 0 && identity.toBoot < own) return { kind: 'drop', reason: 'earlier-life' };
    return { kind: 'accept' };
  }

  /** Notes the boot of an identity that was not refused. */
  record(identity: PeerIdentity): void {
    assert(this.#peers.has(identity.memberId), () => `boot of ${identity.memberId}, which is no peer`);
    if (identity.boot < this.#seenBoot(identity)) return;
    this.#heard.set(identity.memberId, { directoryId: identity.directoryId, boot: identity.boot });
  }

  #stranger(identity: PeerIdentity): PeerRefusal | undefined {
    const local = this.#local;
    const caller = quoted(identity.memberId);
    if (identity.toMemberId !== local.memberId) {
      const text = `this is member ${local.memberId}, called for ${quoted(identity.toMemberId)}`;
      return new PeerRefusal('wrong-addressee', text);
    }
    if (identity.clusterId !== local.clusterId) {
      const text = `member ${caller} is of cluster ${quoted(identity.clusterId)}, this one of ${local.clusterId}`;
      return new PeerRefusal('wrong-cluster', text);
    }
    if (identity.memberId === local.memberId) {
      return new PeerRefusal('own-member-id', `two members run as ${local.memberId}`);
    }
    const peer = this.#peers.get(identity.memberId);
    if (peer === undefined) return new PeerRefusal('unknown-member', `${caller} is no member of this cluster`);
    if (peer.directoryId !== '' && identity.directoryId !== peer.directoryId) {
      const recorded = `the membership records ${peer.directoryId}`;
      const text = `member ${caller} has directory ${quoted(identity.directoryId)}, ${recorded}`;
      return new PeerRefusal('wrong-directory', text);
    }
    return undefined;
  }

  /**
   * It had acknowledged more, by disk, than it has found: that start was made on a directory from before. Only whom it
   * had acknowledged it to can know, and only while it leads: see the design, section 3.
   */
  #hasLost({ memberId, startIndex }: PeerIdentity): boolean {
    return startIndex < this.#acknowledged(memberId);
  }

  /** Boots count the starts of one directory; while any directory is taken, those of another say nothing. */
  #seenBoot(identity: PeerIdentity): number {
    const heard = this.#heard.get(identity.memberId);
    return heard?.directoryId === identity.directoryId ? heard.boot : 0;
  }
}

function quoted(text: string): string {
  return printable(JSON.stringify(text));
}
