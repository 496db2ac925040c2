import { assert } from '../base/assert.ts';
import { WireWriter } from '../base/wire-writer.ts';
import type { SessionInfo } from './interfaces.ts';
import { instanceNameIn, instanceText, lostKey, sessionKey } from './keys.ts';
import type { LeaseTable } from './lease-table.ts';
import type { PersistedRecords } from './persisted-records.ts';
import { decodeResult, encodeResult } from './result-codec.ts';
import { SlotArena } from './slot-arena.ts';
import { decodeStrictly, expectFormat, readFlag } from '../base/strict-decode.ts';
import type { CommandResult, InstanceName, LostInstance } from './types.ts';

/*
 * Formats of the store:
 *
 *   session = format attachment lastSequence moreLost result      (result: empty before the first write)
 *   lost    = format incarnation                                  (0: deregistered; otherwise what took over)
 */
const sessionFormat = 1;
const lostFormat = 1;
const writer = new WireWriter();
const noResult = new Uint8Array(0);

export interface SessionBounds {
  readonly lostPerSessionMax: number;
}

export interface SessionRecord {
  /** The stream that may write: 1 for the first, a higher one for each that went on with the session. */
  readonly attachment: number;
  /** Of the last write that was applied; 0: none. */
  readonly lastSequence: number;
  /** More was lost than is remembered: nothing may be restored over nothing. */
  readonly moreLost: boolean;
  /** Encoded, of the last write. */
  readonly result: Uint8Array;
}

export type SessionWritten = Extract<CommandResult, { kind: 'session-written' }>;

/**
 * The record of each session beside its live lease, whose id is the session's; it goes when the lease is marked ended.
 * Records are bytes in an arena by the slot of the lease: a session has no object, except one that lost an instance.
 */
export class SessionTable {
  readonly #bounds: SessionBounds;
  readonly #records: PersistedRecords;
  readonly #leases: LeaseTable;
  readonly #sessions = new SlotArena();
  #count = 0;
  /** By session: names of lost instances (as in keys) with the incarnation that took over, 0 for deregistered. */
  readonly #lost = new Map<number, Map<string, number>>();

  constructor(bounds: SessionBounds, records: PersistedRecords, leases: LeaseTable) {
    this.#bounds = bounds;
    this.#records = records;
    this.#leases = leases;
  }

  get count(): number {
    return this.#count;
  }

  has(sessionId: number): boolean {
    const slot = this.#leases.liveSlot(sessionId);
    return slot !== undefined && this.#sessions.has(slot);
  }

  get(sessionId: number): SessionRecord | undefined {
    const slot = this.#leases.liveSlot(sessionId);
    const bytes = slot === undefined ? undefined : this.#sessions.get(slot);
    return bytes === undefined ? undefined : decodeSession(bytes);
  }

