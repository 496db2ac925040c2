import { RollcallClient } from '../../src/client/client.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import type { FleetProcess } from './fleet-process.ts';
import { checkHealth } from './health-call.ts';
import { type Beat, Pulse } from './pulse.ts';
import { waitFor } from '../cluster/process-cluster.ts';
import { assertWell, discoverExactly, killedOf, type Scene, waitUntil, watchOf } from './scene.ts';
import { duration } from './screen.ts';
import { ShownWatch } from './shown-watch.ts';

/** One thing that is shown and checked. */
export interface Step {
  readonly title: string;
  /** Does it and resolves with what was measured; rejects where something did not hold. */
  readonly run: (scene: Scene) => Promise<string>;
}

export const steps: readonly Step[] = [
  { title: 'Three members agree on a leader', run: startMembers },
  { title: 'A fleet registers itself with leases', run: startFleet },
  { title: 'A client discovers the fleet and calls it', run: callFleet },
  { title: 'A service is killed and leaves by its lease', run: killService },
  { title: 'The leader is killed, registration goes on', run: killLeader },
  { title: 'The leases survive the change of leader', run: leasesSurvive },
  { title: 'The killed member returns and catches up', run: memberReturns },
];

const leaderRole = rollcall.v1.MemberRole.MEMBER_ROLE_LEADER;
const leaderTimeoutMs = 15_000;
const fleetTimeoutMs = 20_000;
const callTimeoutMs = 5_000;
/** Of what a lease may be late: an election timeout and 2 s, as docs/GUARANTEES.md says. */
const leaseLateMsMax = 3_000;

/** Services and how many of each. */
const fleetPlan: readonly (readonly [service: string, count: number])[] = [
  ['greeter', 4],
  ['billing', 2],
];
const victim = 'greeter/greeter-3';
const newcomer = ['greeter', 'greeter-5'] as const;
/** Registrations before the leader is killed, so that the pause is seen between two of them. */
const beatsBefore = 20;
/** Above the timeout of one call: where calls fail, their error is told. */
const beatsTimeoutMs = 15_000;

async function startMembers({ screen, stage }: Scene): Promise<string> {
  const startMs = performance.now();
  for (const { id, client, http } of stage.plans) {
    const pid = stage.startMember(id);
    screen.line(`member ${id}`, `pid ${pid}  clients 127.0.0.1:${client}  http://127.0.0.1:${http}/metrics`);
  }
  const leader = await stage.cluster.leader(leaderTimeoutMs);
  const tookMs = performance.now() - startMs;
  const status = (await stage.cluster.statuses()).get(leader);
  if (status === undefined) throw new Error(`member ${leader} leads and does not answer`);
  const kept = status.boot > 1 ? `, start ${status.boot} on this data` : ', on new data';
  screen.line(`member ${leader}`, `leads in term ${status.term} at revision ${status.revision}${kept}`);
  return `${leader} leads in term ${status.term}, ${duration(tookMs)} after the start`;
}

async function startFleet(scene: Scene): Promise<string> {
  const { screen, stage, client } = scene;
  const watch = new ShownWatch(client, screen, callTimeoutMs);
  scene.watch = watch;
  await waitUntil('the first batch of the watch', callTimeoutMs, () => watch.begun);
  const startMs = performance.now();
  const servers = stage.cluster.clientAddresses;
  const names = fleetPlan.flatMap(([service, count]) =>
    Array.from({ length: count }, (_, i) => [service, `${service}-${i + 1}`] as const),
  );
  const fleet = names.map(([service, id]) => stage.startService(service, id, servers));
  await Promise.all(fleet.map((service) => registered(scene, service)));
  await waitUntil('the watch to see the whole fleet', callTimeoutMs, () => fleet.every((each) => isSeen(watch, each)));
  const slowest = Math.max(...fleet.map(({ registerMs }) => registerMs));
  const tookMs = performance.now() - startMs;
  return `${fleet.length} processes in ${duration(tookMs)}, slowest registration ${duration(slowest)}`;
}

