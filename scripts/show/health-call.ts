import { Client, credentials } from '@grpc/grpc-js';
import { service } from 'grpc-health-check';

/** What a server answered to `grpc.health.v1.Health/Check`, and how long the call took with its connection. */
export interface HealthAnswer {
  readonly status: string;
  readonly durationMs: number;
}

/** Calls a server once over a connection of its own. @throws {Error} of gRPC where it does not answer in time. */
export async function checkHealth(address: string, name: string, timeoutMs: number): Promise<HealthAnswer> {
  const method = service['Check'];
  if (method === undefined) throw new Error('grpc-health-check has no method Check');
  const client = new Client(address, credentials.createInsecure());
  const startMs = performance.now();
  try {
    const response = await new Promise<object>((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        { service: name },
        { deadline: Date.now() + timeoutMs },
        (error, value) => {
          if (error !== null) reject(error);
          else resolve(value ?? {});
        },
      );
    });
    const status = 'status' in response ? String(response.status) : 'UNKNOWN';
    return { status, durationMs: performance.now() - startMs };
  } finally {
    client.close();
  }
}