  info(sessionId: number): SessionInfo | undefined {
    const record = this.get(sessionId);
    const lease = this.#leases.info(sessionId);
    if (record === undefined || lease === undefined) return undefined;
    const { attachment, lastSequence, moreLost } = record;
    const { ttlMs, instances } = lease;
    return { sessionId, attachment, lastSequence, ttlMs, instances, lost: this.#lostOf(sessionId), moreLost };
  }

  /** Makes the live lease of this id a session. */
  open(sessionId: number): void {
    assert(!this.has(sessionId), 'session opened twice');
    this.#count += 1;
    this.#put(sessionId, { attachment: 1, lastSequence: 0, moreLost: false, result: noResult });
  }

  /** A further stream goes on with the session. */
  attach(sessionId: number, attachment: number): void {
    const record = this.#recordOf(sessionId);
    assert(attachment > record.attachment, 'attachment of an earlier stream');
    this.#put(sessionId, { ...record, attachment });
  }

  /** The next write was applied. */
  written(sessionId: number, result: SessionWritten): void {
    const record = this.#recordOf(sessionId);
    assert(result.sequence === record.lastSequence + 1, 'write out of order');
    this.#put(sessionId, { ...record, lastSequence: result.sequence, result: encodeResult(result) });
  }

  hasLost(sessionId: number, name: InstanceName): boolean {
    return this.#lost.get(sessionId)?.has(instanceText(name)) ?? false;
  }

  /**
   * Remembers that an instance is the session's no more.
   *
   * @param incarnation That took over; 0: it was deregistered.
   */
  lose(sessionId: number, name: InstanceName, incarnation: number): LostInstance {
    let lost = this.#lost.get(sessionId);
    if (lost === undefined) {
      lost = new Map();
      this.#lost.set(sessionId, lost);
    }
    const text = instanceText(name);
    assert(!lost.has(text), 'instance lost twice');
    if (lost.size < this.#bounds.lostPerSessionMax) {
      lost.set(text, incarnation);
      this.#records.changed(lostKey(sessionId, text), undefined, encodeLost(incarnation));
    } else {
      const record = this.#recordOf(sessionId);
      if (!record.moreLost) this.#put(sessionId, { ...record, moreLost: true });
    }
    return lostInstance(text, incarnation);
  }

  /** The session has the instance again, by an explicit start. */
  clearLost(sessionId: number, name: InstanceName): void {
    const lost = this.#lost.get(sessionId);
    const text = instanceText(name);
    const incarnation = lost?.get(text);
    if (lost === undefined || incarnation === undefined) return;
    lost.delete(text);
    if (lost.size === 0) this.#lost.delete(sessionId);
    this.#records.changed(lostKey(sessionId, text), encodeLost(incarnation), undefined);
  }

  /** Forgets the session, right before its lease is marked ended. */
  end(sessionId: number): void {
    const slot = this.#leases.liveSlot(sessionId);
    const bytes = slot === undefined ? undefined : this.#sessions.get(slot);
    assert(slot !== undefined && bytes !== undefined, 'end of an unknown session');
    for (const [text, incarnation] of this.#lost.get(sessionId) ?? []) {
      this.#records.changed(lostKey(sessionId, text), encodeLost(incarnation), undefined);
    }
    this.#lost.delete(sessionId);
    this.#records.changed(sessionKey(sessionId), bytes, undefined);
    this.#sessions.delete(slot);
    this.#count -= 1;
  }

  /** A session from the store, after its lease. */
  load(sessionId: number, bytes: Uint8Array, revisionMax: number): void {
    const slot = this.#leases.liveSlot(sessionId);
    assert(slot !== undefined && !this.#leases.isImplicit(sessionId), () => `session ${sessionId} without its lease`);
    const { attachment, lastSequence, result } = decodeSession(bytes);
    assert(attachment > 0, () => `session ${sessionId} without an attachment`);
    assert((lastSequence === 0) === (result.length === 0), () => `session ${sessionId}: result of no write`);
    if (lastSequence > 0) {
      const written = decodeResult(result);
      assert(
        written.kind === 'session-written' && written.sequence === lastSequence && written.revision <= revisionMax,
        () => `session ${sessionId}: result of another write`,
      );
    }
    this.#sessions.put(slot, bytes);
    this.#count += 1;
  }

  /** What a session lost, from the store, after the session. */
  loadLost(sessionId: number, name: InstanceName, bytes: Uint8Array, revisionMax: number): void {
    assert(this.has(sessionId), () => `instance lost by no session, ${sessionId}`);
    const incarnation = decodeStrictly('lost instance', bytes, (reader) => {
      expectFormat(reader, lostFormat);
      return reader.varint();
    });
    assert(incarnation <= revisionMax, 'instance lost in the future');
    const lost = this.#lost.get(sessionId) ?? new Map<string, number>();
    assert(lost.size < this.#bounds.lostPerSessionMax, 'more lost than a session remembers');
    lost.set(instanceText(name), incarnation);
    this.#lost.set(sessionId, lost);
  }

  #lostOf(sessionId: number): LostInstance[] {
    const lost = [...(this.#lost.get(sessionId) ?? [])].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return lost.map(([text, incarnation]) => lostInstance(text, incarnation));
  }

  #recordOf(sessionId: number): SessionRecord {
    const record = this.get(sessionId);
    assert(record !== undefined, () => `no session ${sessionId}`);
    return record;
  }

  #put(sessionId: number, record: SessionRecord): void {
    const slot = this.#leases.liveSlot(sessionId);
    assert(slot !== undefined, 'session without a lease');
    const after = encodeSession(record);
    this.#records.changed(sessionKey(sessionId), this.#sessions.get(slot), after);
    this.#sessions.put(slot, after);
  }
}

function lostInstance(text: string, incarnation: number): LostInstance {
  return { name: instanceNameIn(text), cause: incarnation === 0 ? 'deregistered' : 'superseded', incarnation };
}

function encodeSession({ attachment, lastSequence, moreLost, result }: SessionRecord): Uint8Array {
  writer.reset();
  return writer
    .byte(sessionFormat)
    .varint(attachment)
    .varint(lastSequence)
    .byte(moreLost ? 1 : 0)
    .sized(result)
    .finish();
}

function decodeSession(bytes: Uint8Array): SessionRecord {
  return decodeStrictly('session', bytes, (reader) => {
    expectFormat(reader, sessionFormat);
    return {
      attachment: reader.varint(),
      lastSequence: reader.varint(),
      moreLost: readFlag(reader),
      result: reader.sized(),
    };
  });
}

function encodeLost(incarnation: number): Uint8Array {
  writer.reset();
  return writer.byte(lostFormat).varint(incarnation).finish();
}