async function callFleet(scene: Scene): Promise<string> {
  const { screen } = scene;
  let calls = 0;
  let slowest = 0;
  for (const [service] of fleetPlan) {
    const answer = await discoverExactly(scene, service, scene.ttlMs + callTimeoutMs);
    const { found, member, revision, durationMs } = answer;
    screen.line(
      'discover',
      `${service}: ${found.length} by ${member} at revision ${revision} in ${duration(durationMs)}`,
    );
    for (const { id, address } of found) {
      const health = await checkHealth(address, service, callTimeoutMs);
      screen.line('call', `${id}  ${address}  Health/Check  ${health.status}  ${duration(health.durationMs)}`);
      if (health.status !== 'SERVING') throw new Error(`${id} at ${address} answered ${health.status}`);
      calls++;
      slowest = Math.max(slowest, health.durationMs);
    }
  }
  return `${calls} of ${calls} answered SERVING, slowest call ${duration(slowest)}`;
}

async function killService(scene: Scene): Promise<string> {
  const { screen, stage, ttlMs } = scene;
  const watch = watchOf(scene);
  const condemned = stage.fleet.find(({ name }) => name === victim);
  if (condemned === undefined) throw new Error(`${victim} is not running`);
  screen.alarm(
    condemned.id,
    `pid ${condemned.pid ?? ''} killed with SIGKILL, ${ttlMs / 1_000} s to live from its last renewal`,
  );
  const killedAtMs = performance.now();
  await stage.killService(condemned);
  const removal = () =>
    watch.removals.find(({ name, incarnation }) => name === victim && incarnation === condemned.incarnation);
  await waitUntil(`the watch to see ${victim} leave`, ttlMs + leaseLateMsMax, () => removal() !== undefined);
  const seen = removal();
  if (seen?.cause !== 'lease-expired') throw new Error(`${victim} left by ${seen?.cause ?? ''}, not by its lease`);
  const afterKillMs = seen.atMs - killedAtMs;
  const afterRenewalMs = seen.atMs - condemned.renewedAtMs;
  const { found, revision } = await discoverExactly(scene, condemned.service, callTimeoutMs);
  screen.line('discover', `${condemned.service}: ${found.map(({ id }) => id).join(', ')} at revision ${revision}`);
  return `${duration(afterKillMs)} from kill to event, ${duration(afterRenewalMs)} from its last renewal`;
}

async function killLeader(scene: Scene): Promise<string> {
  const { screen, stage } = scene;
  const leader = await stage.cluster.leader(leaderTimeoutMs);
  const survivors = stage.plans.filter(({ id }) => id !== leader).map(({ id }) => id);
  const servers = survivors.map((id) => stage.addressOf(id));
  const writer = new RollcallClient({ servers });
  try {
    const pulse = new Pulse(writer);
    screen.line('writer', `registers over and over through ${survivors.join(' and ')}`);
    await waitUntil(`${beatsBefore} registrations`, beatsTimeoutMs, () => pulse.sentAfter(0).length >= beatsBefore);
    const status = await stage.cluster.statusOf(leader);
    if (status === undefined) throw new Error(`member ${leader} leads and does not answer`);
    const fleet = new Map(stage.fleet.map((each) => [each, each.incarnation]));
    screen.alarm(
      `member ${leader}`,
      `leads in term ${status.term}; pid ${stage.cluster.pidOf(leader) ?? ''} killed with SIGKILL`,
    );
    const atMs = performance.now();
    await stage.killMember(leader);
    scene.killed = { id: leader, atMs, appliedIndex: status.appliedIndex, fleet };
    const [next, member] = await Promise.all([elected(scene, atMs), firstBeat(scene, pulse, atMs)]);
    await registered(scene, stage.startService(newcomer[0], newcomer[1], servers));
    await pulse.stop();
    return `${duration(pulse.longestGapMs())} without a write; ${next} leads, ${member} answered first`;
  } finally {
    writer.close();
  }
}

/** The survivors' new leader. */
async function elected({ screen, stage }: Scene, killedAtMs: number): Promise<string> {
  const leader = await stage.cluster.leader(leaderTimeoutMs);
  const afterMs = performance.now() - killedAtMs;
  const term = (await stage.cluster.statusOf(leader))?.term ?? 0;
  screen.line(`member ${leader}`, `leads in term ${term}, known to both ${duration(afterMs)} after the kill`);
  return leader;
}

