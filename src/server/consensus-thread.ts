import { Worker } from 'node:worker_threads';
import type { Clock } from '../base/clock.ts';
import { RemoteConsensus } from '../replica/remote-consensus.ts';
import type { ReplicaTimes } from '../replica/times.ts';
import type { OnDiskWrite } from '../telemetry/measured-disk.ts';
import type { ConsensusThreadData } from './consensus-worker.ts';
import { clockOriginMs, portEndpoint } from './thread-port.ts';

export interface ConsensusThreadOptions extends Omit<ConsensusThreadData, 'ownerOriginMs'> {
  readonly clock: Clock;
  readonly times: ReplicaTimes;
  readonly onDiskWrite: OnDiskWrite;
}

const compiled = import.meta.url.endsWith('.js');

/**
 * Whether a thread can be started: Node runs a compiled entry everywhere, one in TypeScript only where it strips types
 * by itself. A loader of the main thread, such as tsx on Node 20, does not reach another one.
 */
export function hasConsensusThread(): boolean {
  return compiled || Boolean(Reflect.get(process.features, 'typescript'));
}

/**
 * Starts a thread with the consensus side of a member. The thread ends with `stop`; where it ends by itself, or throws,
 * the member is told that it cannot go on.
 */
export function startConsensusThread({ clock, times, onDiskWrite, ...data }: ConsensusThreadOptions): RemoteConsensus {
  const workerData: ConsensusThreadData = { ...data, ownerOriginMs: clockOriginMs() };
  const worker = new Worker(new URL(`./consensus-worker.${compiled ? 'js' : 'ts'}`, import.meta.url), {
    workerData,
    name: 'consensus',
    // What the process was started with says how to run the sources; else it is for the main program alone.
    execArgv: compiled ? [] : process.execArgv,
  });
  let stopping = false;
  const gone = new Promise<void>((resolve) => {
    worker.once('exit', (code) => {
      if (!stopping) consensus.fail(new Error(`the consensus thread ended by itself with code ${code}`));
      resolve();
    });
  });
  const consensus = new RemoteConsensus({
    endpoint: portEndpoint(worker, () => undefined),
    clock,
    times,
    onDiskWrite,
    onStopped: async () => {
      stopping = true;
      await worker.terminate();
      await gone;
    },
  });
  worker.once('error', (error) => consensus.fail(error));
  worker.once('messageerror', (error) => consensus.fail(error));
  return consensus;
}
