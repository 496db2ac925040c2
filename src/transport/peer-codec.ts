// The messages of proto/rollcall/raft/v1/peer.proto between bytes and values. Decoders throw WireError where the bytes
// are not what they should be; unknown fields are passed over.
import { assert } from '../base/assert.ts';
import { WireError, WireReader } from '../base/wire-reader.ts';
import { WireWriter } from '../base/wire-writer.ts';
import type { LogBase, MemberId, Message } from '../raft/types.ts';
import { addressLengthMax, batchItemsMax, formMembersMax } from './limits.ts';
import { decodeMessage, type Encoded, encodeMessage, kept, readHash, readId } from './raft-message-codec.ts';
import type { FormMember, FormState, Forwarded } from './types.ts';

/** Who speaks to whom. */
export interface PeerIdentity {
  readonly clusterId: string;
  readonly memberId: MemberId;
  readonly directoryId: string;
  readonly boot: number;
  /** Drawn at random at this start; never 0. */
  readonly startId: number;
  /** The addressee's boot as last heard; 0 before. */
  readonly toBoot: number;
  /** The addressee's start id as heard with that boot; 0 before. */
  readonly toStartId: number;
  readonly clientAddress: string;
  readonly toMemberId: MemberId;
  /** Last index of the log as it was found at this start. */
  readonly startIndex: number;
}

export interface BatchItems {
  readonly messages: readonly Message[];
  readonly forwarded: readonly Forwarded[];
}

/** What the first chunk of a snapshot says. */
export interface SnapshotHead {
  readonly identity: PeerIdentity;
  readonly term: number;
  readonly snapshot: LogBase;
}

/** One encoding at a time: each ends with `finish`. */
const writer = new WireWriter();

const batchFields = { identity: 1, messages: 2, forwarded: 3 } as const;

/** The bare PeerIdentity. */
export function encodeIdentity(identity: PeerIdentity): Uint8Array {
  return writeIdentity(writer, identity).finish();
}

/** A batch of identity alone. What encodeItems gave may be appended to it. */
export function encodeBatchHead(identity: PeerIdentity): Uint8Array {
  return writeIdentity(writer.beginMessage(batchFields.identity), identity).endMessage().finish();
}

function writeIdentity(out: WireWriter, identity: PeerIdentity): WireWriter {
  return out
    .string(1, identity.clusterId)
    .string(2, identity.memberId)
    .string(3, identity.directoryId)
    .uint(4, identity.boot)
    .uint(5, identity.toBoot)
    .string(6, identity.clientAddress)
    .string(7, identity.toMemberId)
    .uint(8, identity.startIndex)
    .uint(9, identity.startId)
    .uint(10, identity.toStartId);
}

/** Encodes what goes into a batch, one piece each, in order. Entry data and bodies must not be changed afterwards. */
export function encodeItems(messages: readonly Message[], forwarded: readonly Forwarded[]): Encoded[] {
  const items = messages.map((message) => encodeMessage(batchFields.messages, message));
  for (const call of forwarded) {
    writer.uint(1, call.id).bool(2, call.answer);
    if (call.body.length > 0) writer.tag(3, 2).varint(call.body.length);
    const headBytes = writer.finish();
    const size = headBytes.length + call.body.length;
    const frame = writer.tag(batchFields.forwarded, 2).varint(size).raw(headBytes).finish();
    items.push({ parts: [frame, call.body], bytes: frame.length + call.body.length });
  }
  return items;
}

/**
 * Decodes all but the identity, which decodeBatchIdentity has given and the gate has let pass. `bytes` must not be
 * changed afterwards: large entry data shares its memory.
 */
export function decodeBatchItems(bytes: Uint8Array, identity: PeerIdentity): BatchItems {
  const envelope = { from: identity.memberId, to: identity.toMemberId, fromBoot: identity.boot };
  const messages: Message[] = [];
  const forwarded: Forwarded[] = [];
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === batchFields.messages) messages.push(decodeMessage(reader.message(), envelope));
    else if (reader.field === batchFields.forwarded) forwarded.push(decodeForwarded(reader.message()));
    else reader.skip();
    if (messages.length > batchItemsMax || forwarded.length > batchItemsMax) {
      throw new WireError(`batch of more than ${batchItemsMax} messages or calls`, reader.offset);
    }
  }
  return { messages, forwarded };
}

