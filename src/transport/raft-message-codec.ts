// RaftMessage and LogEntry of proto/rollcall/raft/v1/peer.proto.
import { assert, unreachable } from '../base/assert.ts';
import { WireError, type WireReader } from '../base/wire-reader.ts';
import { varintLength, WireWriter } from '../base/wire-writer.ts';
import type {
  AppendReply,
  AppendRequest,
  Entry,
  Heartbeat,
  HeartbeatReply,
  MemberId,
  Message,
  ReadContext,
  ReadIndexReply,
  ReadIndexRequest,
  VoteReply,
  VoteRequest,
} from '../raft/types.ts';
import { idLengthMax } from './limits.ts';

/** Encoded bytes in several pieces, so that large ones are copied only once, into the batch that leaves. */
export interface Encoded {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
}

/** Who sends to whom; not repeated in the messages of a batch. */
export interface Envelope {
  readonly from: MemberId;
  readonly to: MemberId;
  readonly fromBoot: number;
}

type Head = Pick<Message, 'from' | 'to' | 'fromBoot' | 'toBoot' | 'term'>;

/** Field numbers of the oneof `kind`. */
const kinds = {
  'vote-request': 2,
  'vote-reply': 3,
  append: 4,
  'append-reply': 5,
  heartbeat: 6,
  'heartbeat-reply': 7,
  'read-index': 8,
  'read-index-reply': 9,
  'timeout-now': 12,
} as const;

/** One encoding at a time: each ends with `finish`. */
const writer = new WireWriter();

/** Entry data from this size on is not copied next to its neighbours. */
const ownPartBytesMin = 4096;
const hashPattern = /^[0-9a-f]{16}$/;

/**
 * Encodes one message as element `field` of a repeated field. The data of large entries is taken by reference and must
 * not be changed afterwards.
 */
export function encodeMessage(field: number, message: Message): Encoded {
  writer.uint(1, message.term).uint(10, message.fromBoot).uint(11, message.toBoot);
  const headBytes = writer.finish();
  const body = encodeBody(message);
  const size = headBytes.length + body.bytes;
  const frame = writer.tag(field, 2).varint(size).raw(headBytes).finish();
  return { parts: [frame, ...body.parts], bytes: frame.length + body.bytes };
}

function encodeBody(message: Message): Encoded {
  if (message.kind === 'append') return encodeAppend(message);
  // A snapshot has a stream of its own; its host never sends it as a message.
  assert(message.kind !== 'snapshot', 'a snapshot message is not sent in a batch');
  writer.beginMessage(kinds[message.kind]);
  switch (message.kind) {
    case 'vote-request':
      writer.bool(1, message.preVote).uint(2, message.lastIndex).uint(3, message.lastTerm);
      writer.bool(4, message.transfer === true);
      break;
    case 'vote-reply':
      writer.bool(1, message.preVote).bool(2, message.granted);
      break;
    case 'append-reply':
      writer.bool(1, message.accepted).uint(2, message.matchIndex).uint(3, message.rejectedIndex);
      writer.uint(4, message.hintIndex).uint(5, message.hintTerm);
      break;
    case 'heartbeat':
      writer.uint(1, message.commit).uint(2, message.round);
      break;
    case 'heartbeat-reply':
      writer.uint(1, message.round);
      break;
    case 'read-index':
      writeContexts(message.contexts);
      break;
    case 'read-index-reply':
      writeContexts(message.contexts);
      writer.uint(2, message.index);
      break;
    case 'timeout-now':
      break;
    default:
      unreachable(message);
  }
  const part = writer.endMessage().finish();
  return { parts: [part], bytes: part.length };
}

function writeContexts(contexts: readonly ReadContext[]): void {
  for (const { member, boot, counter, patient } of contexts) {
    writer.beginMessage(1).string(1, member).uint(2, boot).uint(3, counter);
    writer.bool(4, patient === true).endMessage();
  }
}

