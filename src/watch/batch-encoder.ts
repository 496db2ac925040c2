import { assert } from '../base/assert.ts';
import { WireWriter } from '../base/wire-writer.ts';
import type { ChangeEvent, InstanceName, RemovalCause } from '../state-machine/types.ts';
import type { EventKind } from './judge.ts';
import { incarnationOf } from './view-reader.ts';

// WatchResponse and WatchEvent of proto/rollcall/v1/registry.proto, written field by field so that events are encoded
// once and only the few bytes of a watch's own are put in front of them.

export type BatchKind = 'snapshot' | 'delta' | 'reset' | 'progress' | 'ended';

const kindNumbers: Readonly<Record<BatchKind, number>> = { snapshot: 1, delta: 2, reset: 3, progress: 4, ended: 5 };
const kindNumbersOfEvents: Readonly<Record<EventKind, number>> = { put: 1, delete: 2, leaves: 3 };
const causeNumbers: Readonly<Record<RemovalCause, number>> = {
  deregistered: 1,
  'lease-expired': 2,
  'lease-revoked': 3,
};

/** Field of WatchResponse that holds the events; and the fields of a WatchEvent that a reader of segments needs. */
export const eventsField = 5;
export const eventInstanceField = 3;

/** Room that a response needs beside its events: three numbers, a tail with its header and a member id. */
export const envelopeBytesMax = 512;

/** Of what `encodeHead` gives: two numbers of up to 2^53, and the kind. */
export const headBytesMax = 20;

const writer = new WireWriter();

/** How fresh a batch is. */
export interface BatchHeader {
  readonly member: string;
  readonly linearizable: boolean;
  readonly ageMs: number;
}

/** Appends one event as it stands in a WatchResponse, for those to whom it is of this kind. */
export function writeEvent(out: WireWriter, event: ChangeEvent, kind: EventKind): void {
  if (event.kind === 'put' && kind === 'put') {
    writePut(out, event.revision, event.view);
    return;
  }
  beginGone(out, kind, event.revision, event.name);
  if (event.kind === 'put') out.uint(5, incarnationOf(event.view));
  else out.uint(5, event.incarnation).uint(6, causeNumbers[event.cause]).string(7, event.reason);
  out.endMessage();
}

/** Appends an instance; `revision` is that of its last change. */
export function writePut(out: WireWriter, revision: number, view: Uint8Array): void {
  out.beginMessage(eventsField).uint(1, kindNumbersOfEvents.put).uint(2, revision);
  out.bytesPresent(eventInstanceField, view).endMessage();
}

/** Appends what a coalesced batch says of an instance that is not there, or not matched, at `revision`. */
export function writeGone(out: WireWriter, kind: EventKind, revision: number, name: InstanceName): void {
  beginGone(out, kind, revision, name);
  out.endMessage();
}

function beginGone(out: WireWriter, kind: EventKind, revision: number, name: InstanceName): void {
  assert(kind !== 'put', 'an instance that is there, told as one that is not');
  out.beginMessage(eventsField).uint(1, kindNumbersOfEvents[kind]).uint(2, revision).beginMessage(4);
  out.string(1, name.namespace).string(2, name.service).string(3, name.id).endMessage();
}

/** What stands in front of the events and belongs to one watch. */
export function encodeHead(watchId: number, kind: BatchKind, from: number): Uint8Array {
  return writer.uint(1, watchId).uint(2, kindNumbers[kind]).uint(3, from).finish();
}

export interface BodyFlags {
  /** The batch goes on in the next response. */
  readonly more: boolean;
  readonly coalesced?: boolean;
}

/** `to`, events and the rest: the same for all watches that are sent it. */
export function encodeBody(to: number, segment: Uint8Array, flags: BodyFlags, header: BatchHeader): Uint8Array {
  writer.uint(4, to).raw(segment).bool(6, flags.more).beginMessage(7);
  writer.uint(1, to).string(2, header.member);
  // CONSISTENCY_LINEARIZABLE is 0 and its age is 0: both are left out.
  if (!header.linearizable) writer.uint(3, 1).uint(4, wholeMs(header.ageMs));
  return writer
    .endMessage()
    .bool(10, flags.coalesced ?? false)
    .finish();
}

export function encodeEnded(watchId: number, reason: string, message: string): Uint8Array {
  return writer.uint(1, watchId).uint(2, kindNumbers.ended).string(8, reason).string(9, message).finish();
}

export function joined(head: Uint8Array, body: Uint8Array): Uint8Array {
  const response = new Uint8Array(head.length + body.length);
  response.set(head, 0);
  response.set(body, head.length);
  return response;
}

function wholeMs(ageMs: number): number {
  assert(ageMs >= 0, () => `age of ${ageMs} ms`);
  return Math.min(Math.ceil(ageMs), Number.MAX_SAFE_INTEGER);
}
