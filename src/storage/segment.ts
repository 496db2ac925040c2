import { assert, assertSafeInteger } from '../base/assert.ts';
import { pageBytes } from './frame.ts';

/** Directory of the log below the disk's root. */
export const logDirectory = 'log';

/** Default size of a segment file. */
export const segmentBytesDefault = 16 * 1_024 * 1_024;

/** A larger file cannot be a segment; bounds what a start reads at once. */
export const segmentBytesMax = 256 * 1_024 * 1_024;

const suffix = '.seg';

/** A segment file and what is durable in it. Numbers rise by one from file to file and are never used twice. */
export interface Segment {
  readonly number: number;
  readonly path: string;
  readonly pages: number;
  /** Of the first frame in it; undefined while it holds none. */
  readonly first: { readonly sequence: number; readonly index: number } | undefined;
  /** Where the next frame goes: a multiple of the page size. */
  readonly usedBytes: number;
}

/** The file of a segment: `log/<16 hex digits>.seg`. */
export function segmentPath(number: number): string {
  assertSafeInteger(number, 'number of a segment');
  assert(number >= 1, () => `number of a segment is ${number}`);
  return `${logDirectory}/${number.toString(16).padStart(16, '0')}${suffix}`;
}

/** The number in a file's name; undefined where it is no segment's. */
export function segmentNumber(name: string): number | undefined {
  const digits = /^([0-9a-f]{16})\.seg$/.exec(name)?.[1];
  if (digits === undefined) return undefined;
  const number = Number.parseInt(digits, 16);
  return Number.isSafeInteger(number) && number >= 1 ? number : undefined;
}

export function assertSegmentBytes(bytes: number): void {
  assert(
    Number.isSafeInteger(bytes) && bytes % pageBytes === 0 && bytes >= 2 * pageBytes && bytes <= segmentBytesMax,
    () => `a segment of ${bytes} bytes, expected a multiple of ${pageBytes} up to ${segmentBytesMax}`,
  );
}
