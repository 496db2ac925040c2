import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { planMembers, ProcessCluster, waitFor } from '../../scripts/cluster/process-cluster.ts';
import { type Command, ExampleProgram, type Line } from './example-program.ts';

const ttlSeconds = 6;
/** For one step on a machine that runs other tests as well; each takes some 100 ms on a quiet one. */
const stepMs = 40_000;
const batchEvents: ReadonlySet<string> = new Set(['snapshot', 'delta', 'reset']);

/**
 * Runs an example on three real members, through the loss of the leader and then of each other one: the registration
 * stays, the watch has neither gap nor repeat. One that stands still for too long is lost and comes back; SIGTERM
 * deregisters.
 */
export async function expectSurvival(command: Command): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'rollcall-example-'));
  const ends: string[] = [];
  const onExit = (id: string, code: number | null, signal: NodeJS.Signals | null): void => {
    ends.push(`member ${id} ended with ${code ?? signal}`);
  };
  const cluster = new ProcessCluster({ directory, members: await planMembers(3), onExit });
  const programs: ExampleProgram[] = [];
  const start = (...args: string[]): ExampleProgram => {
    const program = new ExampleProgram(command, [...args, '--server', cluster.clientAddresses.join(',')]);
    programs.push(program);
    return program;
  };
  try {
    cluster.startAll();
    await cluster.leader(stepMs);
    await survive(cluster, start);
  } catch (error) {
    const logs = cluster.members.map(({ id }) => `the log of ${id} ends with\n${cluster.logTail(id, 6)}`);
    throw new Error([String(error), ...programs.map((program) => program.transcript), ...ends, ...logs].join('\n\n'), {
      cause: error,
    });
  } finally {
    await Promise.all(programs.map((program) => program.kill()));
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function survive(cluster: ProcessCluster, start: (...args: string[]) => ExampleProgram): Promise<void> {
  const watch = start('watch', 'shop');
  await watch.line('snapshot', stepMs);
  const first = start('register', 'shop', 'first', '127.0.0.1:50001', '--ttl', `${ttlSeconds}`, '--tag', 'blue');
  const registered = await first.line('registered', stepMs);
  await watch.line('put', stepMs, ({ id }) => id === 'first');
  await expectDiscovered(start, registered['incarnation']);

  const leader = await cluster.leader(stepMs);
  await loseMember(cluster, leader);
  const second = start('register', 'shop', 'second', '127.0.0.1:50002', '--ttl', `${ttlSeconds}`);
  await second.line('registered', stepMs);
  await watch.line('put', stepMs, ({ id }) => id === 'second');
  // The streams may have been on the others: each member is lost once.
  for (const { id } of cluster.members.filter((member) => member.id !== leader)) {
    await regainMembers(cluster);
    await loseMember(cluster, id);
  }

  // Nobody renews the second one for as long as an instance stays at all; the first one stays meanwhile.
  second.pause();
  await watch.line('delete', stepMs, ({ id }) => id === 'second');
  const lines = watch.lines.length;
  second.resume();
  await watch.line('put', stepMs, ({ id }) => id === 'second', lines);
  await second.terminated();
  await watch.line('delete', stepMs, ({ id }) => id === 'second', lines);
  await first.terminated();
  expect(first.lines.at(-1)).toEqual({ event: 'deregistered' });
  await watch.line('delete', stepMs, ({ id }) => id === 'first');
  expectExactly(watch.lines, registered['incarnation']);
}

async function expectDiscovered(start: (...args: string[]) => ExampleProgram, incarnation: unknown): Promise<void> {
  const blue = start('discover', 'shop', '--tag', 'blue');
  const red = start('discover', 'shop', '--tag', 'red');
  await blue.succeeded();
  await red.succeeded();
  const endpoints = ['main=grpc://127.0.0.1:50001'];
  expect(blue.lines).toMatchObject([
    { event: 'instance', id: 'first', endpoints, tags: ['blue'], incarnation },
    { event: 'discovered', instances: 1 },
  ]);
  expect(red.lines).toMatchObject([{ event: 'discovered', instances: 0 }]);
}

/** Kills a member without warning; resolves once the others have a leader. */
async function loseMember(cluster: ProcessCluster, id: string): Promise<void> {
  await cluster.kill(id, 'SIGKILL');
  await cluster.leader(stepMs);
}

/** Starts the member that was killed again; resolves once all of them know one leader. */
async function regainMembers(cluster: ProcessCluster): Promise<void> {
  cluster.startAll();
  await cluster.leader(stepMs);
  await waitFor('every member to be at the same revision', stepMs, async () => {
    const revisions = [...(await cluster.statuses()).values()].map((status) => status.revision);
    return revisions.length === cluster.members.length && new Set(revisions).size === 1 ? true : undefined;
  });
}

/** One snapshot, batches that join, and each of the changes once. */
function expectExactly(lines: readonly Line[], incarnation: unknown): void {
  const batches = lines.filter(({ event }) => batchEvents.has(event));
  expect(batches[0]).toMatchObject({ event: 'snapshot', instances: 0 });
  expect(batches.slice(1).filter(({ event }) => event === 'snapshot' || event === 'reset')).toEqual([]);
  let revision = batches[0]?.['toRevision'];
  for (const batch of batches.slice(1)) {
    expect(batch['fromRevision']).toBe(revision);
    revision = batch['toRevision'];
  }
  const changes = lines.filter(({ event }) => !batchEvents.has(event));
  expect(changes).toMatchObject([
    { event: 'put', id: 'first', incarnation },
    { event: 'put', id: 'second' },
    { event: 'delete', id: 'second', cause: 'lease-expired' },
    { event: 'put', id: 'second' },
    { event: 'delete', id: 'second', cause: 'deregistered' },
    { event: 'delete', id: 'first', incarnation, cause: 'deregistered' },
  ]);
}
