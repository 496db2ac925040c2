import { WireError } from '../base/wire-reader.ts';
import { isCount, parsedJson, recordOf } from '../storage/strict-json.ts';
import type { MembershipOrder, RecordedMember, RecordedMembership } from './cluster-admin.ts';

/** What a member hands to the leader for an operator. `transfer` to '' : to whoever is furthest. */
export type HandedOrder =
  | { readonly kind: 'membership'; readonly order: MembershipOrder; readonly force: boolean }
  | { readonly kind: 'transfer'; readonly to: string }
  /** Where whoever hands it on is to be reached from now on. */
  | { readonly kind: 'move'; readonly peerAddress: string };

/** Orders are rare, so they travel as JSON; like all that comes from a peer they are checked field by field. */
export function encodeOrder(order: HandedOrder): Uint8Array {
  return Buffer.from(JSON.stringify(order));
}

/** Throws WireError for anything that `encodeOrder` does not write. */
export function decodeOrder(bytes: Uint8Array): HandedOrder {
  const value = parsedJson(bytes);
  const membership = recordOf(value, ['kind', 'order', 'force']);
  if (membership?.kind === 'membership' && typeof membership.force === 'boolean') {
    return { kind: 'membership', order: orderOf(membership.order), force: membership.force };
  }
  const transfer = recordOf(value, ['kind', 'to']);
  if (transfer?.kind === 'transfer' && typeof transfer.to === 'string') return { kind: 'transfer', to: transfer.to };
  const move = recordOf(value, ['kind', 'peerAddress']);
  if (move?.kind === 'move' && isText(move.peerAddress)) return { kind: 'move', peerAddress: move.peerAddress };
  throw new WireError('an order that this version does not know', 0);
}

export function encodeMembershipAnswer(membership: RecordedMembership): Uint8Array {
  return Buffer.from(JSON.stringify(membership));
}

/** Throws WireError for anything that `encodeMembershipAnswer` does not write. */
export function decodeMembershipAnswer(bytes: Uint8Array): RecordedMembership {
  const record = recordOf(parsedJson(bytes), ['clusterId', 'index', 'members', 'joint', 'removedIds']);
  const { clusterId, index, members, joint, removedIds } = record ?? {};
  const fits = typeof clusterId === 'string' && isCount(index) && Array.isArray(members) && Array.isArray(removedIds);
  if (!fits || typeof joint !== 'boolean' || !removedIds.every(isText)) throw new WireError('not a membership', 0);
  return { clusterId, index, joint, removedIds, members: members.map(memberOf) };
}

function orderOf(value: unknown): MembershipOrder {
  const add = recordOf(value, ['kind', 'peerAddress', 'autoPromote']);
  if (add?.kind === 'add' && isText(add.peerAddress) && typeof add.autoPromote === 'boolean') {
    return { kind: 'add', peerAddress: add.peerAddress, autoPromote: add.autoPromote };
  }
  const replace = recordOf(value, ['kind', 'memberId', 'by']);
  if (replace?.kind === 'replace' && isText(replace.memberId) && isText(replace.by)) {
    return { kind: 'replace', memberId: replace.memberId, by: replace.by };
  }
  const one = recordOf(value, ['kind', 'memberId']);
  if (one !== undefined && (one.kind === 'promote' || one.kind === 'remove') && isText(one.memberId)) {
    return { kind: one.kind, memberId: one.memberId };
  }
  throw new WireError('an order of the membership that this version does not know', 0);
}

function memberOf(value: unknown): RecordedMember {
  const record = recordOf(value, ['memberId', 'directoryId', 'peerAddress', 'kind', 'autoPromote']);
  const { memberId, directoryId, peerAddress, kind, autoPromote } = record ?? {};
  const isKnown = kind === 'voter' || kind === 'learner' || kind === 'outgoing';
  if (
    !isKnown ||
    !isText(memberId) ||
    !isText(directoryId) ||
    !isText(peerAddress) ||
    typeof autoPromote !== 'boolean'
  ) {
    throw new WireError('not a member of a membership', 0);
  }
  return { memberId, directoryId, peerAddress, kind, autoPromote };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
