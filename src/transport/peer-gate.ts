import { assert } from '../base/assert.ts';
import type { MemberId } from '../raft/types.ts';
import { encodeIdentity, type PeerIdentity } from './peer-codec.ts';
import { type DropReason, PeerRefusal, printable } from './refusal.ts';
import type { LocalIdentity, PeerAddress } from './types.ts';

/** `open`: the first batch of a stream, or a snapshot. `later`: any further batch of an accepted stream. */
export type Moment = 'open' | 'later';

/** `drop`: the sender is who it says and its stream stays, but what the batch holds is not looked at. */
export type Verdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop'; readonly reason: DropReason }
  | { readonly kind: 'refuse'; readonly refusal: PeerRefusal };

/** One start of a member. */
interface Start {
  /** 0 where none was heard. */
  readonly boot: number;
  readonly startId: number;
}

interface Heard extends Start {
  readonly directoryId: string;
}

const unheard: Start = { boot: 0, startId: 0 };

/**
 * Judges who speaks, before anything of what is said is looked at. `check` is pure; `record` notes the newest start
 * heard of each member, in memory only: a member that was restarted has to hear it again.
 *
 * Of two starts with one boot the one heard first is taken, until a higher boot comes. Either may be the copy: also
 * the first, where the right directory was put back behind it. But what the first has said (a vote, an
 * acknowledgement) may have been counted already and cannot be taken back; to count the other as the same start is
 * what must not be. And the first stays where both live: a stray copy must not bring down a member that works. The
 * right one is let in again by one more start of it. Where members have heard different ones first, each of the two is
 * refused by some only; so it is with a copy of a lower boot, too, where it meets a member that has not heard the
 * later one.
 *
 * So within one life of this member a boot of a directory stands for one start. The core, the forwarder and whoever
 * else tells lives of a peer apart by boots alone rely on it: nothing reaches them but through this gate.
 */
export class PeerGate {
  readonly #local: LocalIdentity;
  readonly #acknowledged: (member: MemberId) => number;
  #peers: ReadonlyMap<MemberId, PeerAddress> = new Map();
  #removedIds: ReadonlySet<MemberId> = new Set();
  /** Also of members that are no peers now: a membership that is undone brings them back, and what they said counts. */
  readonly #heard = new Map<MemberId, Heard>();

  /** @param acknowledged See TransportHandlers. */
  constructor(
    local: LocalIdentity,
    peers: readonly PeerAddress[],
    acknowledged: (member: MemberId) => number = () => 0,
  ) {
    this.#acknowledged = acknowledged;
    assert(local.boot >= 1 && local.startId >= 1 && local.memberId !== '', 'identity of this member');
    this.#local = local;
    this.setPeers(peers, []);
  }