/** The identity of a batch alone: nothing else is decoded before it was checked. */
export function decodeBatchIdentity(bytes: Uint8Array): PeerIdentity {
  const reader = new WireReader(bytes);
  let identity: PeerIdentity | undefined;
  while (reader.next()) {
    if (reader.field !== batchFields.identity) {
      reader.skip();
      continue;
    }
    if (identity !== undefined) throw new WireError('second identity in one batch', reader.offset);
    identity = readIdentity(reader.message());
  }
  if (identity === undefined) throw new WireError('batch without identity', 0);
  return identity;
}

export function decodeIdentity(bytes: Uint8Array): PeerIdentity {
  return readIdentity(new WireReader(bytes));
}

function readIdentity(reader: WireReader): PeerIdentity {
  let clusterId = '';
  let memberId = '';
  let directoryId = '';
  let boot = 0;
  let toBoot = 0;
  let clientAddress = '';
  let toMemberId = '';
  let startIndex = 0;
  let startId = 0;
  let toStartId = 0;
  while (reader.next()) {
    if (reader.field === 1) clusterId = readId(reader);
    else if (reader.field === 2) memberId = readId(reader);
    else if (reader.field === 3) directoryId = readId(reader);
    else if (reader.field === 4) boot = reader.uint();
    else if (reader.field === 5) toBoot = reader.uint();
    else if (reader.field === 6) clientAddress = readId(reader, addressLengthMax);
    else if (reader.field === 7) toMemberId = readId(reader);
    else if (reader.field === 8) startIndex = reader.uint();
    else if (reader.field === 9) startId = reader.uint();
    else if (reader.field === 10) toStartId = reader.uint();
    else reader.skip();
  }
  if (clusterId === '' || memberId === '' || directoryId === '' || toMemberId === '' || boot === 0 || startId === 0) {
    throw new WireError('identity without cluster, member, directory, addressee, boot or start id', reader.offset);
  }
  if ((toBoot === 0) !== (toStartId === 0)) throw new WireError('boot without start id, or the reverse', reader.offset);
  const to = { toMemberId, toBoot, toStartId };
  return { clusterId, memberId, directoryId, boot, startId, clientAddress, startIndex, ...to };
}

function decodeForwarded(reader: WireReader): Forwarded {
  let id = 0;
  let answer = false;
  let body: Uint8Array = new Uint8Array(0);
  while (reader.next()) {
    if (reader.field === 1) id = reader.uint();
    else if (reader.field === 2) answer = reader.bool();
    else if (reader.field === 3) body = kept(reader.bytes());
    else reader.skip();
  }
  return { id, answer, body };
}

export function encodeSnapshotHead(head: SnapshotHead): Uint8Array {
  writeIdentity(writer.beginMessage(1), head.identity).endMessage();
  writer.uint(2, head.term).uint(3, head.identity.boot);
  writer.uint(4, head.snapshot.index).uint(5, head.snapshot.term).string(6, head.snapshot.hash);
  return writer.finish();
}

/** A chunk of the body. Without one it is the mark that the body is complete: a stream may also just break off. */
export function encodeSnapshotBody(body: Uint8Array): Uint8Array {
  return writer.bytes(7, body).finish();
}

export const snapshotEnd: Uint8Array = encodeSnapshotBody(new Uint8Array(0));

export function decodeSnapshotHead(bytes: Uint8Array): SnapshotHead {
  const reader = new WireReader(bytes);
  let identity: PeerIdentity | undefined;
  let term = 0;
  let fromBoot = 0;
  let index = 0;
  let snapshotTerm = 0;
  let hash = '';
  while (reader.next()) {
    if (reader.field === 1) {
      if (identity !== undefined) throw new WireError('second identity in one chunk', reader.offset);
      identity = readIdentity(reader.message());
    } else if (reader.field === 2) term = reader.uint();
    else if (reader.field === 3) fromBoot = reader.uint();
    else if (reader.field === 4) index = reader.uint();
    else if (reader.field === 5) snapshotTerm = reader.uint();
    else if (reader.field === 6) hash = readHash(reader);
    else if (reader.field === 7) throw new WireError('body in the first chunk of a snapshot', reader.offset);
    else reader.skip();
  }
  if (identity === undefined) throw new WireError('first chunk of a snapshot without identity', 0);
  if (fromBoot !== identity.boot) throw new WireError('snapshot of another boot than its sender', reader.offset);
  if (index === 0 || snapshotTerm === 0 || snapshotTerm > term || hash === '') {
    throw new WireError('snapshot without index, term or prefix hash', reader.offset);
  }
  return { identity, term, snapshot: { index, term: snapshotTerm, hash } };
}

