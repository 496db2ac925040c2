import { HistoryError, type Operation } from './types.ts';

/** Throws HistoryError, naming the operation, where times or answer of one cannot be. */
export function checkHistory(history: readonly Operation<unknown, unknown>[]): void {
  for (const [index, { start, end, latest, output }] of history.entries()) {
    if (!Number.isFinite(start)) throw new HistoryError(`operation ${index}: start is ${start}, not a finite number`);
    // Also where the end is NaN.
    if (!(end >= start)) throw new HistoryError(`operation ${index}: end is ${end}, before its start ${start}`);
    if (end === Infinity && output !== undefined) {
      throw new HistoryError(`operation ${index}: output of an operation that has not ended`);
    }
    if (latest !== undefined && (end !== Infinity || !(latest >= start))) {
      throw new HistoryError(`operation ${index}: latest is ${latest}, of an operation from ${start} to ${end}`);
    }
    if (end !== Infinity && output === undefined) {
      throw new HistoryError(`operation ${index}: no output of an operation that ended at ${end}`);
    }
  }
}