  /** From now on these are judged as peers; see Transport. */
  setPeers(peers: readonly PeerAddress[], removedIds: readonly MemberId[]): void {
    const byId = new Map<MemberId, PeerAddress>();
    const removed = new Set(removedIds);
    for (const peer of peers) {
      const { memberId } = peer;
      assert(memberId !== this.#local.memberId, 'this member among its peers');
      assert(!byId.has(memberId), () => `peer ${memberId} named twice`);
      assert(!removed.has(memberId), () => `member ${memberId}, which was removed, among the peers`);
      byId.set(memberId, peer);
    }
    this.#peers = byId;
    this.#removedIds = removed;
  }

  /** Why a member is refused that is no peer. */
  absence(member: MemberId): PeerRefusal {
    assert(!this.#peers.has(member), () => `absence of ${member}, which is a peer`);
    const caller = quoted(member);
    if (!this.#removedIds.has(member))
      return new PeerRefusal('unknown-member', `${caller} is no member of this cluster`);
    const { clusterId, memberId } = this.#local;
    const text = `member ${caller} was removed from cluster ${clusterId} for good, says member ${memberId}`;
    return new PeerRefusal('removed', text, encodeIdentity(this.identityFor(member)));
  }

  /** As this member speaks to another now. */
  identityFor(member: MemberId): PeerIdentity {
    const { boot: toBoot, startId: toStartId } = this.heardOf(member);
    return { ...this.#local, toBoot, toStartId, toMemberId: member };
  }

  /**
   * Whether a peer that is meant, and no other, says so: it is of this cluster, has the directory that is recorded of
   * it (one that is not known yet is not believed), and is not known for an old copy.
   */
  isFrom(peer: MemberId, identity: PeerIdentity): boolean {
    if (identity.memberId !== peer || this.#peers.get(peer)?.directoryId !== identity.directoryId) return false;
    return this.check(identity, 'open').kind !== 'refuse';
  }

  /** The newest start heard of a member; boot 0 and start id 0 before. */
  heardOf(member: MemberId): Start {
    return this.#heard.get(member) ?? unheard;
  }

  check(identity: PeerIdentity, moment: Moment): Verdict {
    const refusal = this.#stranger(identity);
    if (refusal !== undefined) return { kind: 'refuse', refusal };
    return this.#copy(identity, moment) ?? this.#toWhichLife(identity, moment);
  }

  /** Notes the start of an identity that was not refused. */
  record({ memberId, directoryId, boot, startId }: PeerIdentity): void {
    assert(this.#peers.has(memberId), () => `boot of ${memberId}, which is no peer`);
    const seen = this.#seen(memberId, directoryId);
    if (boot < seen.boot) return;
    assert(boot > seen.boot || startId === seen.startId, () => `two starts of ${memberId} with boot ${boot} let pass`);
    // The same object for as long as it says the same: see PeerTransport, which encodes what follows from it once.
    if (boot === seen.boot) return;
    this.#heard.set(memberId, { directoryId, boot, startId });
  }

  /** Undefined where the sender's directory is not known for an old copy. */
  #copy(identity: PeerIdentity, moment: Moment): Verdict | undefined {
    const { memberId, directoryId, boot } = identity;
    const seen = this.#seen(memberId, directoryId);
    if (boot < seen.boot) {
      // On a stream that was open already it is a batch that took long; a new stream can only be made by a process that
      // lives now, and lives on a directory from before.
      if (moment === 'later') return { kind: 'drop', reason: 'late-boot' };
      return oldCopy(`member ${memberId} speaks as boot ${boot}, its boot ${seen.boot} was heard before`);
    }
    if (boot === seen.boot && identity.startId !== seen.startId) {
      if (moment === 'later') return { kind: 'drop', reason: 'other-start' };
      const what = `member ${memberId} speaks as boot ${boot}, another start with that number was heard before`;
      return oldCopy(`${what}: one of them has an old copy of the directory; end it, and start the right one again`);
    }
    if (moment === 'open' && boot > seen.boot && this.#hasLost(identity)) {
      const found = `has found its log up to index ${identity.startIndex}`;
      const acknowledged = `it had acknowledged ${this.#acknowledged(memberId)}`;
      return oldCopy(`member ${memberId}, started as boot ${boot}, ${found}, ${acknowledged}`);
    }
    return undefined;
  }

  #toWhichLife({ toBoot, toStartId }: PeerIdentity, moment: Moment): Verdict {
    const { memberId, boot, startId } = this.#local;
    if (toBoot > boot) {
      const text = `member ${memberId} runs as boot ${boot}, its boot ${toBoot} was heard before`;
      return { kind: 'refuse', refusal: new PeerRefusal('receiver-old-copy', text) };
    }
    if (toBoot !== 0 && toBoot < boot) return { kind: 'drop', reason: 'earlier-life' };
    if (toBoot === boot && toStartId !== startId) {
      if (moment === 'later') return { kind: 'drop', reason: 'other-start' };
      const text = `member ${memberId} runs as boot ${boot}, another start with that number was heard before`;
      return { kind: 'refuse', refusal: new PeerRefusal('receiver-old-copy', text) };
    }
    return { kind: 'accept' };
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
    if (peer === undefined) return this.absence(identity.memberId);
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
  #seen(memberId: MemberId, directoryId: string): Start {
    const heard = this.#heard.get(memberId);
    return heard?.directoryId === directoryId ? heard : unheard;
  }
}

function oldCopy(text: string): Verdict {
  return { kind: 'refuse', refusal: new PeerRefusal('old-copy', text) };
}

function quoted(text: string): string {
  return printable(JSON.stringify(text));
}
