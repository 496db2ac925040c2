// `npm start`: three members, a fleet of real gRPC servers, and what happens when some of them are killed. `--help`
// says more.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defaultHome, homeAt, rotateLogs } from './show/home.ts';
import { parseShowOptions, type ShowOptions, usage } from './show/options.ts';
import { refusal } from './show/refusal.ts';
import { Run } from './show/run.ts';
import { Screen, wantsColours } from './show/screen.ts';

const startMs = performance.now();
const built = join(import.meta.dirname, '../dist/cli/launcher.cjs');

async function main(options: ShowOptions): Promise<number> {
  const screen = new Screen({
    write: (text) => void process.stdout.write(text),
    coloured: wantsColours(process.stdout.isTTY, process.env),
    elapsedMs: () => performance.now() - startMs,
  });
  if (!existsSync(built)) return refuse(['dist/ is missing. Build first: npm run build']);
  const home = options.directory === undefined ? defaultHome() : await homeAt(options.directory);
  const reasons = await refusal(home);
  if (reasons !== undefined) return refuse(reasons);
  rotateLogs(home);
  screen.title('Rollcall: three members, a real fleet, two kills');
  return new Run(screen, home).run(options.once);
}

function refuse(reasons: readonly string[]): number {
  process.stderr.write(`${reasons.join('\n')}\n`);
  return 1;
}

function parsed(): ShowOptions | undefined {
  try {
    return parseShowOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`);
    return undefined;
  }
}

const options = parsed();
if (options === undefined) process.exitCode = 2;
else if (options.help) process.stdout.write(`${usage}\n`);
// Ends at once: a timer or a connection that is still there must not keep what has said that it ended.
else process.exit(await main(options));
