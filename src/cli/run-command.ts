import { hostname } from 'node:os';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { checkWithin } from '../client/input-checks.ts';
import type { InstanceInput } from '../client/types.ts';
import type { Check } from './check.ts';
import { parseCheck } from './check.ts';
import type { CliContext, CliIo } from './context.ts';
import { contextOf, withClient } from './context.ts';
import { CliError, exitCodes } from './exit-codes.ts';
import { freePort } from './free-port.ts';
import type { InstanceFlags } from './instance-options.ts';
import { instanceOf, withInstanceOptions } from './instance-options.ts';
import type { RunPlan } from './run-plan.ts';
import { Supervisor } from './run-supervisor.ts';
import { collecting, durationOption, parseEndpoint, parseInteger } from './values.ts';

const examples = `
CMD finds ROLLCALL_SERVICE, ROLLCALL_ID, ROLLCALL_NAMESPACE and ROLLCALL_SERVER
in its environment, and with --port-env its port.

Examples:
  rollcall run web --endpoint main=http://10.0.0.7:8080 -- node server.js
  rollcall run web --endpoint main=http://10.0.0.7:8080 \\
      --check http://127.0.0.1:8080/healthz --version-label 1.4.0 -- ./web
  rollcall run api --port-env PORT --endpoint 'main=grpc://127.0.0.1:{port}' \\
      --check 'grpc://127.0.0.1:{port}' -- ./api
  rollcall run db --id db-1 --endpoint sql=postgres://10.0.0.9:5432 \\
      --start-timeout 5m --grace 1m -- postgres -D /var/lib/db`;

const ttlMsMin = 1_000;
const ttlMsMax = 86_400_000;

/** Stands for the port that --port-env has found. */
const portMark = '{port}';

interface RunFlags extends InstanceFlags {
  readonly id?: string;
  readonly endpoint: readonly string[];
  readonly portEnv?: string;
  readonly ttl: number;
  readonly wait: boolean;
  readonly check?: string;
  readonly checkInterval: number;
  readonly checkTimeout: number;
  readonly checkFailures: number;
  readonly startTimeout?: number;
  readonly grace: number;
  readonly exitWhenSuperseded?: true;
  readonly quiet?: true;
}

export function addRunCommand(
  program: Command,
  io: CliIo,
  command: readonly string[] | undefined,
  done: (exitCode: number) => void,
): void {
  const run = program
    .command('run <service>')
    .usage('<service> --endpoint <endpoint> [options] -- <CMD> [ARGS...]')
    .summary('run a command, registered while it is ready')
    .description(
      'Starts CMD, registers it once it listens or its check passes, keeps the registration alive, and takes it back ' +
        'when CMD ends. On SIGTERM and SIGINT first deregisters, then signals CMD; other signals go to CMD alone. ' +
        'Ends as CMD does: with its exit code, or 128 and the number of the signal that it died by.',
    )
    .optionsGroup('Instance:')
    .requiredOption(
      '--endpoint <endpoint>',
      'where it is reached: name=protocol://host:port; may be given up to 16 times',
      collecting(endpointText),
    )
    .option('--id <id>', 'id of the instance; default: name of the host, "-", port of the first endpoint')
    .addOption(durationOption('--ttl <duration>', 'how long it stays when this program is cut off; 1s to 24h', 10_000))
    .option(
      '--port-env <name>',
      'find a free port, hand it to CMD in this variable and put it for {port}',
      variableName,
    );
  withInstanceOptions(run);
  addReadinessOptions(run);
  run
    .optionsGroup('Ending:')
    .addOption(durationOption('--grace <duration>', 'time for CMD to end after the signal, until SIGKILL', 10_000))
    .option('--exit-when-superseded', 'end CMD when another registers the id (exit code 6)')
    .option('--quiet', 'tell only what goes wrong')
    .addHelpText('after', examples)
    .action(async (service: string, flags: RunFlags) => {
      const context = contextOf(run, io);
      const plan = await planOf(service, flags, command ?? [], context);
      done(await withClient(context, (client) => new Supervisor(plan, context, client).run(), true));
    });
}

