// Plants each bug of test/simulator/mutants in a copy of the sources and asks the simulator for it. `--help` says how
// to call it.
import { plantedBugs } from '../test/simulator/mutation/planted-bugs.ts';
import { plantedTable, runPlantedBugs } from '../test/simulator/mutation/planted-run.ts';
import { positiveOption, readOptions, refuse, wholeOption } from './command-line.ts';

const help = `Usage: node --import tsx scripts/mutants.ts [options]

  --only NAME         only this planted bug; may be given several times
  --minutes-each M    how long the simulator may look for each (default 3)
  --first-seed N      where it begins (default 1)
  --lanes N           bugs looked for at once (default 2)
  --list              names and titles, without looking for them
  --simulator JSON    the command of the simulator as a list, instead of scripts/simulate.ts
`;

const { values } = readOptions({
  options: {
    only: { type: 'string', multiple: true },
    'minutes-each': { type: 'string', default: '3' },
    'first-seed': { type: 'string', default: '1' },
    lanes: { type: 'string', default: '2' },
    list: { type: 'boolean', default: false },
    simulator: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const all = plantedBugs();
  const unknown = (values.only ?? []).filter((name) => !all.some((bug) => bug.name === name));
  if (unknown.length > 0) refuse(`no planted bug is called ${unknown.join(', ')}`);
  const bugs = all.filter(({ name }) => values.only?.includes(name) ?? true);
  if (values.list) {
    for (const { name, title, breaks, seenBy } of bugs)
      say(`${name}: ${title}\n  breaks: ${breaks}\n  seen by: ${seenBy}`);
    return 0;
  }
  const results = await runPlantedBugs({
    bugs,
    minutesEach: positiveOption('minutes-each', values['minutes-each']),
    firstSeed: wholeOption('first-seed', values['first-seed']),
    lanes: wholeOption('lanes', values.lanes, 1),
    simulator: values.simulator,
    say,
  });
  say(`\n${plantedTable(results)}`);
  for (const { bug, trouble } of results) if (trouble !== undefined) say(`\n${bug.name}: ${trouble}`);
  return results.every(({ finding }) => finding !== undefined) ? 0 : 1;
}

process.exitCode = await main();
