import type { Command } from 'commander';
import type { RollcallClient } from '../client/client.ts';
import { clientLimits } from '../client/limits.ts';
import type { Instance, WatchBatch } from '../client/types.ts';
import type { Watch } from '../client/watch.ts';
import type { CliContext, CliIo } from './context.ts';
import { contextOf, withClient } from './context.ts';
import { CliError, exitCodes } from './exit-codes.ts';
import type { FilterFlags } from './filter-options.ts';
import { filterOf, withFilterOptions } from './filter-options.ts';
import { counted, eventLine, instanceLine } from './render.ts';
import { troubleOf } from './trouble.ts';
import { durationOption, parseInteger } from './values.ts';
import { Currency } from './watch-currency.ts';
import { ChangeRunner } from './watch-runner.ts';

const examples = `
CMD finds on its standard input all that is there, as one line of JSON, and
ROLLCALL_SERVICE, ROLLCALL_NAMESPACE, ROLLCALL_REVISION and ROLLCALL_SERVER in
its environment. What changes while it runs is in the input of its next run.

Examples:
  rollcall watch web
  rollcall watch web --tag blue --status up
  rollcall watch --output json | jq -c '.events[]'
  rollcall watch web --since 1234
  rollcall watch web --once
  rollcall watch web -- ./write-proxy-config.sh
  rollcall watch web -- jq -r '.instances[].endpoints[0].address'`;

interface WatchFlags extends FilterFlags {
  readonly prefix?: string;
  readonly since?: number;
  readonly once?: true;
  readonly stale?: true;
  readonly exitOnError?: true;
  readonly grace?: number;
}

const graceMsDefault = 10_000;

export function addWatchCommand(
  program: Command,
  io: CliIo,
  command: readonly string[] | undefined,
  done: (exitCode: number) => void,
): void {
  const watch = program
    .command('watch [service]')
    .usage('[service] [options] [-- <CMD> [ARGS...]]')
    .summary('tell every change, or run a command at each')
    .description(
      'Tells what is there and then every change of a service, or of all of the namespace, until Ctrl-C. ' +
        'Goes on by itself on another member when the connection breaks. With --output json one line a batch. ' +
        'With CMD it tells nothing, and runs CMD with what is there, at first and then behind changes, one run at a ' +
        'time.',
    )
    .option('--prefix <text>', 'without a service: only services whose name begins so')
    .option('--since <revision>', 'go on behind this revision, in place of beginning with what is there', (text) =>
      parseInteger(text),
    )
    .option('--once', 'end when it has told what is there, or when the first CMD has ended, as that did')
    .option('--stale', 'begin with what the asked member has, also without a leader')
    .option('--exit-on-error', 'end when CMD fails, as that did; otherwise it is told, and the next change awaited')
    .addOption(durationOption('--grace <duration>', 'time for CMD to end after Ctrl-C, until SIGKILL; default: 10s'));
  withFilterOptions(watch)
    .addHelpText('after', examples)
    .action(async (service: string | undefined, flags: WatchFlags) => {
      const context = contextOf(watch, io);
      checkTogether(service, flags, command);
      const use = command === undefined ? tellChanges : runAtChanges;
      const run = { context, service: service ?? '', flags, command: command ?? [] };
      done(await withClient(context, (client) => use(client, run)));
    });
}

interface WatchRun {
  readonly context: CliContext;
  readonly service: string;
  readonly flags: WatchFlags;
  readonly command: readonly string[];
}

function checkTogether(
  service: string | undefined,
  { prefix, since, exitOnError, grace }: WatchFlags,
  command: readonly string[] | undefined,
): void {
  const wrong = (message: string, hint: string, field: string): never => {
    throw new CliError(exitCodes.usage, message, hint, { field });
  };
  if (service !== undefined && prefix !== undefined) {
    wrong('--prefix and a service exclude each other', 'leave one of them out', 'prefix');
  }
  if (command === undefined) {
    const hint = 'write the command behind --, as in `rollcall watch web -- ./changed.sh`';
    if (exitOnError === true) wrong('--exit-on-error needs a command', hint, 'exit-on-error');
    if (grace !== undefined) wrong('--grace needs a command', hint, 'grace');
    return;
  }
  if (command.length === 0) wrong('the command behind -- is missing', 'write it, or leave -- out', 'CMD');
  if (since !== undefined) {
    wrong('--since and a command exclude each other', 'the command gets all that is there: leave --since out', 'since');
  }
}

