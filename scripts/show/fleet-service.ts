// One process of the fleet: a gRPC server with the standard health service, which registers itself with a lease and
// renews it. Tells what it does on standard output (see FleetReport). SIGTERM, or a standard input that is closed, ends
// it: it deregisters itself first.
//
//   fleet-service.ts SERVICE ID TTL_MS SERVER...
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { RollcallClient } from '../../src/client/client.ts';
import type { FleetReport } from './fleet-process.ts';

const [service = '', id = '', ttlText = '', ...servers] = process.argv.slice(2);
const ttlMs = Number(ttlText);
/** Above the longest time without a leader; a process that ends waits no longer for its deregistration. */
const callTimeoutMs = 4_000;

function report(what: FleetReport): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

/** Listens on a free port of 127.0.0.1 and answers health checks for the whole server and for the service. */
async function serve(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = new Server();
  new HealthImplementation({ '': 'SERVING', [service]: 'SERVING' }).addToServer(server);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return { server, port };
}

/** The registration of this process: made, kept, made anew where it was lost, and taken back at the end. */
class Registration {
  readonly #client = new RollcallClient({ servers, callTimeoutMs });
  readonly #port: number;
  readonly #keeper = this.#client.keepAlive({
    onLost: () => void this.register(true).catch(fail),
    onRenewed: () => report({ event: 'renewed' }),
    onTrouble: ({ reason, message }) => void process.stderr.write(`renewal: ${reason}: ${message}\n`),
  });
  #incarnation = 0;
  #closing = false;

  constructor(port: number) {
    this.#port = port;
  }

  /**
   * @param again The lease has ended although this process lives, e.g. since the machine slept. Whoever has taken the
   * id
   *   meanwhile keeps it.
   */
  async register(again: boolean): Promise<void> {
    if (this.#closing) return;
    const startMs = performance.now();
    const { header, incarnation, leaseId } = await this.#client.register({
      instance: {
        service,
        id,
        version: '1.0.0',
        endpoints: [{ name: 'main', protocol: 'grpc', address: '127.0.0.1', port: this.#port }],
        metadata: { pid: `${process.pid}` },
      },
      lifetime: { ttlMs },
      ifAbsent: again,
    });
    this.#incarnation = incarnation;
    this.#keeper.add(leaseId);
    report({ event: 'registered', member: header.member, incarnation, durationMs: performance.now() - startMs });
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#keeper.close();
    if (this.#incarnation > 0) {
      await this.#client.deregister({ service, id, incarnation: this.#incarnation, reason: 'shut down' });
    }
    this.#client.close();
  }
}

function fail(error: unknown): void {
  report({ event: 'failed', message: error instanceof Error ? error.message : String(error) });
  process.exitCode = 1;
}

/** Resolves once this process is told to end. */
function told(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', resolve).once('SIGINT', resolve);
    process.stdin
      .once('end', resolve)
      .once('error', () => resolve())
      .resume();
  });
}

async function main(): Promise<void> {
  // Whoever reads the reports may be gone first; that ends this process in order, not by an error.
  process.stdout.on('error', () => undefined);
  const end = told();
  const { server, port } = await serve();
  report({ event: 'serving', address: `127.0.0.1:${port}` });
  const registration = new Registration(port);
  await registration.register(false).catch(fail);
  await end;
  // First out of the registry, then out of service: nobody is sent to a server that has closed.
  await registration.close().catch(fail);
  server.forceShutdown();
}

await main();
// A closed standard input or an open one: nothing more is to come, and nothing is to be waited for.
process.exit();