/** The body of a later chunk; undefined for the mark of the end. */
export function decodeSnapshotBody(bytes: Uint8Array): Uint8Array | undefined {
  const reader = new WireReader(bytes);
  let body: Uint8Array | undefined;
  while (reader.next()) {
    if (reader.field !== 7) throw new WireError(`field ${reader.field} in the body of a snapshot`, reader.offset);
    if (body !== undefined) throw new WireError('second body in one chunk', reader.offset);
    body = reader.bytes();
  }
  if (body?.length === 0) throw new WireError('empty body in a chunk', reader.offset);
  return body;
}

export function encodeSnapshotAnswer(index: number): Uint8Array {
  return writer.uint(1, index).finish();
}

export function decodeSnapshotAnswer(bytes: Uint8Array): number {
  const reader = new WireReader(bytes);
  let index = 0;
  while (reader.next()) {
    if (reader.field === 1) index = reader.uint();
    else reader.skip();
  }
  return index;
}

/** FormRequest and FormResponse: both hold one state as field 1. */
export function encodeForm(state: FormState): Uint8Array {
  assert(state.initialMembers.length <= formMembersMax && state.members.length <= formMembersMax, 'members in a form');
  writer.beginMessage(1);
  writer.string(1, state.memberId).string(2, state.directoryId).string(3, state.phase).string(4, state.clusterId);
  for (const { id, peerAddress } of state.initialMembers) {
    writer.beginMessage(5).string(1, id).string(2, peerAddress).endMessage();
  }
  for (const { id, directoryId, peerAddress } of state.members) {
    writer.beginMessage(6).string(1, id).string(2, directoryId).string(3, peerAddress).endMessage();
  }
  return writer.endMessage().finish();
}

export function decodeForm(bytes: Uint8Array): FormState {
  const reader = new WireReader(bytes);
  let state: FormState | undefined;
  while (reader.next()) {
    if (reader.field !== 1) {
      reader.skip();
      continue;
    }
    if (state !== undefined) throw new WireError('second form state', reader.offset);
    state = readForm(reader.message());
  }
  if (state === undefined) throw new WireError('form without state', 0);
  return state;
}

function readForm(reader: WireReader): FormState {
  let memberId = '';
  let directoryId = '';
  let phase = '';
  let clusterId = '';
  const initialMembers: { id: string; peerAddress: string }[] = [];
  const members: FormMember[] = [];
  while (reader.next()) {
    if (reader.field === 1) memberId = readId(reader);
    else if (reader.field === 2) directoryId = readId(reader);
    else if (reader.field === 3) phase = readId(reader);
    else if (reader.field === 4) clusterId = readId(reader);
    else if (reader.field === 5) {
      initialMembers.push(readInitialMember(reader.message()));
    } else if (reader.field === 6) {
      members.push(readFormMember(reader.message()));
    } else reader.skip();
    if (initialMembers.length > formMembersMax || members.length > formMembersMax) {
      throw new WireError(`form of more than ${formMembersMax} members`, reader.offset);
    }
  }
  if (phase !== 'empty' && phase !== 'forming' && phase !== 'formed' && phase !== 'joining') {
    throw new WireError('form of unknown phase', reader.offset);
  }
  if (memberId === '' || directoryId === '') throw new WireError('form without member or directory', reader.offset);
  return { memberId, directoryId, phase, clusterId, initialMembers, members };
}

function readInitialMember(reader: WireReader): FormState['initialMembers'][number] {
  let id = '';
  let peerAddress = '';
  while (reader.next()) {
    if (reader.field === 1) id = readId(reader);
    else if (reader.field === 2) peerAddress = readId(reader, addressLengthMax);
    else reader.skip();
  }
  if (id === '' || peerAddress === '') throw new WireError('initial member without id or address', reader.offset);
  return { id, peerAddress };
}

function readFormMember(reader: WireReader): FormMember {
  let id = '';
  let directoryId = '';
  let peerAddress = '';
  while (reader.next()) {
    if (reader.field === 1) id = readId(reader);
    else if (reader.field === 2) directoryId = readId(reader);
    else if (reader.field === 3) peerAddress = readId(reader, addressLengthMax);
    else reader.skip();
  }
  if (id === '' || directoryId === '' || peerAddress === '') {
    throw new WireError('member of a form without id, directory or address', reader.offset);
  }
  return { id, directoryId, peerAddress };
}
