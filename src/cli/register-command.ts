import type { Command } from 'commander';
import { Option } from 'commander';
import type { RollcallClient } from '../client/client.ts';
import { ClientError } from '../client/client-error.ts';
import type { Endpoint, Lifetime, Registered, RegisterOptions } from '../client/types.ts';
import type { CliContext, CliIo } from './context.ts';
import { contextOf, withClient } from './context.ts';
import { CliError, cliErrorOf, exitCodes } from './exit-codes.ts';
import type { InstanceFlags } from './instance-options.ts';
import { instanceOf, withInstanceOptions } from './instance-options.ts';
import { troubleOf } from './trouble.ts';
import { collecting, formatDuration, parseDuration, parseEndpoint, parseInteger } from './values.ts';

const examples = `
Examples:
  rollcall register web --id web-1 --endpoint main=http://10.0.0.7:8080 \\
      --ttl 10s --keep-alive
  rollcall register db --id db-1 --endpoint sql=postgres://db.local:5432 \\
      --persistent --zone eu-1a --meta role=primary
  rollcall register web --id web-1 --endpoint main=http://10.0.0.7:8080 \\
      --ttl 30s --dry-run`;

interface RegisterFlags extends InstanceFlags {
  readonly id: string;
  readonly endpoint: readonly Endpoint[];
  readonly ttl?: number;
  readonly lease?: number;
  readonly persistent?: true;
  readonly ifAbsent?: true;
  readonly keepAlive?: true;
  readonly dryRun?: true;
}

export function addRegisterCommand(program: Command, io: CliIo, done: (exitCode: number) => void): void {
  const command = program
    .command('register <service>')
    .summary('register an instance')
    .description(
      'Registers an instance, or takes its id over. How long it stays is said by --ttl, --lease or --persistent.',
    )
    .requiredOption('--id <id>', 'id of the instance, unique within the service')
    .requiredOption(
      '--endpoint <endpoint>',
      'where it is reached: name=protocol://host:port; may be given up to 16 times',
      collecting(parseEndpoint),
    )
    .addOption(
      new Option('--ttl <duration>', 'stay while a lease of its own is renewed; 1s to 24h')
        .argParser(parseDuration)
        .conflicts(['lease', 'persistent']),
    )
    .addOption(
      new Option('--lease <id>', 'stay while this lease, granted before, is renewed')
        .argParser((text) => parseInteger(text, 1))
        .conflicts(['persistent', 'keepAlive']),
    )
    .addOption(new Option('--persistent', 'stay until deregistered').conflicts('keepAlive'))
    .option('--keep-alive', 'with --ttl: stay in the foreground and renew; Ctrl-C deregisters');
  withInstanceOptions(command)
    .option('--if-absent', 'fail (exit code 6) where the id is registered already')
    .option('--dry-run', 'check, and print what would be sent')
    .addHelpText('after', examples)
    .action(async (service: string, flags: RegisterFlags) => {
      const context = contextOf(command, io);
      const options = requestOf(service, flags, context);
      if (flags.dryRun === true) await tellRequest(context, options);
      else await withClient(context, (client) => register(client, context, options, flags.keepAlive === true));
      done(exitCodes.ok);
    });
}

function requestOf(service: string, flags: RegisterFlags, { namespace }: CliContext): RegisterOptions {
  const instance = instanceOf({ namespace, service, id: flags.id }, flags.endpoint, flags);
  return { instance, lifetime: lifetimeOf(flags), ifAbsent: flags.ifAbsent === true };
}

function lifetimeOf({ ttl, lease, persistent, keepAlive }: RegisterFlags): Lifetime {
  if (ttl !== undefined) return { ttlMs: ttl };
  if (keepAlive === true) {
    throw new CliError(exitCodes.usage, '--keep-alive needs --ttl', 'add e.g. --ttl 10s');
  }
  if (lease !== undefined) return { leaseId: lease };
  if (persistent === true) return { persistent: true };
  const hint = 'add --ttl 10s --keep-alive for a process that runs, or --persistent for what stays';
  throw new CliError(exitCodes.usage, 'how long the instance stays is not said', hint);
}

