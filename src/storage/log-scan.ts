import { assert, must } from '../base/assert.ts';
import { StorageError } from '../base/errors.ts';
import type { CompactionMark } from './compaction-mark.ts';
import { markPath } from './compaction-mark.ts';
import type { Frame, FrameReading } from './frame.ts';
import { isZeroPage, pageBytes, readEntries, readFrame, readPage } from './frame.ts';
import type { Entry } from './log-types.ts';
import type { Segment } from './segment.ts';
import { segmentPath } from './segment.ts';

/** What is known from elsewhere of how far the log must reach. */
export interface KnownProgress {
  /** Applied index of the flushed state, which is never beyond the durable log. */
  readonly appliedIndex: number;
  /**
   * Index of the last snapshot that was installed, if any. A log that ends below it was not yet restarted there, so
   * that the state is rightly ahead of it.
   */
  readonly installedIndex?: number;
}

/** A write that a crash cut off: its pages are to be wiped. */
export interface TornFrame {
  readonly segment: number;
  readonly path: string;
  readonly at: number;
  /** From `at` to the last page of it that reached the disk. */
  readonly pages: number;
}

/** Everything that the segments say. */
export interface ScannedLog {
  /** From base.index + 1 on. */
  readonly entries: readonly Entry[];
  readonly commit: number;
  /** From the mark's first one to the active one, the last that holds a frame. */
  readonly segments: readonly Segment[];
  readonly nextSequence: number;
  readonly lastFrame: LastFrame | undefined;
  readonly torn: TornFrame | undefined;
}

/** The last intact frame; `bytes` are its pages. */
export interface LastFrame {
  readonly path: string;
  readonly at: number;
  readonly bytes: Buffer;
  readonly entryCount: number;
}

interface Place {
  readonly path: string;
  readonly at: number;
}

const advice =
  'Nothing was changed on disk. Keep the other members running: they hold what was acknowledged. Check the disk for ' +
  'errors, keep this directory aside, and replace this member by a new one with an empty directory';

/**
 * Reads segments in the order of their numbers and tells a torn last write from damage. Every frame carries the next
 * sequence and the prefix hash before it, so the log is whole up to the first place where the expected frame does not
 * stand. What stands there is TORN, and may be wiped, only if all from there on is zero or a page of this one frame at
 * its own place, and if neither the mark nor the flushed state says that the frame was durable. All else is DAMAGED,
 * and throws.
 */
export class LogScan {
  readonly #mark: CompactionMark;
  readonly #known: KnownProgress;
  readonly #segments: Segment[] = [];
  #nextSequence: number;
  /** Greatest that a frame carries. */
  #commit = 0;
  #lastFrame: LastFrame | undefined;
  #end: Place | undefined;
  #torn: (TornFrame & { readonly head: Frame | undefined; readonly badAt: number }) | undefined;
  /** Contiguous; the first may lie before the mark's base. Undefined until the first frame. */
  #list: { start: number; hashBefore: string; entries: Entry[] } | undefined;

  constructor(mark: CompactionMark, known: KnownProgress) {
    this.#mark = mark;
    this.#known = known;
    this.#nextSequence = mark.firstSequence;
  }

