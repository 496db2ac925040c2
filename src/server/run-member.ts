import { readFileSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { StorageError } from '../base/errors.ts';
import { SystemClock } from '../base/system-clock.ts';
import { SystemRandom } from '../base/system-random.ts';
import type { ReplicaEvent } from '../replica/events.ts';
import type { MemberConfig } from './config.ts';
import { Member } from './member.ts';
import { logLineOf } from './replica-log.ts';

export interface RunOptions {
  /** Called once the member serves: addresses as `host:port`. */
  readonly onReady?: (info: { readonly clientAddress: string; readonly httpAddress: string }) => void;
}

/** How often the health service is told anew whether the member serves, ms. */
const healthEveryMs = 100;
/** How often the free disk space is measured, ms. */
const diskEveryMs = 5_000;

/**
 * Runs a member until SIGINT or SIGTERM, or until it cannot go on. Resolves with the exit code of the process: 0 after a
 * signal, 1 after a failure. After a failure nothing is written or acknowledged any more.
 */
export async function runMember(config: MemberConfig, options: RunOptions = {}): Promise<number> {
  const log = pino({ level: config.log.level });
  return new MemberRun(config, options, log).run();
}

class MemberRun {
  readonly #config: MemberConfig;
  readonly #options: RunOptions;
  readonly #log: Logger;
  readonly #clock = new SystemClock();
  #member: Member | undefined;
  #finish: (exitCode: number) => void = () => undefined;

  constructor(config: MemberConfig, options: RunOptions, log: Logger) {
    this.#config = config;
    this.#options = options;
    this.#log = log;
  }

  async run(): Promise<number> {
    const finished = new Promise<number>((resolve) => {
      this.#finish = resolve;
    });
    const onSignal = (signal: NodeJS.Signals): void => void this.#stop(signal);
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
    process.on('uncaughtException', (error) => this.#fatal(error));
    for (const warning of this.#config.warnings) this.#log.warn(warning);
    this.#start().catch((error: unknown) => this.#fatal(error));
    return finished;
  }

  async #start(): Promise<void> {
    const config = this.#config;
    const { clientAddress, peerAddress, dataDirectory, initialMembers, memberId } = config;
    this.#log.info({ memberId, dataDirectory, clientAddress, peerAddress }, 'starting');
    const member = await Member.open({
      memberId,
      version: packageVersion(),
      dataDirectory,
      initialMembers: initialMembers.map(({ id, peerAddress: address }) => ({ id, peerAddress: address })),
      listenClient: config.listen.client,
      listenPeer: config.listen.peer,
      clientAddress,
      peerAddress,
      ...config.raft,
      ...config.storage,
      limits: config.limits,
      clock: this.#clock,
      random: new SystemRandom(),
      replicaObserver: { event: (event) => this.#event(event), fatal: (error) => this.#fatal(error) },
      grpcObserver: {
        callEnded: () => undefined,
        streamsChanged: () => undefined,
        connectionsChanged: () => undefined,
        connectionRefused: () => undefined,
        unknownFields: () => undefined,
      },
    });
    this.#member = member;
    await member.start();
    this.#watchHealth(member);
    this.#watchDisk(member);
    const httpAddress = `${config.listen.http.host}:${config.listen.http.port}`;
    this.#options.onReady?.({ clientAddress: `${config.listen.client.host}:${member.clientPort}`, httpAddress });
  }

  #event(event: ReplicaEvent): void {
    const { level, message, fields } = logLineOf(event, this.#config.log.slowMs);
    this.#log[level]({ ...fields, event: event.kind }, message);
  }

  #watchHealth(member: Member): void {
    const look = (): void => {
      member.refreshHealth();
      this.#clock.setTimer(healthEveryMs, look, { unref: true });
    };
    look();
  }

  #watchDisk(member: Member): void {
    this.#clock.setTimer(
      diskEveryMs,
      () => {
        member.replica.measureDisk().then(
          () => this.#watchDisk(member),
          (error: unknown) => this.#fatal(error),
        );
      },
      { unref: true },
    );
  }

  async #stop(signal: NodeJS.Signals): Promise<void> {
    this.#log.info({ signal }, 'stopping');
    try {
      await this.#member?.stop(this.#config.stopGraceMs);
      this.#log.info('stopped');
      this.#finish(0);
    } catch (error) {
      this.#fatal(error);
    }
  }

  /** The member cannot go on. Nothing is flushed or closed: what is on disk is what a restart reads. */
  #fatal(error: unknown): void {
    if (error instanceof StorageError) this.#log.fatal({ file: error.file, offset: error.offset }, error.message);
    else this.#log.fatal({ err: error }, 'a broken invariant: the member ends at once');
    this.#finish(1);
  }
}

/** The version of this package. `src/server` and `dist/server` lie equally deep, so the path holds for both. */
function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const version = typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : '';
  return typeof version === 'string' ? version : '';
}
