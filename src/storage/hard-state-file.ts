import { crc32 } from 'node:zlib';
import { assert, assertSafeInteger } from '../base/assert.ts';
import { StorageError } from '../base/errors.ts';
import type { Disk, DiskFile } from './disk.ts';
import type { HardStateFile, HardStateRecord } from './hard-state.ts';

// Two slots of one page each, with the same record in both unless a crash came between the two writes. Format 1, all
// numbers big endian, the rest of the page zero:
//    0 u32  CRC-32 of bytes 4..4095
//    4 u32  magic
//    8 u16  format
//   10 u16  number of the slot
//   12 u64  number of the record, raised by one with each write
//   20 u64  term
//   28 u64  boot
//   36 u16  bytes of the vote
//   38      vote, UTF-8

/** The file below the disk's root. */
export const hardStatePath = 'hard-state';

const slotBytes = 4_096;
const magic = 0x52434853;
const format = 1;
const voteAt = 38;
const voteBytesMax = 1_024;
const slots = [0, 1] as const;

const none: HardStateRecord = { term: 0, vote: '', boot: 0 };

interface Slot {
  readonly number: number;
  readonly record: HardStateRecord;
}

/** `zero`: never written. */
type SlotReading = Slot | 'zero' | 'bad';

export interface OpenHardStateOptions {
  /** True in a directory whose member has promised nothing yet; then a missing file is made, with term 0 and boot 0. */
  readonly isNewDirectory: boolean;
}

/**
 * Reads the hard state and writes it again in place, so that it is durable in both slots when this resolves; a bad slot
 * gets the record of the good one.
 *
 * @throws StorageError 'damaged' where no slot can be read, or where the file is missing in a directory that was used.
 */
export async function openHardState(disk: Disk, options: OpenHardStateOptions): Promise<StoredHardState> {
  const { isNewDirectory } = options;
  // A file that a crash cut off in the making cannot have held a vote, as long as the directory is a new one.
  if (isNewDirectory && !(await hasSlots(disk))) await disk.createZeroFilled(hardStatePath, slots.length * slotBytes);
  if (!(await disk.exists(hardStatePath))) {
    throw damaged(0, `is missing, so this directory was emptied or is not the member's own. ${advice}`);
  }
  await disk.syncDirectory('');
  const file = await disk.open(hardStatePath);
  try {
    if (file.sizeBytes !== slots.length * slotBytes) {
      throw damaged(0, `has ${file.sizeBytes} bytes, expected ${slots.length * slotBytes}. ${advice}`);
    }
    const readings = readSlots(await file.read(0, file.sizeBytes));
    const current = choose(readings, isNewDirectory);
    const healed = slots.filter((slot) => readings[slot] === 'bad').map((slot) => slot * slotBytes);
    // The bad slot first: the good one is not touched before there is a second.
    const order = readings[1] === 'bad' || readings[1] === 'zero' ? slots.toReversed() : slots;
    for (const slot of order) await file.writeDurably(slot * slotBytes, encodeSlot(current, slot));
    return new StoredHardState(file, current, healed);
  } catch (error) {
    await file.close();
    throw error;
  }
}

const advice =
  'A member that forgot its vote could vote twice. Replace it by a new member with an empty directory, or bring back ' +
  'the file as it was when the member last stopped';

/** The hard state on disk; see `openHardState`. */
export class StoredHardState implements HardStateFile {
  /** Byte offsets of the slots that were bad at the start and got the record of the other; for the log line. */
  readonly healedOffsets: readonly number[];
  readonly #file: DiskFile;
  #slot: Slot;
  #writing = false;
  #failure: unknown;
  #failed = false;

  constructor(file: DiskFile, slot: Slot, healedOffsets: readonly number[]) {
    this.#file = file;
    this.#slot = slot;
    this.healedOffsets = healedOffsets;
  }

  get current(): HardStateRecord {
    return this.#slot.record;
  }

