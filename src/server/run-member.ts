import { StorageError } from '../base/errors.ts';
import { SystemClock } from '../base/system-clock.ts';
import { SystemRandom } from '../base/system-random.ts';
import { healthOf } from '../http/health-report.ts';
import { HttpServer } from '../http/http-server.ts';
import type { RecordedMembership } from '../replica/cluster-admin.ts';
import type { ReplicaEvent } from '../replica/events.ts';
import { GrpcTelemetry } from '../telemetry/grpc-telemetry.ts';
import { type Log, openLog } from '../telemetry/logger.ts';
import { LoopMonitor } from '../telemetry/loop-monitor.ts';
import { diskWriteRecorder } from '../telemetry/measured-disk.ts';
import { MemberMetrics } from '../telemetry/metrics.ts';
import { countReplicaEvent } from '../telemetry/replica-metrics.ts';
import type { MemberConfig } from './config.ts';
import { Member } from './member.ts';
import { logLineOf } from './replica-log.ts';

export interface RunOptions {
  /** Of the program that runs the member; `cluster status` shows it. */
  readonly version: string;
  /** Called once the member serves: addresses as `host:port`. */
  readonly onReady?: (info: { readonly clientAddress: string; readonly httpAddress: string }) => void;
  /** Present: an empty directory joins a running cluster in place of forming one. */
  readonly join?: JoinRun;
}

/** How a member comes into a cluster that runs already. */
export interface JoinRun {
  /** It stays a learner. */
  readonly learner: boolean;
  /**
   * Asks the cluster to take in the member that listens for peers at this address, until it has. Rejects with
   * RollcallError where it does not.
   */
  readonly ask: (peerAddress: string) => Promise<RecordedMembership>;
}

/** How often the health service is told anew whether the member serves, ms. */
const healthEveryMs = 100;
/** How often the free disk space is measured, ms. */
const diskEveryMs = 5_000;
const logGraceMs = 1_000;

/**
 * Runs a member until SIGINT or SIGTERM, or until it cannot go on. Resolves with the exit code of the process: 0 after
 * a signal, 1 after a failure, or after a second signal while it was stopping. The caller ends the process at once
 * then: after a failure nothing may be written or acknowledged any more.
 */
export async function runMember(config: MemberConfig, options: RunOptions): Promise<number> {
  const clock = new SystemClock();
  const { level, format } = config.log;
  const log = openLog({ level, format, memberId: config.memberId, clock });
  const exitCode = await new MemberRun(config, options, log, clock).run();
  await log.close(logGraceMs);
  return exitCode;
}

class MemberRun {
  readonly #config: MemberConfig;
  readonly #options: RunOptions;
  readonly #log: Log;
  readonly #clock: SystemClock;
  readonly #metrics = new MemberMetrics();
  #http: HttpServer | undefined;
  /** Settles when the directory is open, and when the ports are. A stop waits for both: it may come in between. */
  #opening: Promise<Member> | undefined;
  #listening: Promise<number> | undefined;
  #stopping = false;
  #failed = false;
  #finish: (exitCode: number) => void = () => undefined;

  constructor(config: MemberConfig, options: RunOptions, log: Log, clock: SystemClock) {
    this.#config = config;
    this.#options = options;
    this.#log = log;
    this.#clock = clock;
  }

  async run(): Promise<number> {
    const onSignal = (signal: NodeJS.Signals): void => this.#onSignal(signal);
    const onException = (error: unknown): void => this.#fatal(error);
    process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('uncaughtException', onException);
    const loop = this.#monitorLoop();
    try {
      return await new Promise<number>((resolve) => {
        this.#finish = resolve;
        for (const warning of this.#config.warnings) this.#log.logger.warn(warning);
        this.#start().catch((error: unknown) => this.#fatal(error));
      });
    } finally {
      loop.stop();
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal).off('uncaughtException', onException);
    }
  }

