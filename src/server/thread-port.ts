import { performance } from 'node:perf_hooks';
import type { MessagePort, Worker } from 'node:worker_threads';
import type { Endpoint } from '../replica/thread-link.ts';

/** In ms since 1970, when the monotonic clock of this thread was 0. */
export function clockOriginMs(): number {
  return performance.timeOrigin;
}

/** An end over a worker, or over its port to its owner. */
export function portEndpoint(port: Worker | MessagePort, close: () => void): Endpoint {
  return {
    post: (message, transfer) => port.postMessage(message, transfer),
    onMessage: (listener) => {
      port.on('message', listener);
    },
    close,
  };
}
