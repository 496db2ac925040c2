import { ReplicaClusterApi } from '../../src/api/cluster-api.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import { GrpcServer } from '../../src/grpc/grpc-server.ts';
import { ReplicaDouble } from '../api/replica-double.ts';
import { EdgeRegistry } from '../grpc/edge-registry.ts';
import { RecordingObserver } from '../grpc/grpc-harness.ts';

/** A member as the command line meets it: the real front end, and a replica that does what a test says. */
export class ClusterDouble {
  readonly replica = new ReplicaDouble();
  readonly #fatal: unknown[] = [];
  readonly #server: GrpcServer;
  #port = 0;

  private constructor() {
    const { replica } = this;
    const addressOf = (): string => this.address;
    this.#server = new GrpcServer({
      registry: new EdgeRegistry(),
      cluster: new ReplicaClusterApi({
        replica,
        hub: replica.hub,
        sessionStreams: () => 2,
        clock: replica.clock,
        version: '0.1.0',
        peerAddress: 'a:7401',
        get clientAddress(): string {
          return addressOf();
        },
      }),
      clock: new SystemClock(),
      observer: new RecordingObserver(),
      onFatal: (error) => this.#fatal.push(error),
    });
  }

  static async start(): Promise<ClusterDouble> {
    const double = new ClusterDouble();
    double.#port = await double.#server.listen('127.0.0.1', 0);
    return double;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Rejects with the first exception that was no answer to a caller. */
  async stop(): Promise<void> {
    await this.#server.drain(0);
    if (this.#fatal.length > 0) throw this.#fatal[0];
  }
}
