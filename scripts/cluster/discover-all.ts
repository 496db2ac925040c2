import { Client, credentials } from '@grpc/grpc-js';
import { rollcall } from '../../src/gen/rollcall.js';

const { Consistency, DiscoverRequest, DiscoverResponse, ListServicesRequest, ListServicesResponse } = rollcall.v1;

/** Everything in a namespace as one member answers it: "service/id" to incarnation. */
export async function readAll(
  address: string,
  namespace: string,
  consistency: 'linearizable' | 'stale',
): Promise<Map<string, number>> {
  const client = new Client(address, credentials.createInsecure());
  try {
    const how = consistency === 'stale' ? Consistency.CONSISTENCY_STALE : Consistency.CONSISTENCY_LINEARIZABLE;
    const found = new Map<string, number>();
    for (const service of await listServices(client, namespace, how)) {
      let pageToken = '';
      do {
        const request = DiscoverRequest.create({ namespace, service, consistency: how, pageToken });
        const bytes = await call(client, 'Discover', DiscoverRequest.encode(request).finish());
        const page = DiscoverResponse.decode(bytes);
        for (const { spec, meta } of page.instances) {
          found.set(`${service}/${spec?.id ?? ''}`, Number(meta?.incarnation ?? 0));
        }
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
    }
    return found;
  } finally {
    client.close();
  }
}

async function listServices(client: Client, namespace: string, consistency: number): Promise<string[]> {
  const names: string[] = [];
  let pageToken = '';
  do {
    const request = ListServicesRequest.create({ namespace, consistency, pageToken });
    const bytes = await call(client, 'ListServices', ListServicesRequest.encode(request).finish());
    const page = ListServicesResponse.decode(bytes);
    names.push(...page.services.map(({ service }) => service ?? ''));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return names;
}

function call(client: Client, method: string, bytes: Uint8Array): Promise<Buffer> {
  const same = (value: Buffer): Buffer => value;
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + 10_000;
    const path = `/rollcall.v1.Registry/${method}`;
    client.makeUnaryRequest(path, same, same, Buffer.from(bytes), { deadline }, (error, answer) =>
      error === null && answer !== undefined ? resolve(answer) : reject(error ?? new Error('no answer')),
    );
  });
}
