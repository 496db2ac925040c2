import type { RollcallClient } from '../../src/client/client.ts';
import { waitFor } from '../cluster/process-cluster.ts';
import type { FleetProcess } from './fleet-process.ts';
import type { Screen } from './screen.ts';
import type { ShownWatch } from './shown-watch.ts';
import type { Stage } from './stage.ts';

/** What the steps have in common, and what one leaves for the next. */
export interface Scene {
  readonly screen: Screen;
  readonly stage: Stage;
  /** Knows all members; discovers and watches. */
  readonly client: RollcallClient;
  readonly ttlMs: number;
  /** Begun by the step that starts the fleet. */
  watch: ShownWatch | undefined;
  /** Set by the step that kills the leader. */
  killed: KilledLeader | undefined;
}

export interface KilledLeader {
  readonly id: string;
  /** By performance.now(). */
  readonly atMs: number;
  /** Applied index and fleet (with incarnations) of just before. */
  readonly appliedIndex: number;
  readonly fleet: ReadonlyMap<FleetProcess, number>;
}

export function watchOf({ watch }: Scene): ShownWatch {
  if (watch === undefined) throw new Error('the watch has not begun');
  return watch;
}

export function killedOf({ killed }: Scene): KilledLeader {
  if (killed === undefined) throw new Error('no leader was killed');
  return killed;
}

/** waitFor, for what can be looked at without asking anybody. */
export function waitUntil(what: string, timeoutMs: number, holds: () => boolean): Promise<true> {
  return waitFor(what, timeoutMs, () => Promise.resolve(holds() ? true : undefined));
}

/** Throws where a process of the fleet has said that something went wrong. */
export function assertWell(service: FleetProcess): void {
  if (service.failure !== '') throw new Error(`${service.name}: ${service.failure}`);
}

/**
 * Resolves once a linearizable answer holds exactly the instances of the running fleet, with how long that last call
 * took. What a former run left behind goes when its lease ends.
 */
export async function discoverExactly(scene: Scene, service: string, timeoutMs: number): Promise<DiscoveredFleet> {
  const expected = scene.stage.fleet.filter((each) => each.service === service).sort(byId);
  let seen: readonly string[] = [];
  const look = async (): Promise<DiscoveredFleet | undefined> => {
    const startMs = performance.now();
    const { instances, header } = await scene.client.discover({ service });
    const durationMs = performance.now() - startMs;
    seen = instances.map(({ id, incarnation }) => `${id}@${incarnation}`);
    const wanted = expected.map(({ id, incarnation }) => `${id}@${incarnation}`);
    if (seen.join() !== wanted.join()) return undefined;
    const found = instances.map(({ id, endpoints }) => {
      const [endpoint] = endpoints;
      return { id, address: endpoint === undefined ? '' : `${endpoint.address}:${endpoint.port}` };
    });
    return { found, member: header.member, revision: header.revision, durationMs };
  };
  try {
    return await waitFor(`${service} to be exactly ${expected.map(({ id }) => id).join(', ')}`, timeoutMs, look);
  } catch (error) {
    throw new Error(`${service} is ${seen.join(', ')} at last`, { cause: error });
  }
}

export interface DiscoveredFleet {
  readonly found: readonly { readonly id: string; readonly address: string }[];
  readonly member: string;
  readonly revision: number;
  readonly durationMs: number;
}

function byId(one: FleetProcess, other: FleetProcess): number {
  return one.id < other.id ? -1 : 1;
}
