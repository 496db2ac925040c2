import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { loadRegistry } from '../../src/replica/recovery.ts';
import { encodeBatch, encodeCommand } from '../../src/state-machine/command-codec.ts';
import { RegistryState } from '../../src/state-machine/registry-state.ts';
import type { CommandBody } from '../../src/state-machine/types.ts';
import { MemoryStateMedium, type StoredPair } from '../../src/storage/memory-state-medium.ts';
import { MemoryStagedState, MemoryStateStore } from '../../src/storage/memory-state-store.ts';
import { firstStateKey } from '../../src/storage/state-envelope.ts';

const clock = new ManualClock();
const name = (id: string): { namespace: string; service: string; id: string } => {
  return { namespace: 'default', service: 's', id };
};

/** A state with instances, leases, sessions, history and remembered requests, as it lies in a store. */
async function stored(): Promise<MemoryStateMedium> {
  const state = new RegistryState();
  const bodies: CommandBody[] = [
    { kind: 'grant-lease', ttlMs: 5_000 },
    { kind: 'open-session', ttlMs: 5_000 },
    ...['a', 'b', 'c'].map(
      (id): CommandBody => ({
        kind: 'register',
        name: name(id),
        spec: Buffer.from(id),
        lifetime: { kind: 'persistent' },
        ifAbsent: false,
        ifIncarnation: 0,
      }),
    ),
    { kind: 'deregister', name: name('b'), incarnation: 0 },
  ];
  for (const [i, body] of bodies.entries()) {
    const command = encodeCommand({ actor: 'test', origin: 'test', reason: '', requestId: `request-${i}`, body });
    const data = encodeBatch({ wallMs: 1, elapsedMs: 1, commands: [command] });
    state.apply({ index: i + 1, term: 1, data });
  }
  const frozen = state.freeze();
  const medium = new MemoryStateMedium('state', false);
  const staged = new MemoryStagedState('state', medium, clock);
  await staged.add([...frozen.changes()].sort((one, other) => (one.key < other.key ? -1 : 1)));
  const { index, term, revision } = state.position;
  await staged.seal({ index, term, revision, prefixHash: '0'.repeat(16), stateHash: frozen.stateHash });
  return medium;
}

function load(medium: MemoryStateMedium): Promise<unknown> {
  return loadRegistry(MemoryStateStore.open('state', medium, clock), () => new RegistryState());
}

async function expectDamagedByEach(damage: (medium: MemoryStateMedium, pair: StoredPair, all: StoredPair[]) => void) {
  const intact = await stored();
  const pairs = intact.sorted(firstStateKey);
  expect(pairs.length).toBeGreaterThan(12);
  for (const pair of pairs) {
    const medium = intact.copy();
    damage(medium, pair, pairs);
    await expect(load(medium), `key ${pair.key.toString()}`).rejects.toMatchObject({
      name: 'StorageError',
      kind: 'damaged',
    });
  }
}

describe('a stored registry', () => {
  it('loads as it was', async () => {
    await expect(load(await stored())).resolves.toBeInstanceOf(RegistryState);
  });

  it('is damaged, and no fault of the code, where any one record is gone', async () => {
    await expectDamagedByEach((medium, { key }) => medium.loseRecords([key]));
  });

  it('is damaged where any one record stands at the place of the one behind it', async () => {
    await expectDamagedByEach((medium, { key }, all) => {
      const next = all[(all.findIndex((pair) => pair.key === key) + 1) % all.length];
      if (next !== undefined) medium.misdirect(key, next.key);
    });
  });
});
