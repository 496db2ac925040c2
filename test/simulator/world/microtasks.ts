import { setFlagsFromString } from 'node:v8';

/**
 * Lets every promise that can go on do so, at once. Works outside of promises only: called from within one it does
 * nothing. A turn of Node's loop would do the same, and cost as much as a step of the simulation.
 */
export const drainMicrotasks: () => void = compile();

function compile(): () => void {
  setFlagsFromString('--allow-natives-syntax');
  try {
    // The only way to write a native of V8 in a source that other tools must be able to read.
    return new Function('%PerformMicrotaskCheckpoint();') as () => void;
  } finally {
    setFlagsFromString('--no-allow-natives-syntax');
  }
}

/** The same from within a promise, by a turn of Node's loop. */
export function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** Runs `work` outside of promises, and resolves behind it. */
export function outsidePromises(work: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        work();
        resolve();
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}
