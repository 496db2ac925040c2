import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { RollcallClient } from '../client/client.ts';
import { kindOf, lagOf, surveyCluster } from './cluster-status.ts';
import type { CliContext, CliIo, Screen } from './context.ts';
import { contextOf, withClient } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { printable, tableLines } from './output.ts';
import { judge, surveyTimeoutMs } from './status-command.ts';
import type { TopFigures, TopSample } from './top-figures.ts';
import { topFigures, topHeader, topLines, topRow } from './top-figures.ts';
import { durationOption } from './values.ts';

const examples = `
Examples:
  rollcall top
  rollcall top --once --interval 5s
  rollcall top --output json`;

const intervalMsDefault = 1_000;

interface TopFlags {
  readonly once?: true;
  readonly interval: number;
}

export function addTopCommand(program: Command, io: CliIo, done: (exitCode: number) => void): void {
  const top = program
    .command('top')
    .summary('watch the members at work')
    .description(
      'Shows what the members do, anew every interval, until q or Ctrl-C. Where standard output is no terminal, and ' +
        'for programs, it measures for one interval, prints that, and ends; with 5 where no leader with a majority ' +
        'answers.',
    )
    .addOption(durationOption('--interval <duration>', 'how long each measurement takes', intervalMsDefault))
    .option('--once', 'print one measurement and end')
    .addHelpText('after', examples)
    .action(async ({ once, interval }: TopFlags) => {
      const context = contextOf(top, io);
      const { screen } = io;
      const live = once === true || context.output.format === 'json' ? undefined : screen;
      await withClient(context, async (client) => {
        const run = new TopRun(context, client, interval);
        if (live === undefined) await run.once();
        else await run.live(live);
      });
      done(exitCodes.ok);
    });
}

class TopRun {
  readonly #context: CliContext;
  readonly #client: RollcallClient;
  readonly #intervalMs: number;

  constructor(context: CliContext, client: RollcallClient, intervalMs: number) {
    this.#context = context;
    this.#client = client;
    this.#intervalMs = intervalMs;
  }

  /** @throws CliError 5 where no leader with a majority answers. */
  async once(): Promise<void> {
    const { output, io } = this.#context;
    const signal = io.interrupted();
    const before = await this.#sample();
    await this.#pause(signal);
    if (signal.aborted) return;
    const figures = topFigures(before, await this.#sample());
    if (output.format === 'json') await this.#printJson(figures);
    else await output.lines(linesOf(figures));
    judge(this.#context, figures.view);
  }

  /** Draws until somebody has had enough of it. */
  async live(screen: Screen): Promise<void> {
    const { stdout } = this.#context.io;
    const quit = new AbortController();
    const signal = AbortSignal.any([quit.signal, this.#context.io.interrupted()]);
    const release = screen.onKey((key) => {
      if (key === 'q' || key === 'Q' || key === ctrlC) quit.abort();
    });
    stdout.write(enterScreen);
    try {
      let before = await this.#sampleUnless(signal);
      // What can be told at once has no rates yet.
      let now = before;
      while (before !== undefined && now !== undefined) {
        stdout.write(frame(linesOf(topFigures(before, now)), screen));
        before = now;
        await this.#pause(signal);
        now = await this.#sampleUnless(signal);
      }
    } finally {
      release();
      if (!stdout.destroyed) stdout.write(leaveScreen);
    }
  }

  /** undefined: somebody has had enough, and does not wait for a member that hangs. */
  async #sampleUnless(signal: AbortSignal): Promise<TopSample | undefined> {
    const enough = new AbortController();
    try {
      const aborted = once(signal, 'abort', { signal: enough.signal }).catch(() => undefined);
      if (signal.aborted) return undefined;
      return await Promise.race([this.#sample(), aborted.then(() => undefined)]);
    } finally {
      enough.abort();
    }
  }

  async #sample(): Promise<TopSample> {
    const { servers, serversGiven } = this.#context;
    const view = await surveyCluster(this.#client, servers, serversGiven, surveyTimeoutMs(this.#context));
    return { atMs: performance.now(), view };
  }

  async #pause(signal: AbortSignal): Promise<void> {
    await sleep(this.#intervalMs, undefined, { signal }).catch(() => undefined);
  }

  async #printJson(figures: TopFigures): Promise<void> {
    const { view, best, intervalMs, writesPerSecond, watches, sessionStreams, members } = figures;
    await this.#context.output.json('rollcall.top.v1', {
      leader: view.leader?.memberId ?? null,
      term: view.leader?.term ?? null,
      intervalMs: Math.round(intervalMs),
      writesPerSecond: writesPerSecond ?? null,
      revision: best?.revision ?? null,
      instances: best?.instances ?? null,
      services: best?.services ?? null,
      leases: best?.leases ?? null,
      sessions: best?.sessions ?? null,
      watches,
      sessionStreams,
      members: members.map(({ asked, appliedPerSecond }) => {
        const { address, memberId, report } = asked;
        return {
          address,
          memberId: memberId ?? null,
          role: report?.role ?? null,
          kind: kindOf(view, asked),
          appliedIndex: report?.appliedIndex ?? null,
          appliedPerSecond: appliedPerSecond ?? null,
          lag: lagOf(view, asked) ?? null,
          watches: report?.watches ?? null,
          sessionStreams: report?.sessionStreams ?? null,
          diskFreeBytes: report?.diskFreeBytes ?? null,
          uptimeMs: report?.uptimeMs ?? null,
        };
      }),
    });
  }
}

function linesOf(figures: TopFigures): string[] {
  const { members, view } = figures;
  const table = tableLines(
    topHeader,
    members.map((member) => topRow(member, view)),
  );
  return [...topLines(figures).map(printable), '', ...table];
}

const ctrlC = '\u0003';
// ECMA-48 and xterm: the alternate screen, so that what was there comes back, and no cursor on it.
const enterScreen = '\u001b[?1049h\u001b[?25l\u001b[H\u001b[2J';
const leaveScreen = '\u001b[?25h\u001b[?1049l';
const home = '\u001b[H';
const clearToLineEnd = '\u001b[K';
const clearToScreenEnd = '\u001b[J';

/** What fits, drawn over what is there. */
function frame(lines: readonly string[], screen: Screen): string {
  const { columns, rows } = screen.size();
  const shown = [...lines, '', 'q ends it'].slice(0, Math.max(1, rows - 1));
  return `${home}${shown.map((line) => `${line.slice(0, columns)}${clearToLineEnd}\r\n`).join('')}${clearToScreenEnd}`;
}
