import type { KeyText } from '../types.ts';
import type { ClientProcess, HeldLease } from './client-process.ts';
import type { Draw } from './draw.ts';
import { instanceOf, keyOf, services, tag } from './keys.ts';
import { answered, seen } from './outcomes.ts';

const ttlMsMin = 1_000;
const ttlMsMost = 6_000;
const leasesMax = 4;

/** Registers without a session: for good, with a lease of its own or another, with and without conditions. */
export async function register(process: ClientProcess, draw: Draw, lease: HeldLease | undefined): Promise<void> {
  const { keys, recorder } = process.world;
  const key = keys.pick(draw, process.host);
  const value = recorder.next('value');
  const isNew = lease === undefined && draw.chance(0.25);
  const lifetime = lease !== undefined ? 'lease' : isNew ? 'new' : 'persistent';
  const ttlMs = isNew ? drawTtlMs(process, draw) : (lease?.ttlMs ?? 0);
  const condition = draw.weighted({ none: 5, absent: 2, incarnation: 2 });
  const ifAbsent = condition === 'absent';
  const ifIncarnation = condition === 'incarnation' ? (keys.incarnationOf(key) ?? 0) : 0;
  const isKept = draw.chance(0.7);
  const leaseId = lease?.leaseId ?? 0;
  await process.call(
    { kind: 'register', key, value, lifetime, leaseId, ttlMs, restore: false, ifAbsent, ifIncarnation },
    async () => {
      const answer = await process.client.register({
        instance: instanceOf(key, value),
        lifetime: lease !== undefined ? { leaseId } : isNew ? { ttlMs } : { persistent: true },
        ifAbsent,
        ifIncarnation,
      });
      const { header, incarnation, replaced } = answer;
      keys.heard(key, incarnation);
      if (isNew && !process.isOver) hold(process, { leaseId: answer.leaseId, ttlMs: answer.ttlMs, isKept });
      return { ...answered(header), incarnation, replaced, leaseId: answer.leaseId };
    },
  );
}

export async function update(process: ClientProcess, draw: Draw): Promise<void> {
  const { keys, recorder } = process.world;
  const key = keys.pick(draw, process.host);
  const incarnation = keys.incarnationOf(key);
  if (incarnation === undefined) {
    await register(process, draw, undefined);
    return;
  }
  const value = recorder.next('value');
  await process.call({ kind: 'update', key, value, incarnation }, async () => {
    const { header, changed } = await process.client.update({ instance: instanceOf(key, value), incarnation });
    return { ...answered(header), incarnation, changed };
  });
}

export async function deregister(process: ClientProcess, draw: Draw): Promise<void> {
  const { keys } = process.world;
  const key = keys.pick(draw, process.host);
  const incarnation = draw.chance(0.5) ? (keys.incarnationOf(key) ?? 0) : 0;
  await process.call({ kind: 'deregister', key, incarnation }, async () => {
    const { header, existed } = await process.client.deregister({ ...keyOf(key), incarnation });
    return { ...answered(header), existed };
  });
}

export async function batch(process: ClientProcess, draw: Draw): Promise<void> {
  const { keys, recorder } = process.world;
  const chosen = new Set<KeyText>();
  for (let left = draw.within(2, 4); left > 0; left -= 1) chosen.add(keys.pick(draw, process.host));
  const names = [...chosen];
  const values = names.map(() => recorder.next('value'));
  // One that is there refuses all of them.
  const absent = draw.chance(0.4) ? names.filter(() => draw.chance(0.5)) : [];
  await process.call({ kind: 'batch', keys: names, values, absent }, async () => {
    const { header, results } = await process.client.batchRegister({
      instances: names.map((key, i) => ({ ...instanceOf(key, values[i] ?? 0), ifAbsent: absent.includes(key) })),
      lifetime: { persistent: true },
    });
    for (const [i, { incarnation }] of results.entries()) keys.heard(names[i] ?? '', incarnation);
    return answered(header);
  });
}

export async function discover(process: ClientProcess, draw: Draw): Promise<void> {
  const service = draw.pick(services);
  const mode = draw.weighted({ linearizable: 5, stale: 2, behind: 2, filtered: 1, paged: 1 });
  const consistency = mode === 'stale' || mode === 'behind' ? 'stale' : 'linearizable';
  const minRevision = mode === 'behind' ? process.revision : 0;
  const filtered = mode === 'filtered';
  await process.call({ kind: 'discover', service, consistency, minRevision, filtered }, async () => {
    const { header, exact, instances } = await process.client.discover({
      service,
      consistency,
      ...(minRevision > 0 ? { minRevision } : {}),
      ...(filtered ? { filter: { tags: [tag] } } : {}),
      ...(mode === 'paged' ? { pageSize: 1 } : {}),
    });
    const { world } = process;
    for (const { namespace, service: name, id, incarnation } of instances) {
      world.keys.heard(`${namespace}/${name}/${id}`, incarnation);
    }
    return { ...answered(header), instances: instances.map(seen), inexact: !exact };
  });
}

export async function grant(process: ClientProcess, draw: Draw): Promise<void> {
  const ttlMs = drawTtlMs(process, draw);
  const isKept = draw.chance(0.5);
  if (process.leases.length >= leasesMax) {
    await revoke(process, draw);
    return;
  }
  await process.call({ kind: 'grant', ttlMs }, async () => {
    const { header, leaseId, ttlMs: granted } = await process.client.grantLease({ ttlMs });
    if (!process.isOver) hold(process, { leaseId, ttlMs: granted, isKept });
    return { ...answered(header), leaseId };
  });
}

/** A lease that only the caller knows of. */
export async function grantAlone(process: ClientProcess, ttlMs: number): Promise<number | undefined> {
  const outcome = await process.call({ kind: 'grant', ttlMs }, async () => {
    const { header, leaseId } = await process.client.grantLease({ ttlMs });
    return { ...answered(header), leaseId };
  });
  return outcome?.kind === 'ok' ? outcome.leaseId : undefined;
}

export async function revoke(process: ClientProcess, draw: Draw): Promise<void> {
  if (process.leases.length === 0) return;
  const { leaseId } = draw.pick(process.leases);
  process.forgetLease(leaseId);
  await process.call({ kind: 'revoke', leaseId }, async () => {
    const { header, existed } = await process.client.revokeLease({ leaseId });
    process.keeper.remove(leaseId);
    return { ...answered(header), existed };
  });
}

function drawTtlMs({ world }: ClientProcess, draw: Draw): number {
  return draw.within(ttlMsMin, ttlMsMost) * world.ttlScale;
}

function hold(process: ClientProcess, lease: HeldLease): void {
  process.leases.push(lease);
  if (lease.isKept) process.keeper.add(lease.leaseId);
}
