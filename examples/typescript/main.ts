// Registers an instance, discovers a service, or watches it. Prints JSON, one object a line.
//
//   main.ts register SERVICE ID HOST:PORT --ttl 10
//   main.ts discover SERVICE
//   main.ts watch SERVICE
import { parseArgs } from 'node:util';
import { ClientError } from '../../src/client/client-error.ts';
import { RollcallClient } from '../../src/client/client.ts';
import type { Endpoint, Instance, InstanceFilter, WatchBatch, WatchEvent } from '../../src/client/types.ts';

const usage = `usage:
  main.ts register SERVICE ID HOST:PORT   until SIGTERM, which deregisters
  main.ts discover SERVICE                prints the instances that are there
  main.ts watch SERVICE                   prints the instances and every change
options:
  --server A,B,C    members, host:port with commas between (ROLLCALL_SERVER)
  --tag TAG         of the instance, or wanted; may be repeated
  --version TEXT    of the instance; a range such as ^1.2 where versions are wanted
  --ttl SECONDS     that the instance lives without a sign of life; default 10
`;

interface Options {
  readonly server: string;
  readonly tag: readonly string[];
  readonly version: string;
  readonly ttl: string;
}

function report(event: string, facts: object = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
}

function onSignal(stop: () => void): void {
  process.once('SIGTERM', stop).once('SIGINT', stop);
}

/** Said once, however many attempts fail, and once when it is over. */
class Trouble {
  #there = false;

