import { createHash } from 'node:crypto';
import { StorageError } from '../base/errors.ts';
import type { Disk } from './disk.ts';
import type { MembershipRecord } from './entry-log.ts';
import type { LogBase } from './log-types.ts';
import { membershipJson, membershipOf } from './membership-json.ts';
import { isCount, isHex, parsedJson, recordOf } from './strict-json.ts';

export const pointerName = 'CURRENT-STATE';
export const pointerTemporaryName = 'CURRENT-STATE.new';

const pointerFormat = 1;

/** The log base that an installed snapshot demands. */
export interface InstalledBase {
  readonly base: LogBase;
  readonly membership: MembershipRecord;
}

/** What the pointer file says. */
export interface StatePointer {
  /** Number of the active state; undefined while the very first one is being made. */
  readonly active: number | undefined;
  readonly installed: InstalledBase | undefined;
}

/** Called after each step of a change of pointers; for tests, which stop there. */
export type PointerStep = 'pointer-written' | 'pointer-renamed' | 'pointer-durable';

/** Name of the directory of the state with this number. */
export function stateName(number: number): string {
  return `data-${number}`;
}

/** The number in a name that `stateName` made; undefined for any other name. */
export function stateNumber(name: string): number | undefined {
  const digits = /^data-([1-9]\d{0,14})$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/**
 * The file: one line of JSON, one line with the SHA-256 of the first line.
 *
 * @returns undefined where there is no file.
 * @throws StorageError 'damaged' where it is not what `writePointer` writes.
 */
export async function readPointer(disk: Disk, folder: string): Promise<StatePointer | undefined> {
  const file = `${folder}/${pointerName}`;
  const content = await disk.read(file);
  if (content === undefined) return undefined;
  const [line = '', sum = '', ...rest] = content.toString().split('\n');
  if (rest.length !== 1 || rest[0] !== '' || sum !== sumOf(line)) {
    throw new StorageError('damaged', file, 'its checksum does not match its content');
  }
  const pointer = pointerOf(parsedJson(Buffer.from(line)));
  if (pointer === undefined) throw new StorageError('damaged', file, 'cannot be read by this version');
  return pointer;
}

/** Replaces the file, durably when it resolves: temporary file, sync, rename, sync of the directory. */
export async function writePointer(
  disk: Disk,
  folder: string,
  pointer: StatePointer,
  step: (step: PointerStep) => void,
): Promise<void> {
  const { active, installed } = pointer;
  const line = JSON.stringify({
    format: pointerFormat,
    active: active ?? null,
    installed:
      installed === undefined
        ? null
        : { base: baseJson(installed.base), membership: membershipJson(installed.membership) },
  });
  await disk.writeWhole(`${folder}/${pointerTemporaryName}`, Buffer.from(`${line}\n${sumOf(line)}\n`));
  step('pointer-written');
  await disk.rename(`${folder}/${pointerTemporaryName}`, `${folder}/${pointerName}`);
  step('pointer-renamed');
  await disk.syncDirectory(folder);
  step('pointer-durable');
}

function pointerOf(value: unknown): StatePointer | undefined {
  const record = recordOf(value, ['format', 'active', 'installed']);
  if (record?.format !== pointerFormat) return undefined;
  const { active, installed } = record;
  if (active !== null && !(isCount(active) && active >= 1)) return undefined;
  const base = installed === null ? undefined : installedOf(installed);
  if (installed !== null && base === undefined) return undefined;
  return { active: active ?? undefined, installed: base };
}

function installedOf(value: unknown): InstalledBase | undefined {
  const record = recordOf(value, ['base', 'membership']);
  const base = recordOf(record?.base, ['index', 'term', 'hash']);
  const membership = membershipOf(record?.membership);
  if (base === undefined || membership === undefined) return undefined;
  const { index, term, hash } = base;
  if (!isCount(index) || !isCount(term) || !isHex(hash, 16)) return undefined;
  return { base: { index, term, hash }, membership };
}

function baseJson({ index, term, hash }: LogBase): unknown {
  return { index, term, hash };
}

function sumOf(line: string): string {
  return createHash('sha256').update(line).digest('hex');
}