  /** After a rejection every later call is rejected with the same error: what the disk holds is not known any more. */
  async write(record: HardStateRecord): Promise<void> {
    if (this.#failed) throw this.#failure;
    assert(!this.#writing, 'two writes of the hard state at a time');
    assertFollows(record, this.current);
    const next: Slot = { number: this.#slot.number + 1, record: { ...record } };
    this.#writing = true;
    try {
      for (const slot of slots) await this.#file.writeDurably(slot * slotBytes, encodeSlot(next, slot));
      this.#slot = next;
    } catch (error) {
      this.#failed = true;
      this.#failure = error;
      throw error;
    } finally {
      this.#writing = false;
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Term and boot never fall, and a vote stands for the whole of its term (Raft, figure 2: votedFor). */
function assertFollows(next: HardStateRecord, previous: HardStateRecord): void {
  assert(next.term >= previous.term, () => `term falls from ${previous.term} to ${next.term}`);
  assert(next.boot >= previous.boot, () => `boot falls from ${previous.boot} to ${next.boot}`);
  assert(next.term > previous.term || previous.vote === '' || next.vote === previous.vote, () => {
    return `vote in term ${next.term} changes from ${previous.vote} to ${next.vote}`;
  });
}

async function hasSlots(disk: Disk): Promise<boolean> {
  const content = await disk.read(hardStatePath);
  return content !== undefined && content.some((byte) => byte !== 0);
}

/** What a start would find in this content of the file; undefined where it would find nothing or damage. */
export function hardStateIn(content: Buffer): HardStateRecord | undefined {
  const readings = content.byteLength === slots.length * slotBytes ? readSlots(content) : [];
  return readings.some((reading) => typeof reading === 'object') ? choose(readings, false).record : undefined;
}

function readSlots(bytes: Buffer): readonly SlotReading[] {
  return slots.map((slot) => readSlot(bytes.subarray(slot * slotBytes, (slot + 1) * slotBytes), slot));
}

function choose(readings: readonly SlotReading[], isNewDirectory: boolean): Slot {
  if (isNewDirectory && readings.every((reading) => reading === 'zero')) return { number: 1, record: none };
  const [first, second] = readings.filter((reading) => typeof reading === 'object');
  if (first === undefined) throw damaged(0, `neither slot can be read. ${advice}`);
  if (second === undefined) return first;
  if (first.number !== second.number) return first.number > second.number ? first : second;
  const same = (['term', 'vote', 'boot'] as const).every((name) => first.record[name] === second.record[name]);
  if (!same) throw damaged(slotBytes, `the slots hold different records of the same number ${first.number}. ${advice}`);
  return first;
}

function encodeSlot({ number, record }: Slot, slot: number): Buffer {
  const bytes = Buffer.alloc(slotBytes);
  const vote = Buffer.from(record.vote);
  assert(vote.byteLength <= voteBytesMax, () => `vote of ${vote.byteLength} bytes`);
  bytes.writeUInt32BE(magic, 4);
  bytes.writeUInt16BE(format, 8);
  bytes.writeUInt16BE(slot, 10);
  for (const [at, value] of [
    [12, number],
    [20, record.term],
    [28, record.boot],
  ] as const) {
    assertSafeInteger(value, 'number in the hard state');
    bytes.writeBigUInt64BE(BigInt(value), at);
  }
  bytes.writeUInt16BE(vote.byteLength, 36);
  vote.copy(bytes, voteAt);
  bytes.writeUInt32BE(crc32(bytes.subarray(4)), 0);
  return bytes;
}

function readSlot(bytes: Buffer, slot: number): SlotReading {
  if (bytes.every((byte) => byte === 0)) return 'zero';
  if (crc32(bytes.subarray(4)) !== bytes.readUInt32BE(0)) return 'bad';
  if (bytes.readUInt32BE(4) !== magic || bytes.readUInt16BE(8) !== format || bytes.readUInt16BE(10) !== slot)
    return 'bad';
  const [number, term, boot] = [12, 20, 28].map((at) => Number(bytes.readBigUInt64BE(at)));
  const voteBytes = bytes.readUInt16BE(36);
  if (number === undefined || term === undefined || boot === undefined || voteBytes > voteBytesMax) return 'bad';
  if (![number, term, boot].every(Number.isSafeInteger)) return 'bad';
  const vote = bytes.toString('utf8', voteAt, voteAt + voteBytes);
  return { number, record: { term, vote, boot } };
}

function damaged(offset: number, text: string): StorageError {
  return new StorageError('damaged', hardStatePath, text, { offset });
}