  async #start(): Promise<void> {
    const { clientAddress, peerAddress, dataDirectory, listen, memberId } = this.#config;
    this.#log.logger.info({ dataDirectory, clientAddress, peerAddress }, `member ${memberId} starts`);
    this.#opening = this.#open();
    const member = await this.#opening;
    if (this.#stopping) return;
    this.#metrics.bind({
      status: () => member.status(),
      counts: () => member.replica.state.counts(),
      watchCounts: () => member.hub.counts(),
      callsInFlight: () => member.callsInFlight,
      droppedLogLines: () => this.#log.droppedLines(),
    });
    this.#listening = this.#startHttp(member);
    const httpPort = await this.#listening;
    if (this.#stopping) return;
    this.#watchHealth(member);
    await member.start();
    if (this.#stopping) return;
    this.#watchDisk(member);
    const httpAddress = `${listen.http.host}:${httpPort}`;
    const listened = `${listen.client.host}:${member.clientPort}`;
    this.#log.logger.info({ clients: listened, http: httpAddress }, 'serves');
    this.#options.onReady?.({ clientAddress: listened, httpAddress });
  }

  #open(): Promise<Member> {
    const config = this.#config;
    const { logger } = this.#log;
    const { slowMs } = config.log;
    const { version, join } = this.#options;
    const telemetry = { metrics: this.#metrics, logger, clock: this.#clock, slowMs };
    return Member.open({
      memberId: config.memberId,
      version,
      ...(join === undefined ? {} : { join: { ask: join.ask } }),
      dataDirectory: config.dataDirectory,
      initialMembers: config.initialMembers.map(({ id, peerAddress }) => ({ id, peerAddress })),
      listenClient: config.listen.client,
      listenPeer: config.listen.peer,
      clientAddress: config.clientAddress,
      peerAddress: config.peerAddress,
      ...config.raft,
      ...config.storage,
      limits: config.limits,
      clock: this.#clock,
      random: new SystemRandom(),
      replicaObserver: {
        event: (event) => this.#event(event),
        late: (kind, ms) => this.#metrics.raftLatenessSeconds.observe({ kind }, ms / 1_000),
        fatal: (error) => this.#fatal(error),
      },
      grpcObserver: new GrpcTelemetry(telemetry),
      onDiskWrite: diskWriteRecorder(telemetry),
      consensusThread: config.consensusThread,
    });
  }

  async #startHttp(member: Member): Promise<number> {
    this.#http = new HttpServer({
      metrics: this.#metrics,
      health: () => healthOf(member.status()),
      clock: this.#clock,
      onError: (error) => this.#log.logger.warn({ err: error }, 'an HTTP answer could not be made'),
    });
    const { host, port } = this.#config.listen.http;
    return this.#http.start(host, port);
  }

  #monitorLoop(): LoopMonitor {
    const { logger } = this.#log;
    const { slowMs } = this.#config.log;
    return new LoopMonitor({ metrics: this.#metrics, logger, clock: this.#clock, slowMs });
  }

  #event(event: ReplicaEvent): void {
    countReplicaEvent(this.#metrics, event);
    const { level, message, fields } = logLineOf(event, this.#config.log.slowMs);
    this.#log.logger[level]({ ...fields, event: event.kind }, message);
  }

  #watchHealth(member: Member): void {
    const look = (): void => {
      if (this.#stopping) return;
      member.setServing(healthOf(member.status()).serving);
      this.#clock.setTimer(healthEveryMs, look, { unref: true });
    };
    look();
  }

  #watchDisk(member: Member): void {
    const measure = (): void => {
      if (this.#stopping) return;
      member.replica.measureDisk().then(
        () => this.#watchDisk(member),
        (error: unknown) => this.#fatal(error),
      );
    };
    this.#clock.setTimer(diskEveryMs, measure, { unref: true });
  }

  #onSignal(signal: NodeJS.Signals): void {
    if (this.#stopping) {
      this.#log.logger.warn({ signal }, 'ends at once: a second signal came while it was stopping');
      this.#finish(1);
      return;
    }
    this.#stopping = true;
    this.#log.logger.info({ signal }, 'stopping');
    this.#stop().catch((error: unknown) => this.#fatal(error));
  }

  async #stop(): Promise<void> {
    // What could not be opened has ended the run by its own error.
    const member = await this.#opening;
    await member?.stop(this.#config.stopGraceMs);
    await this.#listening;
    await this.#http?.stop(logGraceMs);
    this.#log.logger.info('stopped');
    this.#finish(0);
  }

  /** The member cannot go on. Nothing is flushed or closed: what is on disk is what a restart reads. */
  #fatal(error: unknown): void {
    // One failure may come by several ways, such as a start that is waited for by a stop.
    if (this.#failed) return;
    this.#failed = true;
    if (error instanceof StorageError) {
      const { file, offset, kind } = error;
      this.#log.logger.fatal({ file, offset, kind }, error.message);
    } else if (isAddressError(error)) {
      this.#log.logger.fatal({ code: error.code }, `cannot listen: ${error.message}. Is another member running here?`);
    } else this.#log.logger.fatal({ err: error }, 'the member cannot go on and ends at once');
    this.#finish(1);
  }
}

function isAddressError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && error.syscall === 'listen';
}