function encodeAppend(message: AppendRequest): Encoded {
  writer.uint(1, message.prevIndex).uint(2, message.prevTerm).string(3, message.prevHash).uint(5, message.commit);
  const headBytes = writer.finish();
  let size = headBytes.length;
  for (const entry of message.entries) {
    const entryBytes = entrySize(entry);
    size += 1 + varintLength(entryBytes) + entryBytes;
  }
  const parts: Uint8Array[] = [];
  writer.tag(kinds.append, 2).varint(size).raw(headBytes);
  const bytes = 1 + varintLength(size) + size;
  for (const entry of message.entries) {
    writer.tag(4, 2).varint(entrySize(entry));
    writer.uint(1, entry.index).uint(2, entry.term).string(3, entry.hash);
    if (entry.data.length < ownPartBytesMin) {
      writer.bytes(4, entry.data);
    } else {
      writer.tag(4, 2).varint(entry.data.length);
      parts.push(writer.finish(), entry.data);
    }
  }
  if (writer.length > 0) parts.push(writer.finish());
  assert(bytes === parts.reduce((sum, part) => sum + part.length, 0), 'size of an append as counted before');
  return { parts, bytes };
}

function entrySize({ index, term, hash, data }: Entry): number {
  return uintSize(index) + uintSize(term) + sizedSize(hash.length) + sizedSize(data.length);
}

function uintSize(value: number): number {
  return value === 0 ? 0 : 1 + varintLength(value);
}

function sizedSize(length: number): number {
  return length === 0 ? 0 : 1 + varintLength(length) + length;
}

/** Decodes one RaftMessage. Throws WireError where the bytes are not one; whether it can be true the core judges. */
export function decodeMessage(reader: WireReader, envelope: Envelope): Message {
  let term = 0;
  let fromBoot = 0;
  let toBoot = 0;
  let kind = 0;
  let body: WireReader | undefined;
  while (reader.next()) {
    const field = reader.field;
    if (field === 1) term = reader.uint();
    else if (field === 10) fromBoot = reader.uint();
    else if (field === 11) toBoot = reader.uint();
    else if (field <= 9 || field === kinds['timeout-now']) {
      if (body !== undefined) throw new WireError('second kind in one message', reader.offset);
      kind = field;
      body = reader.message();
    } else reader.skip();
  }
  if (body === undefined) throw new WireError('message of no known kind', reader.offset);
  // Made in this life of the sender: what an earlier one made died with it.
  if (fromBoot !== envelope.fromBoot) throw new WireError('message of another boot than its batch', reader.offset);
  return decodeBody(kind, { from: envelope.from, to: envelope.to, fromBoot, toBoot, term }, body);
}

function decodeBody(kind: number, head: Head, body: WireReader): Message {
  switch (kind) {
    case kinds['vote-request']:
      return decodeVoteRequest(head, body);
    case kinds['vote-reply']:
      return decodeVoteReply(head, body);
    case kinds.append:
      return decodeAppend(head, body);
    case kinds['append-reply']:
      return decodeAppendReply(head, body);
    case kinds.heartbeat:
      return decodeHeartbeat(head, body);
    case kinds['heartbeat-reply']:
      return decodeHeartbeatReply(head, body);
    case kinds['read-index']:
      return decodeReadIndex(head, body);
    case kinds['read-index-reply']:
      return decodeReadIndexReply(head, body);
    case kinds['timeout-now']:
      while (body.next()) body.skip();
      return { kind: 'timeout-now', ...head };
    default:
      throw new WireError(`message of kind ${kind}`, body.offset);
  }
}

function decodeVoteRequest(head: Head, reader: WireReader): VoteRequest {
  let preVote = false;
  let lastIndex = 0;
  let lastTerm = 0;
  let transfer = false;
  while (reader.next()) {
    if (reader.field === 1) preVote = reader.bool();
    else if (reader.field === 2) lastIndex = reader.uint();
    else if (reader.field === 3) lastTerm = reader.uint();
    else if (reader.field === 4) transfer = reader.bool();
    else reader.skip();
  }
  const request = { kind: 'vote-request', ...head, preVote, lastIndex, lastTerm } as const;
  return transfer ? { ...request, transfer } : request;
}

function decodeVoteReply(head: Head, reader: WireReader): VoteReply {
  let preVote = false;
  let granted = false;
  while (reader.next()) {
    if (reader.field === 1) preVote = reader.bool();
    else if (reader.field === 2) granted = reader.bool();
    else reader.skip();
  }
  return { kind: 'vote-reply', ...head, preVote, granted };
}

function decodeAppend(head: Head, reader: WireReader): AppendRequest {
  let prevIndex = 0;
  let prevTerm = 0;
  let prevHash = '';
  let commit = 0;
  const entries: Entry[] = [];
  while (reader.next()) {
    if (reader.field === 1) prevIndex = reader.uint();
    else if (reader.field === 2) prevTerm = reader.uint();
    else if (reader.field === 3) prevHash = readHash(reader);
    else if (reader.field === 4) entries.push(decodeEntry(reader.message()));
    else if (reader.field === 5) commit = reader.uint();
    else reader.skip();
  }
  if (prevHash === '') throw new WireError('append without prefix hash', reader.offset);
  return { kind: 'append', ...head, prevIndex, prevTerm, prevHash, entries, commit };
}