async function register(
  client: RollcallClient,
  context: CliContext,
  options: RegisterOptions,
  keepAlive: boolean,
): Promise<void> {
  // From here on Ctrl-C deregisters what may have been registered.
  const interrupted = keepAlive ? context.io.interrupted() : undefined;
  const answer = await client.register(options);
  await tell(context, options, answer);
  if (interrupted === undefined) tellHowLong(context, answer);
  else await keep(client, context, options, answer, interrupted);
}

async function tell({ output }: CliContext, { instance }: RegisterOptions, answer: Registered): Promise<void> {
  const { namespace = 'default', service, id } = instance;
  const { header, incarnation, leaseId, ttlMs, replaced } = answer;
  if (output.format === 'json') {
    const { revision, member } = header;
    const fields = { service, id, incarnation, leaseId, ttlMs, replaced, revision, member };
    await output.json('rollcall.register.v1', { namespace, ...fields });
    return;
  }
  const how = replaced ? 'took over' : 'registered';
  await output.lines([`${how} ${service}/${id}: incarnation ${incarnation}, revision ${header.revision}`]);
}

function tellRequest({ output }: CliContext, { instance, lifetime, ifAbsent }: RegisterOptions): Promise<void> {
  const request = { instance, lifetime, ifAbsent: ifAbsent === true };
  return output.json('rollcall.register-request.v1', { dryRun: true, ...request });
}

function tellHowLong({ output }: CliContext, { leaseId, ttlMs }: Registered): void {
  if (leaseId === 0) {
    output.message('it stays until `rollcall deregister` removes it');
    return;
  }
  output.message(`it stays for ${formatDuration(ttlMs)} unless lease ${leaseId} is renewed;`);
  output.message(
    'add --keep-alive to renew it from here, or renew the lease by the KeepAlive call of rollcall.v1.Registry',
  );
}

/** Renews until interrupted, then deregisters. A lease that was lost is replaced, unless another has taken the id. */
async function keep(
  client: RollcallClient,
  { output }: CliContext,
  options: RegisterOptions,
  first: Registered,
  interrupted: AbortSignal,
): Promise<void> {
  let registered = first;
  output.message(`renewing its lease of ${formatDuration(first.ttlMs)}; Ctrl-C deregisters it and ends`);
  await new Promise<void>((resolve, reject) => {
    let ending = false;
    let troubled = false;
    const keeper = client.keepAlive({
      leaseIds: [first.leaseId],
      onTrouble: (error) => {
        if (!troubled) output.message(`${troubleOf(error)}; going on`);
        troubled = true;
      },
      onRenewed: () => {
        if (troubled) output.message('its lease is renewed again');
        troubled = false;
      },
      onLost: () => {
        output.message('the lease is gone: registering again');
        // Over nothing only: whoever has the id now came later.
        client.register({ ...options, ifAbsent: true }).then((answer) => {
          registered = answer;
          output.message(`registered again: incarnation ${answer.incarnation}`);
          if (!ending) keeper.add(answer.leaseId);
        }, reject);
      },
    });
    const end = (): void => {
      ending = true;
      keeper.close();
      resolve();
    };
    if (interrupted.aborted) end();
    else interrupted.addEventListener('abort', end, { once: true });
  });
  const { namespace = 'default', service, id } = options.instance;
  const { incarnation } = registered;
  const reason = 'the registering command ended';
  const { existed } = await client
    .deregister({ namespace, service, id, incarnation, reason })
    .catch((error: unknown) => {
      if (error instanceof ClientError) throw leftBehind(error, `${service}/${id}`, registered.ttlMs);
      throw error;
    });
  output.message(existed ? `deregistered ${service}/${id}` : `${service}/${id} was gone already`);
}

function leftBehind(error: ClientError, name: string, ttlMs: number): CliError {
  const { exitCode, message, ...facts } = cliErrorOf(error);
  const within = formatDuration(ttlMs);
  const hint = `nothing: ${name} leaves by itself within ${within}, since its lease is not renewed any more`;
  return new CliError(exitCode, `${name} is not deregistered: ${message}`, hint, facts);
}