  begin({ address, reason, message }: ClientError): void {
    const at = address === undefined || message.startsWith(address) ? '' : `${address}: `;
    if (!this.#there) process.stderr.write(`${at}${reason}: ${message}; goes on trying, at the other members too\n`);
    this.#there = true;
  }

  end(): void {
    if (this.#there) process.stderr.write('works again\n');
    this.#there = false;
  }
}

/**
 * One session, which the client keeps over broken streams, lost members and elections. Resolves once it is closed;
 * rejects where the instance cannot be registered, or is another's now.
 */
async function register(
  client: RollcallClient,
  service: string,
  id: string,
  address: string,
  options: Options,
): Promise<void> {
  const endpoints = [endpointOf(address)];
  const trouble = new Trouble();
  // How long the session is sure to live, when trouble began: it is over once that has grown.
  let remainingMs = Number.POSITIVE_INFINITY;
  const told = new Promise<void>((resolve) => onSignal(resolve));
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const session = client.openSession({
    ttlMs: Number(options.ttl) * 1_000,
    onTrouble: (error) => {
      trouble.begin(error);
      remainingMs = session.remainingMs ?? 0;
    },
    // It had ended while no member could be asked: it is a new one, with a new incarnation.
    onRestored: () => report('registered', { incarnation: session.incarnationOf({ service, id }) }),
    // Who took the id over has it now: neither the session nor this program takes it back.
    onLost: ({ cause }) => fail(new Error(`the instance is not ours any more: ${cause}`)),
    onEnded: (error) => error !== undefined && fail(error),
  });
  const registered = session
    .register({ service, id, endpoints, version: options.version, tags: options.tag })
    .then(({ incarnation }) => {
      report('registered', { incarnation });
      return told;
    });
  const looking = setInterval(() => (session.remainingMs ?? 0) > remainingMs && trouble.end(), 500);
  try {
    await Promise.race([told, registered, failed]);
    await session.close();
  } finally {
    clearInterval(looking);
  }
  report('deregistered');
}

async function discover(client: RollcallClient, service: string, options: Options): Promise<void> {
  const { instances, firstRevision, header } = await client.discover({ service, filter: filterOf(options) });
  for (const instance of instances) report('instance', factsOf(instance));
  report('discovered', { instances: instances.length, revision: firstRevision, member: header.member });
}

/** The client resumes the watch where it breaks: each batch comes once and in order. */
async function watch(client: RollcallClient, service: string, options: Options): Promise<void> {
  const held = new Map<string, Instance>();
  const trouble = new Trouble();
  const batches = client.watch({
    service,
    filter: filterOf(options),
    // Not for the reader: a member that says nothing, or whose knowledge grows old, is left for another one.
    progressIntervalMs: 2_000,
    onInterrupted: (error) => trouble.begin(error),
  });
  onSignal(() => batches.close());
  for await (const batch of batches) {
    const changes = applied(batch, held);
    const { kind, from, to, coalesced, header } = batch;
    // A member without a leader goes on to answer, with what it knows: how old that may be, it says.
    if (header.ageMs < 6_000) trouble.end();
    if (kind === 'progress') continue;
    const facts = { fromRevision: from, toRevision: to, coalesced, instances: held.size, member: header.member };
    report(kind, facts);
    for (const change of changes) report(change.kind, factsOfChange(change));
  }
}

/** Brings what is held to the batch's `to`, and tells what that has changed. */
function applied({ kind, to, events }: WatchBatch, held: Map<string, Instance>): WatchEvent[] {
  const steps = [...events];
  if (kind === 'snapshot' || kind === 'reset') {
    // Not steps, but all that is there: what it does not name is gone.
    const named = new Set(events.map((event) => idOf(event)));
    for (const { namespace, service, id } of held.values()) {
      if (named.has(id)) continue;
      const key = { namespace, service, id };
      steps.push({ kind: 'delete', revision: to, key, incarnation: 0, cause: 'unspecified', reason: '' });
    }
  }
  return steps.filter((event) => {
    const id = idOf(event);
    const before = held.get(id);
    // `leaves`: still registered, but the filter does not match it any more.
    if (event.kind !== 'put') return held.delete(id);
    held.set(id, event.instance);
    return before?.modifyRevision !== event.instance.modifyRevision;
  });
}

function idOf(event: WatchEvent): string {
  return event.kind === 'put' ? event.instance.id : event.key.id;
}

function factsOfChange(change: WatchEvent): object {
  const { revision } = change;
  if (change.kind === 'put') return { revision, ...factsOf(change.instance) };
  const { key, incarnation } = change;
  if (change.kind === 'leaves') return { revision, id: key.id, incarnation };
  return { revision, id: key.id, incarnation, cause: change.cause, reason: change.reason };
}

function filterOf({ tag, version }: Options): InstanceFilter {
  return { tags: tag, versionRange: version };
}

function factsOf({ id, endpoints, version, tags, incarnation }: Instance): object {
  return { id, endpoints: endpoints.map(endpointText), version, tags, incarnation };
}

function endpointText({ name, protocol, address, port }: Endpoint): string {
  return `${name}=${protocol}://${address.includes(':') ? `[${address}]` : address}:${port}`;
}

function endpointOf(text: string): Endpoint {
  const at = text.lastIndexOf(':');
  const address = text.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  const port = Number(text.slice(at + 1));
  if (address === '' || !Number.isInteger(port) || port > 65_535) throw new TypeError(`${text} is not HOST:PORT`);
  return { name: 'main', protocol: 'grpc', address, port };
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      server: {
        type: 'string',
        default: process.env['ROLLCALL_SERVER'] ?? '127.0.0.1:7410,127.0.0.1:7420,127.0.0.1:7430',
      },
      tag: { type: 'string', multiple: true, default: [] },
      version: { type: 'string', default: '' },
      ttl: { type: 'string', default: '10' },
    },
  });
  const [command, service = '', id = '', address = ''] = positionals;
  const client = new RollcallClient({ servers: values.server.split(',') });
  try {
    if (command === 'register' && positionals.length === 4) await register(client, service, id, address, values);
    else if (command === 'discover' && positionals.length === 2) await discover(client, service, values);
    else if (command === 'watch' && positionals.length === 2) await watch(client, service, values);
    else throw new TypeError('no such command, or not its arguments');
  } finally {
    client.close();
  }
}

try {
  await main();
} catch (error) {
  const misused = error instanceof TypeError;
  const message = error instanceof Error ? error.message : String(error);
  const text = error instanceof ClientError ? `${error.reason}: ${message}` : message;
  process.stderr.write(misused ? `${text}\n${usage}` : `${text}\n`);
  process.exitCode = misused ? 2 : 1;
}