/** The member that acknowledged the first registration that was sent after the kill. */
async function firstBeat({ screen }: Scene, pulse: Pulse, killedAtMs: number): Promise<string> {
  const look = (): Promise<Beat | undefined> => Promise.resolve(pulse.sentAfter(killedAtMs)[0]);
  const beat = await waitFor('a registration behind the death of the leader', leaderTimeoutMs, look);
  const afterMs = beat.acknowledgedAtMs - killedAtMs;
  screen.line('writer', `first registration acknowledged by ${beat.member}, ${duration(afterMs)} after the kill`);
  return beat.member;
}

async function leasesSurvive(scene: Scene): Promise<string> {
  const { screen, stage, ttlMs } = scene;
  const watch = watchOf(scene);
  const { fleet, atMs } = killedOf(scene);
  // A renewal that was acknowledged later than one time to live after the kill: no lease lives on old renewals alone.
  const isRenewed = (service: FleetProcess): boolean => service.renewedAtMs > atMs + ttlMs;
  await waitUntil('a renewal of each lease by the new leader', ttlMs + leaderTimeoutMs, () => {
    for (const [service, incarnation] of fleet) {
      assertWell(service);
      const now = watch.instances.get(service.name)?.incarnation;
      if (now !== incarnation) throw new Error(`${service.name} was incarnation ${incarnation}, is ${now ?? 'gone'}`);
    }
    return [...fleet.keys()].every(isRenewed);
  });
  for (const [service] of fleetPlan) await discoverExactly(scene, service, callTimeoutMs);
  const afterMs = performance.now() - atMs;
  screen.line(
    'fleet',
    `all renewed ${duration(afterMs)} after the kill: ${[...fleet.keys()].map(({ id }) => id).join(', ')}`,
  );
  const left = stage.fleet.length;
  return `${fleet.size} of ${fleet.size} kept their incarnation; ${left} instances with the newcomer`;
}

async function memberReturns(scene: Scene): Promise<string> {
  const { screen, stage, client } = scene;
  const watch = watchOf(scene);
  const { id, appliedIndex } = killedOf(scene);
  const startMs = performance.now();
  screen.line(`member ${id}`, `started again, pid ${stage.startMember(id)}`);
  await waitFor(`member ${id} to answer`, leaderTimeoutMs, () => stage.cluster.statusOf(id));
  const statuses = await stage.cluster.converged(leaderTimeoutMs);
  const tookMs = performance.now() - startMs;
  for (const [member, { role, appliedIndex: applied, stateHash }] of statuses) {
    screen.line(
      `member ${member}`,
      `applied ${applied}  state ${stateHash}  ${role === leaderRole ? 'leads' : 'follows'}`,
    );
  }
  await asksOnly(scene, id);
  const { services } = await client.listServices({});
  const held = services.reduce((sum, { instances }) => sum + instances, 0);
  const count = (): boolean => watch.instances.size === held;
  await waitUntil(`the watch to hold the ${held} instances of the registry`, callTimeoutMs, count);
  screen.line(
    'watch',
    `holds the same ${held} instances after ${watch.events} events, ${watch.interruptions} broken streams`,
  );
  const index = statuses.get(id)?.appliedIndex ?? 0;
  return `applied ${index} on all, ${duration(tookMs)} after its start; ${appliedIndex} when it was killed`;
}

/** The member that has returned answers by itself, and is up to date: the answer is linearizable. */
async function asksOnly({ screen, stage }: Scene, id: string): Promise<void> {
  const client = new RollcallClient({ servers: stage.addressOf(id) });
  try {
    const [service] = newcomer;
    const { instances, header } = await client.discover({ service });
    const ids = instances.map((instance) => instance.id).join(', ');
    screen.line('discover', `${service}: ${ids} by ${header.member} at revision ${header.revision}`);
    if (!ids.includes(newcomer[1])) throw new Error(`${id} does not know ${newcomer[1]}, which came while it was away`);
  } finally {
    client.close();
  }
}

/** Resolves once a process of the fleet is registered, and says so. */
async function registered({ screen }: Scene, service: FleetProcess): Promise<void> {
  await waitUntil(`${service.name} to be registered`, fleetTimeoutMs, () => {
    assertWell(service);
    return service.incarnation > 0;
  });
  const { id, pid, address, member, registerMs } = service;
  screen.line(id, `pid ${pid ?? ''}  serves ${address}  registered through ${member} in ${duration(registerMs)}`);
}

function isSeen(watch: ShownWatch, service: FleetProcess): boolean {
  return watch.instances.get(service.name)?.incarnation === service.incarnation;
}
