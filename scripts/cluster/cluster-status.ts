import { type ChannelCredentials, Client, credentials } from '@grpc/grpc-js';
import { rollcall } from '../../src/gen/rollcall.js';

export type Status = rollcall.v1.StatusResponse;

const insecure: ChannelCredentials = credentials.createInsecure();

/** Asks members for `Cluster.Status`, each over one kept connection. Close it when done. */
export class StatusAsker {
  readonly #clients = new Map<string, Client>();

  /** undefined where the member does not answer in time. */
  ask(address: string, timeoutMs: number = 1_000): Promise<Status | undefined> {
    const { StatusRequest, StatusResponse } = rollcall.v1;
    return new Promise((resolve) => {
      this.#client(address).makeUnaryRequest(
        '/rollcall.v1.Cluster/Status',
        (request: rollcall.v1.StatusRequest) => Buffer.from(StatusRequest.encode(request).finish()),
        (bytes: Buffer) => StatusResponse.decode(bytes),
        new StatusRequest(),
        { deadline: Date.now() + timeoutMs },
        (error, response) => resolve(error === null ? response : undefined),
      );
    });
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  #client(address: string): Client {
    const known = this.#clients.get(address);
    if (known !== undefined) return known;
    // A member that was killed is back within a moment: the default backoff of up to two minutes would miss it.
    const options = { 'grpc.initial_reconnect_backoff_ms': 50, 'grpc.max_reconnect_backoff_ms': 500 };
    const client = new Client(address, insecure, options);
    this.#clients.set(address, client);
    return client;
  }
}
