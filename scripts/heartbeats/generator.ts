// The process that makes the calls; bench-heartbeats.ts starts it, and tells it by messages what to do.
import { batchSize, loadedInstances, mixedCall } from './calls.ts';
import { type CallFigures, UnaryLoad } from './unary-load.ts';

export type GeneratorTask =
  | { readonly kind: 'load'; readonly addresses: readonly string[]; readonly instances: number; readonly lanes: number }
  | {
      readonly kind: 'offer';
      readonly addresses: readonly string[];
      readonly lanes: number;
      readonly loaded: number;
      readonly seconds: number;
    };

export interface GeneratorResult {
  readonly seconds: number;
  readonly calls: readonly CallFigures[];
  readonly refused: readonly (readonly [status: number, count: number])[];
}

async function perform(task: GeneratorTask): Promise<GeneratorResult> {
  const startMs = performance.now();
  const load = task.kind === 'load' ? loading(task) : offering(task);
  const timer = task.kind === 'offer' ? setTimeout(() => load.stop(), task.seconds * 1_000) : undefined;
  await load.run();
  clearTimeout(timer);
  return { seconds: (performance.now() - startMs) / 1_000, calls: load.figures(), refused: [...load.refused] };
}

function loading({ addresses, instances, lanes }: Extract<GeneratorTask, { kind: 'load' }>): UnaryLoad {
  let next = 0;
  return new UnaryLoad({
    addresses,
    lanes,
    next: () => {
      const first = next;
      next = Math.min(instances, first + batchSize);
      return first < instances ? loadedInstances(first, next) : undefined;
    },
  });
}

function offering({ addresses, lanes, loaded }: Extract<GeneratorTask, { kind: 'offer' }>): UnaryLoad {
  const turns = new Uint32Array(lanes);
  return new UnaryLoad({
    addresses,
    lanes,
    next: (lane) => {
      const n = turns[lane] ?? 0;
      turns[lane] = n + 1;
      return mixedCall(lane, n, loaded);
    },
  });
}

process.on('message', (task: GeneratorTask) => {
  perform(task).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit(0));