function decodeEntry(reader: WireReader): Entry {
  let index = 0;
  let term = 0;
  let hash = '';
  let data: Uint8Array = new Uint8Array(0);
  while (reader.next()) {
    if (reader.field === 1) index = reader.uint();
    else if (reader.field === 2) term = reader.uint();
    else if (reader.field === 3) hash = readHash(reader);
    else if (reader.field === 4) data = kept(reader.bytes());
    else reader.skip();
  }
  if (index === 0 || hash === '') throw new WireError('entry without index or prefix hash', reader.offset);
  return { index, term, hash, data };
}

function decodeAppendReply(head: Head, reader: WireReader): AppendReply {
  let accepted = false;
  let matchIndex = 0;
  let rejectedIndex = 0;
  let hintIndex = 0;
  let hintTerm = 0;
  while (reader.next()) {
    if (reader.field === 1) accepted = reader.bool();
    else if (reader.field === 2) matchIndex = reader.uint();
    else if (reader.field === 3) rejectedIndex = reader.uint();
    else if (reader.field === 4) hintIndex = reader.uint();
    else if (reader.field === 5) hintTerm = reader.uint();
    else reader.skip();
  }
  return { kind: 'append-reply', ...head, accepted, matchIndex, rejectedIndex, hintIndex, hintTerm };
}

function decodeHeartbeat(head: Head, reader: WireReader): Heartbeat {
  let commit = 0;
  let round = 0;
  while (reader.next()) {
    if (reader.field === 1) commit = reader.uint();
    else if (reader.field === 2) round = reader.uint();
    else reader.skip();
  }
  return { kind: 'heartbeat', ...head, commit, round };
}

function decodeHeartbeatReply(head: Head, reader: WireReader): HeartbeatReply {
  let round = 0;
  while (reader.next()) {
    if (reader.field === 1) round = reader.uint();
    else reader.skip();
  }
  return { kind: 'heartbeat-reply', ...head, round };
}

function decodeReadIndex(head: Head, reader: WireReader): ReadIndexRequest {
  const contexts: ReadContext[] = [];
  while (reader.next()) {
    if (reader.field === 1) contexts.push(decodeContext(reader.message()));
    else reader.skip();
  }
  return { kind: 'read-index', ...head, contexts };
}

function decodeReadIndexReply(head: Head, reader: WireReader): ReadIndexReply {
  const contexts: ReadContext[] = [];
  let index = 0;
  while (reader.next()) {
    if (reader.field === 1) contexts.push(decodeContext(reader.message()));
    else if (reader.field === 2) index = reader.uint();
    else reader.skip();
  }
  return { kind: 'read-index-reply', ...head, contexts, index };
}

function decodeContext(reader: WireReader): ReadContext {
  let member = '';
  let boot = 0;
  let counter = 0;
  let patient = false;
  while (reader.next()) {
    if (reader.field === 1) member = readId(reader);
    else if (reader.field === 2) boot = reader.uint();
    else if (reader.field === 3) counter = reader.uint();
    else if (reader.field === 4) patient = reader.bool();
    else reader.skip();
  }
  // An empty one would make a few bytes on the wire into many objects in memory.
  if (member === '' || boot === 0) throw new WireError('read context without member or boot', reader.offset);
  return { member, boot, counter, ...(patient ? { patient } : {}) };
}

/** A text of at most idLengthMax. */
export function readId(reader: WireReader, lengthMax: number = idLengthMax): string {
  const text = reader.string();
  if (text.length > lengthMax) throw new WireError(`text of ${text.length}, at most ${lengthMax}`, reader.offset);
  return text;
}

/** A prefix hash: 16 lowercase hex digits. */
export function readHash(reader: WireReader): string {
  const hash = reader.string();
  if (!hashPattern.test(hash)) throw new WireError('prefix hash is not 16 hex digits', reader.offset);
  return hash;
}

/**
 * Bytes that may be kept. A slice holds the whole batch in memory, also after its other entries are gone, and small
 * Buffers share a pool: so it is copied unless it is most of what it would hold.
 */
export function kept(slice: Uint8Array): Uint8Array {
  return slice.length * 2 >= slice.buffer.byteLength ? slice : slice.slice();
}
