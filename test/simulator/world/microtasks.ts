import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';

/**
 * Lets every promise that can go on do so, at once. Works outside of promises only: called from within one it does
 * nothing. A turn of Node's loop would do the same, and cost as much as a step of the simulation.
 */
export const drainMicrotasks: () => void = compile();

function compile(): () => void {
  // It stays on: what is compiled when it is first called, or again after a while, would not be understood otherwise.
  setFlagsFromString('--allow-natives-syntax');
  // In a text of its own, since no other tool reads the natives of V8.
  return runInThisContext('(() => { %PerformMicrotaskCheckpoint(); })') as () => void;
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
