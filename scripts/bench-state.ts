/**
 * Measures the flushed state: keys a second and the longest turn of the event loop for flushes of several sizes, and
 * the rate of sending and receiving a snapshot. Works in a directory of its own under the system's temporary one and
 * removes it; ends within a minute. Usage: node --import tsx scripts/bench-state.ts
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SystemClock } from '../src/base/system-clock.ts';
import { votersOnly } from '../src/raft/membership.ts';
import { LevelStateEngine } from '../src/storage/level-state-engine.ts';
import { NodeDisk } from '../src/storage/node-disk.ts';
import { encodeSnapshot, receiveSnapshot } from '../src/storage/snapshot-stream.ts';
import { openStateDirectory } from '../src/storage/state-directory.ts';
import { loadState } from '../src/storage/state-loader.ts';
import { emptyStateMark } from '../src/storage/state-mark.ts';
import type { StateChange, StateDirectory, StateStore } from '../src/storage/state-store.ts';

const clock = new SystemClock();
const valueBytes = 300;
const keysMax = 200_000;
const secondsPerSize = 4;
const flushesMax = 2_000;
const membership = votersOnly([{ id: 'a', directoryId: '0'.repeat(32), peerAddress: '127.0.0.1:7401' }]);

/** Bytes that compress about as well as specs do: half of each is the same everywhere. */
const values = Array.from({ length: 1_000 }, (_, n) => {
  const seed = createHash('sha512').update(String(n)).digest();
  return Buffer.concat(
    [Buffer.alloc(valueBytes / 2, 'spec of a service'), Buffer.concat([seed, seed, seed])],
    valueBytes,
  );
});

/**
 * The time from each turn of the event loop to the next while it runs. On a busy machine the longest is that of the
 * scheduler or the collector, so the share of long ones is said too.
 */
class LoopWatch {
  readonly #turnsMs: number[] = [];
  #last = clock.monotonicMs();
  #running = true;

  constructor() {
    const turn = (): void => {
      this.skip();
      if (this.#running) clock.nextTurn(turn);
    };
    clock.nextTurn(turn);
  }

  /** Ends the present turn; with `ignored` what was done since its beginning is not counted. */
  skip(ignored = false): void {
    const now = clock.monotonicMs();
    if (!ignored) this.#turnsMs.push(now - this.#last);
    this.#last = now;
  }

  stop(): string {
    this.#running = false;
    const sorted = this.#turnsMs.toSorted((one, other) => one - other);
    // Turns in which nothing was done are as many as the machine likes: only those that took time are counted.
    const busy = sorted.filter((ms) => ms > 0.2);
    const at = (share: number): string => (busy[Math.floor((busy.length - 1) * share)] ?? 0).toFixed(1);
    return `turns p50 ${at(0.5)} p99 ${at(0.99)} longest ${at(1)} ms`;
  }
}

function changesFrom(start: number, count: number): StateChange[] {
  return Array.from({ length: count }, (_, n) => {
    const number = ((start + n) * 7_919) % keysMax;
    return { key: `i/default/service-${number % 500}/instance-${number}`, value: values[(start + n) % values.length] };
  });
}

async function flushesOf(store: StateStore, count: number): Promise<string> {
  let keys = 0;
  const times: number[] = [];
  const watch = new LoopWatch();
  const start = clock.monotonicMs();
  while (clock.monotonicMs() - start < secondsPerSize * 1_000 && times.length < flushesMax) {
    watch.skip();
    const changes = changesFrom(keys, count);
    watch.skip(true);
    const index = store.mark.index + 1;
    const begun = clock.monotonicMs();
    await store.flush(changes, { ...emptyStateMark, index, term: 1, revision: index });
    times.push(clock.monotonicMs() - begun);
    keys += count;
  }
  const turns = watch.stop();
  times.sort((one, other) => one - other);
  const at = (share: number): string => (times[Math.floor((times.length - 1) * share)] ?? 0).toFixed(2);
  const busyMs = times.reduce((sum, ms) => sum + ms, 0);
  const rate = Math.round((keys / busyMs) * 1_000);
  return `${count} changes a flush: ${rate} keys/s, flush p50 ${at(0.5)} ms p99 ${at(0.99)} ms, ${turns}`;
}

async function timed(what: string, work: () => Promise<number>): Promise<void> {
  const watch = new LoopWatch();
  const start = clock.monotonicMs();
  const bytes = await work();
  const ms = clock.monotonicMs() - start;
  const rate = (bytes / 1_048_576 / ms) * 1_000;
  const turns = watch.stop();
  print(`${what}: ${rate.toFixed(1)} MiB/s (${(bytes / 1_048_576).toFixed(0)} MiB in ${ms.toFixed(0)} ms), ${turns}`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function openAt(root: string): Promise<StateDirectory> {
  const disk = await NodeDisk.open(root);
  return openStateDirectory({ disk, engine: new LevelStateEngine({ disk, root, clock }) });
}

async function main(root: string): Promise<void> {
  const sender = await openAt(join(root, 'sender'));
  for (const count of [1, 100, 1_000, 10_000]) print(await flushesOf(sender.store, count));
  const receiver = await openAt(join(root, 'receiver'));
  const snapshot = await sender.store.openSnapshot();
  await timed('snapshot read and encoded', async () => {
    let bytes = 0;
    for await (const chunk of encodeSnapshot(snapshot, membership)) bytes += chunk.length;
    return bytes;
  });
  await timed('snapshot read, encoded, decoded, stored and sealed', async () => {
    let bytes = 0;
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of encodeSnapshot(snapshot, membership)) {
        bytes += chunk.length;
        yield chunk;
      }
    };
    const { staged } = await receiveSnapshot(counted(), receiver);
    await receiver.activate(staged);
    return bytes;
  });
  await snapshot.close();
  await timed('state loaded (without a state machine)', async () => {
    let bytes = 0;
    await loadState(receiver.store, {
      begin: () => undefined,
      add: (key, value) => {
        bytes += key.length + value.length;
      },
      finish: () => ({ stateHash: receiver.store.mark.stateHash }),
    });
    return bytes;
  });
  await Promise.all([sender.close(), receiver.close()]);
}

const root = await mkdtemp(join(tmpdir(), 'rollcall-bench-state-'));
try {
  await main(root);
} finally {
  await rm(root, { recursive: true, force: true });
}