  /** @param bytes Whole content of the segment; it is kept in part until the scan is finished. */
  add(number: number, bytes: Buffer): void {
    const path = segmentPath(number);
    const whole = this.#checkedSize(number, path, bytes);
    let at = 0;
    let first: Segment['first'];
    let reading: FrameReading = { kind: 'zero' };
    while (at < whole.byteLength) {
      reading = readFrame(whole, at, number);
      if (this.#torn !== undefined || reading.kind !== 'intact') break;
      if (reading.frame.sequence !== this.#nextSequence) break;
      first ??= { sequence: reading.frame.sequence, index: reading.frame.firstIndex };
      this.#accept(path, at, whole, reading.frame);
      at += reading.frame.pages * pageBytes;
    }
    this.#segments.push({ number, path, pages: whole.byteLength / pageBytes, first, usedBytes: at });
    // A frame that does not fit into the rest of a segment stands at the begin of the next.
    if (first !== undefined || this.#end === undefined) this.#end = { path, at };
    if (at < whole.byteLength) this.#judgeRest(number, path, whole, at, reading);
  }

  finish(): ScannedLog {
    const { base, durableSequence } = this.#mark;
    const end = must(this.#end, 'end of the log');
    const lastIndex = this.#lastIndex();
    this.#checkBase();
    if (this.#nextSequence < durableSequence) {
      throw damaged(end, `frame ${this.#nextSequence} is gone; all before frame ${durableSequence} were durable`);
    }
    const { appliedIndex, installedIndex } = this.#known;
    const restartDue = installedIndex !== undefined && lastIndex < installedIndex;
    if (lastIndex < appliedIndex && !restartDue) {
      throw damaged(end, `the log ends with entry ${lastIndex}, but entries up to ${appliedIndex} were applied`);
    }
    const commit = Math.max(this.#commit, base.index);
    const head = this.#torn?.head;
    if (head !== undefined && head.firstIndex <= Math.max(commit, restartDue ? 0 : appliedIndex)) {
      throw damaged(end, `the frame is not whole, but its first entry ${head.firstIndex} was committed`);
    }
    assert(commit <= lastIndex, () => `commit is ${commit}, the last entry ${lastIndex}`);
    const list = this.#list;
    const entries = list === undefined ? [] : list.entries.slice(Math.max(0, base.index + 1 - list.start));
    assert(entries.length === 0 || entries[0]?.index === base.index + 1, 'the first entry follows the base');
    const active = Math.max(
      0,
      this.#segments.findLastIndex((segment) => segment.first !== undefined),
    );
    const torn = this.#torn;
    return {
      entries,
      commit,
      segments: this.#segments.slice(0, active + 1),
      nextSequence: this.#nextSequence,
      lastFrame: this.#lastFrame,
      torn: torn && { segment: torn.segment, path: torn.path, at: torn.at, pages: torn.pages },
    };
  }

  /** The whole pages of it. Only a spare segment, whose making a crash cut off, may have any other size. */
  #checkedSize(number: number, path: string, bytes: Buffer): Buffer {
    const wholeBytes = bytes.byteLength - (bytes.byteLength % pageBytes);
    const unfinished = wholeBytes !== bytes.byteLength || wholeBytes < 2 * pageBytes;
    if (unfinished && (number === this.#mark.firstSegment || bytes.some((byte) => byte !== 0))) {
      throw damaged({ path, at: bytes.byteLength }, `the file ends here, which is no size of a segment`);
    }
    return bytes.subarray(0, wholeBytes);
  }

  #accept(path: string, at: number, bytes: Buffer, frame: Frame): void {
    const place = { path, at };
    const entries = readEntries(bytes, at, frame);
    if (typeof entries === 'string') throw damaged(place, entries);
    this.#join(place, frame, entries);
    if (frame.entryCount > 0 && frame.firstIndex <= this.#commit) {
      throw damaged(place, `entry ${frame.firstIndex} is superseded, but commit was ${this.#commit} before`);
    }
    const lastIndex = this.#lastIndex();
    if (frame.commit > lastIndex) throw damaged(place, `commit is ${frame.commit}, the last entry ${lastIndex}`);
    this.#commit = Math.max(this.#commit, frame.commit);
    this.#nextSequence = frame.sequence + 1;
    const end = at + frame.pages * pageBytes;
    this.#lastFrame = { path, at, bytes: bytes.subarray(at, end), entryCount: frame.entryCount };
  }

  /** Puts the frame's entries behind those they follow; what they supersede goes. */
  #join(place: Place, frame: Frame, entries: readonly Entry[]): void {
    const { base } = this.#mark;
    const { firstIndex, previousHash } = frame;
    const list = this.#list;
    const next = list === undefined ? base.index + 1 : list.start + list.entries.length;
    if (firstIndex > next) throw damaged(place, `the frame begins with entry ${firstIndex}, expected at most ${next}`);
    if (entries.length === 0 && list !== undefined && firstIndex !== next) {
      throw damaged(place, `the empty frame says that entry ${firstIndex} comes next, expected ${next}`);
    }
    if (list === undefined || firstIndex < list.start) {
      // What stands before was in segments that are removed. The frame itself may be superseded by a later one that
      // begins at or below the base, so whether all this joins the base is looked at in the end.
      this.#list = { start: firstIndex, hashBefore: previousHash, entries: [...entries] };
      return;
    }
    const kept = firstIndex - list.start;
    const before = kept === 0 ? list.hashBefore : must(list.entries[kept - 1], 'entry before a frame').hash;
    if (before !== previousHash) throw hashBreak(place, frame, before);
    if (entries.length === 0) return;
    list.entries.length = kept;
    for (const entry of entries) list.entries.push(entry);
  }

  #lastIndex(): number {
    const list = this.#list;
    return list === undefined ? this.#mark.base.index : list.start + list.entries.length - 1;
  }

  /** What the entries follow, or the entry at the base where that is still there, must be what the mark names. */
  #checkBase(): void {
    const { base } = this.#mark;
    const list = this.#list;
    if (list === undefined) return;
    const names = `the mark names term ${base.term} and prefix hash ${base.hash}`;
    const place = this.#end ?? { path: markPath, at: 0 };
    if (list.start === base.index + 1) {
      if (list.hashBefore === base.hash) return;
      throw damaged(place, `entry ${list.start} follows prefix hash ${list.hashBefore}, ${names}`);
    }
    const found = list.entries[base.index - list.start];
    if (found !== undefined && found.term === base.term && found.hash === base.hash) return;
    const says = found === undefined ? 'is gone' : `has term ${found.term} and prefix hash ${found.hash}`;
    throw damaged(place, `entry ${base.index} ${says}, ${names}`);
  }

  /** Looks at all from `at` on, where the expected frame does not stand. */
  #judgeRest(number: number, path: string, bytes: Buffer, at: number, reading: FrameReading): void {
    const rest = examineRest(bytes, at, number, this.#torn === undefined ? this.#nextSequence : undefined);
    const torn = this.#torn;
    if (rest.lastPageAt === undefined && torn === undefined) return;
    if (reading.kind === 'bad' && torn === undefined && !isZeroPage(bytes, reading.at)) {
      throw damaged({ path, at: reading.at }, `${reading.problem}${entriesOf(reading.head)}`);
    }
    const end = must(this.#end, 'end of the log');
    if (rest.intact !== undefined) {
      const missing = torn ?? (reading.kind === 'bad' ? { path, at: reading.at } : end);
      const text = `frame ${this.#nextSequence} is not whole here, but a later frame is intact in ${path} at byte`;
      throw damaged({ path: missing.path, at: torn?.badAt ?? missing.at }, `${text} ${rest.intact}`);
    }
    if (rest.strayAt !== undefined) {
      throw damaged({ path, at: rest.strayAt }, `the page is neither zero nor a page of frame ${this.#nextSequence}`);
    }
    if (torn !== undefined) return;
    const pages = (must(rest.lastPageAt, 'last page of a torn frame') - at) / pageBytes + 1;
    const head = reading.kind === 'bad' ? reading.head : undefined;
    const badAt = reading.kind === 'bad' ? reading.at : at;
    this.#end = { path, at };
    this.#torn = { segment: number, path, at, pages, head, badAt };
  }
}

interface Rest {
  /** Last page that is not zero. */
  readonly lastPageAt: number | undefined;
  /** First page that is neither zero nor the expected frame's at its own place. */
  readonly strayAt: number | undefined;
  /** First intact frame. */
  readonly intact: number | undefined;
}

/** @param sequence Of the frame whose pages may stand here; undefined where none may. */
function examineRest(bytes: Buffer, at: number, segment: number, sequence: number | undefined): Rest {
  let lastPageAt: number | undefined;
  let strayAt: number | undefined;
  let intact: number | undefined;
  let pages: number | undefined;
  for (let pageAt = at; pageAt < bytes.byteLength; pageAt += pageBytes) {
    const found = readPage(bytes, pageAt, segment);
    if (found.kind === 'zero') continue;
    lastPageAt = pageAt;
    if (intact === undefined && readFrame(bytes, pageAt, segment).kind === 'intact') intact = pageAt;
    pages ??= found.kind === 'sound' ? found.pages : undefined;
    const own =
      found.kind === 'sound' &&
      found.sequence === sequence &&
      found.page === (pageAt - at) / pageBytes &&
      found.pages === pages;
    if (!own) strayAt ??= pageAt;
  }
  return { lastPageAt, strayAt, intact };
}

function damaged(place: Place, problem: string): StorageError {
  return new StorageError('damaged', place.path, `the log is damaged: ${problem}. ${advice}`, { offset: place.at });
}

function hashBreak(place: Place, frame: Frame, expected: string): StorageError {
  const text = `the frame follows prefix hash ${frame.previousHash}, but entry ${frame.firstIndex - 1} has ${expected}`;
  return damaged(place, text);
}

function entriesOf(head: Frame | undefined): string {
  if (head === undefined) return '';
  if (head.entryCount === 0) return ` (frame ${head.sequence}, without entries)`;
  return ` (frame ${head.sequence} with entries ${head.firstIndex} to ${head.firstIndex + head.entryCount - 1})`;
}
