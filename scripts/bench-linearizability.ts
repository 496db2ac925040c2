// How fast is the linearizability checker? 100,000 operations on 40 keys, up to 8 of each key at once, 5 % of them
// never answered; and how much a history without, and one with more of these, costs. Times are those of the processor,
// so that other work on the machine does not count.
//
//   node --import tsx scripts/bench-linearizability.ts [--seeds N]
//   node --import tsx scripts/bench-linearizability.ts --public DIRECTORY
//
// The second form checks the labelled histories of a checkout of github.com/anishathalye/porcupine, and fails where a
// verdict is not its label.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SeededRandom } from '../src/base/random.ts';
import { checkInstances } from '../test/simulator/linearizability/check-instances.ts';
import { checkLinearizable } from '../test/simulator/linearizability/check-linearizable.ts';
import { generateHistory } from '../test/simulator/linearizability/generate-history.ts';
import { parseRegisterLog, parseTextLog } from '../test/simulator/linearizability/public-histories.ts';
import { registerModel } from '../test/simulator/linearizability/register-model.ts';
import { checkRevisionOrder } from '../test/simulator/linearizability/revision-order.ts';
import { textModel } from '../test/simulator/linearizability/text-model.ts';
import { defaultLimits, type Limits } from '../test/simulator/linearizability/types.ts';
import { readOptions, refuse, wholeOption } from './command-line.ts';

const operations = 100_000;
/** A key that would take longer than some seconds is told as not decided. */
const limits: Limits = { ...defaultLimits, stepsPerKeyMax: 3_000_000 };

function timed<Result>(run: () => Result): { readonly result: Result; readonly ms: number } {
  const before = process.cpuUsage();
  const result = run();
  const { user, system } = process.cpuUsage(before);
  return { result, ms: (user + system) / 1000 };
}

function quantile(sorted: readonly number[], share: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(0);
}

function benchRandom(seeds: number): void {
  for (const openPercent of [0, 5, 8]) {
    for (let seed = 1; seed <= seeds; seed++) {
      const plan = { operations, keys: 40, clientsPerKey: 8, openPercent };
      const history = generateHistory(plan, new SeededRandom(seed));
      const ofKeys = Array.from({ length: plan.keys }, (_, key) =>
        history.operations.filter((operation) => operation.key === `key-${key}`),
      ).map((ofKey) => timed(() => checkInstances(ofKey, limits)));
      const unknown = ofKeys.filter(({ result }) => result.ok !== true).length;
      const sorted = ofKeys.map(({ ms }) => ms).sort((one, other) => one - other);
      const total = sorted.reduce((sum, ms) => sum + ms, 0);
      const revisions = timed(() => checkRevisionOrder(history.revisions));
      console.log(
        `${openPercent} % open, seed ${seed}: ${(total / 1000).toFixed(1)} s; a key: ` +
          `median ${quantile(sorted, 0.5)} ms, p90 ${quantile(sorted, 0.9)} ms, most ${quantile(sorted, 1)} ms; ` +
          `not decided ${unknown}; ` +
          `revision order ${revisions.result.ok ? 'holds' : 'BROKEN'} in ${revisions.ms.toFixed(0)} ms`,
      );
    }
  }
}

function checkPublic(directory: string): void {
  const labelsFile = join(directory, 'porcupine_test.go');
  if (!existsSync(labelsFile)) refuse(`${directory} is no checkout of porcupine: it has no porcupine_test.go`);
  const labels = readFileSync(labelsFile, 'utf8');
  const read = (path: string): string => readFileSync(join(directory, 'test_data', path), 'utf8');
  let agreed = 0;
  let differ = 0;
  const compare = (
    name: string,
    label: string | undefined,
    check: () => { readonly ok: boolean | 'unknown' },
  ): void => {
    const { result, ms } = timed(check);
    const agrees = String(result.ok) === label;
    if (agrees) agreed += 1;
    else differ += 1;
    if (!agrees || ms > 100) console.log(`${name}: ${result.ok}, label ${label}, ${ms.toFixed(0)} ms`);
  };
  for (const [, number = '', label] of labels.matchAll(/checkJepsen\(t, (\d+), (true|false)\)/g)) {
    const path = `jepsen/etcd_${number.padStart(3, '0')}.log`;
    compare(path, label, () => checkLinearizable(parseRegisterLog(read(path)), registerModel));
  }
  for (const [, name = '', label] of labels.matchAll(/checkKv\(t, "([^"]+)", (true|false), true\)/g)) {
    compare(`kv/${name}.txt`, label, () => checkLinearizable(parseTextLog(read(`kv/${name}.txt`)), textModel));
  }
  console.log(`${agreed} verdicts agree with their labels, ${differ} do not`);
  if (differ > 0 || agreed === 0) process.exitCode = 1;
}

const help = `Usage: node --import tsx scripts/bench-linearizability.ts [options]

  --seeds N           random histories of 100,000 operations for each share of open ones (default 3)
  --public DIRECTORY  instead: the labelled histories of a checkout of anishathalye/porcupine
`;

const { values } = readOptions({
  options: {
    seeds: { type: 'string', default: '3' },
    public: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) process.stdout.write(help);
else if (values.public === undefined) benchRandom(wholeOption('seeds', values.seeds, 1));
else checkPublic(values.public);
