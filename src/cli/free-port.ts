import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';

/**
 * A port that nobody listens on, on any address of this host. Another may take it before it is used; the system hands
 * out others first.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