function addReadinessOptions(run: Command): void {
  run
    .optionsGroup('Readiness and health:')
    .option('--no-wait', 'register at once, and not only when the port of the first endpoint takes a connection')
    .option(
      '--check <url>',
      'ready when this passes, down while it fails: http://... or https://... (200 to 399), tcp://host:port or ' +
        'grpc://host:port[/name]',
      checkText,
    )
    .addOption(durationOption('--check-interval <duration>', 'from one check to the next', 5_000))
    .addOption(durationOption('--check-timeout <duration>', 'for one check', 2_000))
    .option('--check-failures <number>', 'in a row, until it is down', (text) => parseInteger(text, 1), 3)
    .addOption(durationOption('--start-timeout <duration>', 'end CMD if it is not ready by then (exit code 7)'));
}

/** The mark is replaced later; everything else is read now, so that what is wrong is named with its option. */
function endpointText(text: string): string {
  parseEndpoint(text.replaceAll(portMark, '1'));
  return text;
}

function checkText(text: string): string {
  parseCheck(text.replaceAll(portMark, '1'));
  return text;
}

function variableName(text: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(text)) return text;
  throw new InvalidArgumentError(`"${text}" is no name of a variable.`);
}

async function planOf(
  service: string,
  flags: RunFlags,
  command: readonly string[],
  context: CliContext,
): Promise<RunPlan> {
  const { portEnv } = flags;
  if (command.length === 0) {
    const hint = 'write it behind --, as in `rollcall run web --endpoint main=http://127.0.0.1:80 -- node server.js`';
    throw new CliError(exitCodes.usage, 'the command to run is missing', hint, { field: 'CMD' });
  }
  if (portEnv === undefined && [...flags.endpoint, flags.check ?? ''].some((text) => text.includes(portMark))) {
    const hint = 'add e.g. --port-env PORT: CMD then finds its port in $PORT';
    throw new CliError(exitCodes.usage, '{port} is used without --port-env', hint, { field: 'port-env' });
  }
  checkWithin('ttl', flags.ttl, ttlMsMin, ttlMsMax);
  const port = portEnv === undefined ? '' : String(await freePort());
  const instance = runInstanceOf(service, flags, port, context);
  const check = flags.check === undefined ? undefined : parseCheck(flags.check.replaceAll(portMark, port));
  return {
    command,
    environment: {
      ...context.io.environment,
      ROLLCALL_SERVICE: service,
      ROLLCALL_ID: instance.id,
      ROLLCALL_NAMESPACE: context.namespace,
      ROLLCALL_SERVER: context.servers.join(','),
      ...(portEnv === undefined ? {} : { [portEnv]: port }),
    },
    instance,
    ttlMs: flags.ttl,
    readiness: flags.wait ? readinessOf(check, instance) : [],
    health: check,
    checkIntervalMs: flags.checkInterval,
    checkTimeoutMs: flags.checkTimeout,
    checkFailures: flags.checkFailures,
    startTimeoutMs: flags.startTimeout,
    graceMs: flags.grace,
    exitWhenSuperseded: flags.exitWhenSuperseded === true,
    quiet: flags.quiet === true,
  };
}

function runInstanceOf(service: string, flags: RunFlags, port: string, { namespace }: CliContext): InstanceInput {
  const endpoints = flags.endpoint.map((text) => parseEndpoint(text.replaceAll(portMark, port)));
  // Equal after a restart, so that the new start takes the place of the old one; and different for two on one host.
  const id = flags.id ?? `${hostname()}-${endpoints[0]?.port}`;
  return instanceOf({ namespace, service, id }, endpoints, flags);
}

/**
 * A command that listens on its loopback address alone or has an address of another host in front of it is ready too:
 * whether its endpoint is right cannot be seen from here.
 */
function readinessOf(check: Check | undefined, { endpoints }: InstanceInput): Check[] {
  if (check !== undefined) return [check];
  const [first] = endpoints;
  if (first === undefined) return [];
  const { address, port } = first;
  return [...new Set([address, '127.0.0.1', '::1'])].map((host) => ({ kind: 'tcp', host, port }));
}
