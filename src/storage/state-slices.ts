import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { encodeStateKey, sealValue } from './state-envelope.ts';
import type { StateChange } from './state-store.ts';

/** One slice of work ends after this many changes or bytes of values, whichever comes first: some 2 ms. */
export const sliceChangesMax = 500;
export const sliceBytesMax = 512 * 1_024;

/** Keys and values of one batch, bytes; twice what may wait unflushed. A larger one is a fault of the caller. */
export const batchBytesMax = 512 * 1_024 * 1_024;

/** Takes one change as it lies in a store; `sealed` undefined: delete. */
export type TakeChange = (key: Buffer, sealed: Buffer | undefined) => void;

/**
 * Hands each change, encoded, to `take`, and lets the event loop go on after each slice.
 *
 * @param bytesMax Bound of keys and sealed values together; asserted before the change that passes it is taken.
 */
export async function takeInSlices(
  changes: Iterable<StateChange>,
  clock: Clock,
  take: TakeChange,
  bytesMax: number = batchBytesMax,
): Promise<void> {
  let bytesTotal = 0;
  let sliceChanges = 0;
  let sliceBytes = 0;
  for (const change of changes) {
    if (sliceChanges >= sliceChangesMax || sliceBytes >= sliceBytesMax) {
      await nextTurn(clock);
      sliceChanges = 0;
      sliceBytes = 0;
    }
    const key = encodeStateKey(change.key);
    const sealed = change.value === undefined ? undefined : sealValue(key, change.value);
    const bytes = key.length + (sealed?.length ?? 0);
    bytesTotal += bytes;
    assert(bytesTotal <= bytesMax, () => `one batch of over ${bytesMax} bytes of state`);
    take(key, sealed);
    sliceChanges += 1;
    sliceBytes += bytes;
  }
}

/** Resolves in a later turn of the event loop, after its sockets were read. */
export function nextTurn(clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    clock.nextTurn(resolve);
  });
}
