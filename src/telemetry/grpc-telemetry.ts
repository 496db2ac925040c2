import type { Clock } from '../base/clock.ts';
import type { CallOutcome, GrpcObserver, MethodName, RefusalCause } from '../grpc/observer.ts';
import type { Logger } from './logger.ts';
import type { MemberMetrics } from './metrics.ts';
import { RateGate } from './rate-gate.ts';

export interface GrpcTelemetryOptions {
  readonly metrics: MemberMetrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Unary calls that take longer are logged. */
  readonly slowMs: number;
}

/** Of each kind of line that clients cause, one in this time. */
const lineEveryMs = 10_000;

/** Counts what the gRPC front end does, and logs what is slow or refused. Nothing of a request goes into the log. */
export class GrpcTelemetry implements GrpcObserver {
  readonly #options: GrpcTelemetryOptions;
  readonly #gate: RateGate;

  constructor(options: GrpcTelemetryOptions) {
    this.#options = options;
    this.#gate = new RateGate(options.clock, lineEveryMs);
  }

  callEnded(method: MethodName, outcome: CallOutcome, durationMs: number): void {
    const { metrics, slowMs } = this.#options;
    metrics.calls.inc({ method, code: outcome });
    // How long a stream was open says nothing of how fast it was served.
    if (method === 'KeepAlive' || method === 'Session' || method === 'Watch') return;
    metrics.callSeconds.observe({ method }, durationMs / 1_000);
    if (durationMs <= slowMs) return;
    this.#log('warn', `slow ${method}`, 'a slow call', { method, code: outcome, ms: Math.round(durationMs) });
  }

  streamsChanged(method: 'KeepAlive' | 'Session' | 'Watch', open: number): void {
    this.#options.metrics.openStreams.set({ method }, open);
  }

  connectionsChanged(open: number): void {
    this.#options.metrics.connections.set(open);
  }

  connectionRefused(cause: RefusalCause, address: string): void {
    this.#options.metrics.connectionsRefused.inc({ cause });
    // Load balancers that only look whether the port is open connect and say nothing.
    const level = cause === 'connections' || cause === 'address' ? 'warn' : 'debug';
    this.#log(level, `refused ${cause}`, 'a connection was refused', { cause, address });
  }

  unknownFields(count: number): void {
    this.#options.metrics.unknownSpecFields.inc(count);
  }

  #log(level: 'debug' | 'warn', kind: string, message: string, fields: Readonly<Record<string, unknown>>): void {
    const held = this.#gate.pass(kind);
    if (held === undefined) return;
    this.#options.logger[level](held === 0 ? fields : { ...fields, alike: held }, message);
  }
}
