import type { Command } from 'commander';
import type { RollcallClient } from '../client/client.ts';
import type { WatchBatch } from '../client/types.ts';
import type { CliContext, CliIo } from './context.ts';
import { contextOf, withClient } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { counted, eventLine, instanceLine } from './render.ts';
import { parseInteger } from './values.ts';

const examples = `
Examples:
  rollcall watch web
  rollcall watch --output json | jq -c '.events[]'
  rollcall watch web --since 1234
  rollcall watch web --once`;

interface WatchFlags {
  readonly since?: number;
  readonly once?: true;
  readonly stale?: true;
}

export function addWatchCommand(program: Command, io: CliIo, done: (exitCode: number) => void): void {
  program
    .command('watch [service]')
    .summary('tell every change as it happens')
    .description(
      'Tells what is there and then every change of a service, or of all of the namespace, until Ctrl-C. ' +
        'Goes on by itself on another member when the connection breaks. With --output json one line a batch.',
    )
    .option('--since <revision>', 'go on behind this revision, in place of beginning with what is there', (text) =>
      parseInteger(text),
    )
    .option('--once', 'end when it has told what is there')
    .option('--stale', 'begin with what the asked member has, also without a leader')
    .addHelpText('after', examples)
    .action(async (service: string | undefined, flags: WatchFlags, command: Command) => {
      const context = contextOf(command, io);
      await withClient(context, (client) => follow(client, context, service ?? '', flags));
      done(exitCodes.ok);
    });
}

async function follow(
  client: RollcallClient,
  { output, namespace, timeoutMs, io }: CliContext,
  service: string,
  { since = 0, once, stale }: WatchFlags,
): Promise<void> {
  const interrupted = io.interrupted();
  let begun = false;
  const watch = client.watch({
    namespace,
    service,
    since,
    once: once === true,
    consistency: stale === true ? 'stale' : 'linearizable',
    firstBatchTimeoutMs: timeoutMs,
    onInterrupted: (error) => {
      // Once a break, not once an attempt.
      if (begun) output.message(`${error.message}; going on from revision ${watch.revision}`);
      begun = false;
    },
    // With `since` there may be nothing to tell: a mark says that the watch goes.
    ...(since > 0 ? { progressIntervalMs: 1_000 } : {}),
  });
  const end = (): void => watch.close();
  interrupted.addEventListener('abort', end, { once: true });
  if (interrupted.aborted) end();
  try {
    for await (const batch of watch) {
      begun = true;
      if (batch.kind === 'progress') continue;
      if (output.format === 'json') await output.json(jsonOf(batch));
      else await output.lines(batchLines(batch));
    }
  } finally {
    interrupted.removeEventListener('abort', end);
  }
}

function jsonOf({ kind, from, to, header, events }: WatchBatch): object {
  const { member, consistency, ageMs } = header;
  return { kind, from, to, member, consistency, ageMs, events };
}

function batchLines({ kind, to, events, header }: WatchBatch): string[] {
  if (kind === 'delta' || kind === 'progress') return events.map(eventLine);
  const what = kind === 'reset' ? 'in place of the changes until then: all that is there' : 'there';
  const title = `${counted(events.length, 'instance')} ${what} at revision ${to}, from member ${header.member}`;
  return [title, ...events.flatMap((event) => (event.kind === 'put' ? [instanceLine(event.instance)] : []))];
}
