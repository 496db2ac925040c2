import { Client, credentials } from '@grpc/grpc-js';
import { attemptMsMax } from './peer.ts';

const same = (value: Buffer): Buffer => value;

/** Unary calls with bytes in and out, over one kept connection for each address. */
export class GrpcCalls {
  readonly #clients: readonly Client[];

  constructor(addresses: readonly string[]) {
    const options = { 'grpc.initial_reconnect_backoff_ms': 20, 'grpc.max_reconnect_backoff_ms': 200 };
    this.#clients = addresses.map((address) => new Client(address, credentials.createInsecure(), options));
  }

  call(at: number, path: string, bytes: Uint8Array, msMax: number = attemptMsMax): Promise<Buffer> {
    const client = this.#clients[at % this.#clients.length];
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + msMax;
      client?.makeUnaryRequest(path, same, same, Buffer.from(bytes), { deadline }, (error, answer) =>
        error === null && answer !== undefined ? resolve(answer) : reject(error ?? new Error('no answer')),
      );
    });
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}
