import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** A process of a run, by name and id. */
export interface RunProcess {
  readonly name: string;
  readonly pid: number;
}

/** What a run writes down of itself, so that the next one can say what a run that was killed left behind. */
export interface RunRecord {
  /** The process of `npm start` itself. */
  readonly pid: number;
  readonly processes: readonly RunProcess[];
}

/** Replaces the record in one step: a reader never sees half of one. */
export function writeRunRecord(file: string, record: RunRecord): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, `${JSON.stringify(record, null, 2)}\n`);
  renameSync(`${file}.new`, file);
}

export function removeRunRecord(file: string): void {
  rmSync(file, { force: true });
}

/** undefined where there is none, or none that can be read: it is a help, nothing depends on it. */
export function readRunRecord(file: string): RunRecord | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return isRunRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a process of this id is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there and belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/**
 * What still runs of a recorded run. Ids are used again by the system: where /proc can be asked (Linux), a process
 * counts only if its command line is one of ours.
 */
export function survivors(record: RunRecord): { readonly show: boolean; readonly processes: readonly RunProcess[] } {
  return {
    show: isAlive(record.pid) && isOurs(record.pid),
    processes: record.processes.filter(({ pid }) => isAlive(pid) && isOurs(pid)),
  };
}

function isOurs(pid: number): boolean {
  if (!existsSync('/proc/self/cmdline')) return true;
  try {
    return /launcher\.cjs|scripts\/show/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  } catch {
    return false;
  }
}

function isRunRecord(value: unknown): value is RunRecord {
  if (typeof value !== 'object' || value === null || !('pid' in value) || !('processes' in value)) return false;
  return typeof value.pid === 'number' && Array.isArray(value.processes) && value.processes.every(isRunProcess);
}

function isRunProcess(value: unknown): value is RunProcess {
  if (typeof value !== 'object' || value === null || !('pid' in value) || !('name' in value)) return false;
  return typeof value.pid === 'number' && typeof value.name === 'string';
}
