import { rollcall } from '../../src/gen/rollcall.js';
import { framed, type UnaryCall } from './unary-load.ts';

const { BatchRegisterRequest, Consistency, DiscoverRequest, RegisterRequest } = rollcall.v1;

/** Instances of one service. */
export const serviceSize = 10;

function specOf(service: string, id: string): rollcall.v1.IInstanceSpec {
  return {
    namespace: 'default',
    service,
    id,
    endpoints: [{ name: 'main', protocol: 'grpc', address: '127.0.0.1', port: 7_000 }],
    version: '1.4.2',
    weight: 100,
    tags: ['blue', 'canary'],
    metadata: { team: 'payments', build: '20260101-4711', commit: '0123456789abcdef', node: 'worker-17' },
    locality: { region: 'eu-central-1', zone: 'eu-central-1a' },
  };
}

function register(service: string, id: string): UnaryCall {
  const request = RegisterRequest.create({ instance: specOf(service, id), persistent: true });
  const frame = framed(RegisterRequest.encode(request).finish());
  return { name: 'Register', path: '/rollcall.v1.Registry/Register', frame };
}

function discover(service: string, stale: boolean): UnaryCall {
  const consistency = stale ? Consistency.CONSISTENCY_STALE : Consistency.CONSISTENCY_LINEARIZABLE;
  const request = DiscoverRequest.create({ namespace: 'default', service, consistency });
  const frame = framed(DiscoverRequest.encode(request).finish());
  const name = stale ? 'Discover stale' : 'Discover';
  return { name, path: '/rollcall.v1.Registry/Discover', frame };
}

/** Instances of one batch. */
export const batchSize = 500;

/** Registers the instances from `first` to before `end` of those that a run begins with. */
export function loadedInstances(first: number, end: number): UnaryCall {
  const items: rollcall.v1.IBatchRegisterItem[] = [];
  for (let n = first; n < end; n++) {
    items.push({ instance: specOf(`loaded-${Math.floor(n / serviceSize)}`, `i-${n}`) });
  }
  const request = BatchRegisterRequest.create({ items, persistent: true });
  const frame = framed(BatchRegisterRequest.encode(request).finish());
  return { name: 'BatchRegister', path: '/rollcall.v1.Registry/BatchRegister', frame };
}

/**
 * What a lane calls at its `n`th turn: of five calls two are linearizable discovers, two stale ones, and one registers
 * the lane's own instance anew. `loaded`: how many instances were loaded; without any the lanes read each other's.
 */
export function mixedCall(lane: number, n: number, loaded: number): UnaryCall {
  const own = `lane-${Math.floor(lane / serviceSize)}`;
  const step = (lane + n) % 5;
  if (step === 4) return register(own, `l-${lane}`);
  // Spread over all services without a random number: the factor is prime.
  const at = (lane * 7_919 + n * 104_729) % Math.max(1, Math.floor(loaded / serviceSize));
  return discover(loaded === 0 ? own : `loaded-${at}`, step >= 2);
}