/** The batches of a watch that ends at the signal, with all that is there behind each. */
async function* follow(
  client: RollcallClient,
  { context, service, flags }: WatchRun,
  interrupted: AbortSignal,
): AsyncGenerator<{ readonly batch: WatchBatch; readonly watch: Watch }> {
  const { namespace, timeoutMs, output } = context;
  const { prefix, since = 0, once = false, stale } = flags;
  let begun = false;
  const watch = client.watch({
    namespace,
    service,
    ...(prefix === undefined ? {} : { servicePrefix: prefix }),
    ...filterOf(flags),
    since,
    once,
    consistency: stale === true ? 'stale' : 'linearizable',
    firstBatchTimeoutMs: timeoutMs,
    onInterrupted: (error) => {
      // Once a break, not once an attempt.
      if (begun) output.message(`${troubleOf(error)}; going on from revision ${watch.revision}`);
      begun = false;
    },
    // With `since` there may be nothing to tell: a mark says that the watch goes.
    progressIntervalMs: since > 0 ? 1_000 : clientLimits.progressIntervalMs,
  });
  const currency = new Currency((text) => output.message(text));
  const looking = setInterval(() => currency.look(performance.now()), 1_000);
  const end = (): void => watch.close();
  interrupted.addEventListener('abort', end, { once: true });
  if (interrupted.aborted) end();
  try {
    for await (const batch of watch) {
      // A member without a leader is left again and again: what it sends begins nothing.
      begun ||= batch.header.ageMs <= clientLimits.watchAgeMsMax;
      // A member without a leader ends its streams: all that was asked for is here by then.
      if (once && since === 0) watch.close();
      if (batch.kind !== 'progress') yield { batch, watch };
      if (!once) currency.confirmed(batch.header.ageMs, batch.to, performance.now());
    }
  } finally {
    clearInterval(looking);
    interrupted.removeEventListener('abort', end);
  }
}

async function tellChanges(client: RollcallClient, run: WatchRun): Promise<number> {
  const { output, io } = run.context;
  for await (const { batch } of follow(client, run, io.interrupted())) {
    if (output.format === 'json') await tellJson(run.context, batch);
    else await output.lines(batchLines(batch));
  }
  return exitCodes.ok;
}

async function runAtChanges(client: RollcallClient, run: WatchRun): Promise<number> {
  const { context, service, flags, command } = run;
  const { io, output, namespace, servers } = context;
  const ended = new AbortController();
  const runner = new ChangeRunner({
    command,
    environment: {
      ...io.environment,
      ROLLCALL_SERVICE: service,
      ROLLCALL_NAMESPACE: namespace,
      ROLLCALL_SERVER: servers.join(','),
    },
    graceMs: flags.grace ?? graceMsDefault,
    endsWithFirst: flags.once === true,
    endsWithFailure: flags.exitOnError === true,
    tell: (text) => output.message(`rollcall: ${text}`),
    onOver: () => ended.abort(),
  });
  const stopListening = io.onSignal((signal) => runner.onSignal(signal));
  try {
    for await (const { watch, batch } of follow(client, run, ended.signal)) {
      const member = batch.header.member;
      runner.changed(() => ({ namespace, service, revision: watch.revision, member, instances: sorted(watch) }));
    }
  } finally {
    await runner.drained();
    stopListening();
  }
  return runner.result();
}

/** By service and id, as `discover` has them. */
function sorted({ instances }: Watch): Instance[] {
  return [...instances].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, instance]) => instance);
}

function tellJson({ output }: CliContext, { kind, from, to, coalesced, header, events }: WatchBatch): Promise<void> {
  if (kind === 'progress') return Promise.resolve();
  const { member, consistency, ageMs } = header;
  return output.json('rollcall.watch.v1', { kind, from, to, coalesced, member, consistency, ageMs, events });
}

function batchLines({ kind, to, events, header }: WatchBatch): string[] {
  if (kind === 'delta' || kind === 'progress') return events.map(eventLine);
  const what = kind === 'reset' ? 'in place of the changes until then: all that is there' : 'there';
  const title = `${counted(events.length, 'instance')} ${what} at revision ${to}, from member ${header.member}`;
  return [title, ...events.flatMap((event) => (event.kind === 'put' ? [instanceLine(event.instance)] : []))];
}
