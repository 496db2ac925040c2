import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { CliContext, CliIo } from './context.ts';
import { contextOf } from './context.ts';
import { CliError, exitCodes } from './exit-codes.ts';
import { packageVersion } from './package-version.ts';
import { parseInteger } from './values.ts';

const devExamples = `
Examples:
  rollcall dev
  rollcall dev --data ./registry
  rollcall dev --port 0`;

const loopback = '127.0.0.1';
/** Client, peers, HTTP: this port and the two behind it. */
const devPort = 7400;
const devPortMax = 65_533;

export function addDevCommand(program: Command, io: CliIo, done: (exitCode: number) => void): void {
  program
    .command('dev')
    .summary('run a single member to try things out')
    .description(
      'Runs one member on this machine alone, until Ctrl-C. Its data lies in a temporary directory, which is removed ' +
        'at the end, unless --data names one that stays.',
    )
    .option('--data <dir>', 'keep the data here')
    .option(
      '--port <number>',
      'port for clients; peers and HTTP take the next two; 0: any free ones',
      parsePort,
      devPort,
    )
    .addHelpText('after', devExamples)
    .action(async ({ data, port }: DevFlags, command: Command) => {
      const ports = await takenPorts(port);
      const temporary = data === undefined ? await mkdtemp(join(tmpdir(), 'rollcall-dev-')) : undefined;
      const directory = resolve(io.workingDirectory, temporary ?? data ?? '.');
      try {
        done(await runDev(contextOf(command, io), directory, ports, temporary !== undefined));
      } finally {
        // A member that failed closes nothing: LevelDB may be writing a last file into what is being removed.
        if (temporary !== undefined) await rm(temporary, { recursive: true, force: true, maxRetries: 10 });
      }
    });
}

async function runDev(
  { io, output }: CliContext,
  directory: string,
  ports: Ports,
  isTemporary: boolean,
): Promise<number> {
  const { memberConfigOf } = await import('../server/config.ts');
  const { runMember } = await import('../server/run-member.ts');
  const [client, peer, http] = ports.map((port) => `${loopback}:${port}`);
  const settings = {
    memberId: 'dev',
    dataDirectory: directory,
    initialMembers: [{ id: 'dev', peer, client }],
    listen: { client, peer, http },
    log: { level: 'warn' },
  };
  // JSON is YAML, so that the one checked way into a configuration serves here too.
  const config = memberConfigOf(JSON.stringify(settings), 'rollcall dev', io.workingDirectory);
  return runMember(config, {
    version: packageVersion(),
    onReady: ({ clientAddress, httpAddress }) => {
      const server = clientAddress === `${loopback}:${devPort}` ? '' : ` --server ${clientAddress}`;
      if (output.format === 'json') {
        const http = httpAddress;
        void output.json('rollcall.dev.v1', { server: clientAddress, http, directory, temporary: isTemporary });
        return;
      }
      const lines = [
        `clients (gRPC)   ${clientAddress}`,
        `metrics, health  http://${httpAddress}/metrics  http://${httpAddress}/healthz`,
        `data             ${directory}${isTemporary ? ' (removed at the end)' : ''}`,
        '',
        'Try, in another terminal:',
        `  ${io.programName} watch${server}`,
        `  ${io.programName} run web --port-env PORT --endpoint 'main=http://127.0.0.1:{port}'${server} \\`,
        `      -- node -e 'http.createServer((q, a) => a.end("hi\\n")).listen(process.env.PORT)'`,
        `  ${io.programName} discover web${server}`,
        '',
        'Ctrl-C ends it.',
      ];
      io.stdout.write(`${lines.join('\n')}\n`);
    },
  });
}

function parsePort(text: string): number {
  const port = parseInteger(text);
  if (port > devPortMax) throw new InvalidArgumentError(`"${text}" leaves no room for the two ports behind it.`);
  return port;
}

interface DevFlags {
  readonly data?: string;
  readonly port: number;
}

type Ports = readonly [number, number, number];

/** Ports that nobody listens on now: a member that cannot listen says so too late and in other words. */
async function takenPorts(first: number): Promise<Ports> {
  const wanted = first === 0 ? [0, 0, 0] : [first, first + 1, first + 2];
  const probes = await Promise.all(wanted.map(probe));
  const [client, peer, http] = probes;
  if (client !== undefined && peer !== undefined && http !== undefined) {
    await Promise.all([client.release(), peer.release(), http.release()]);
    return [client.port, peer.port, http.port];
  }
  for (const each of probes) await each?.release();
  const busy = wanted.filter((_, i) => probes[i] === undefined).join(', ');
  const hint = 'end what runs there (another `rollcall dev`?), or take free ports with --port 0';
  throw new CliError(exitCodes.other, `${loopback} port ${busy} is in use`, hint, { reason: 'PORT_IN_USE' });
}

interface Probe {
  readonly port: number;
  readonly release: () => Promise<void>;
}

function probe(port: number): Promise<Probe | undefined> {
  return new Promise((resolveProbe) => {
    const server = createServer();
    server.once('error', () => resolveProbe(undefined));
    server.listen({ host: loopback, port }, () => {
      const release = (): Promise<void> => new Promise((released) => server.close(() => released()));
      resolveProbe({ port: (server.address() as AddressInfo).port, release });
    });
  });
}
