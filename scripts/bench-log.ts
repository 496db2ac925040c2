// How fast is the log on this disk? Appends of 1, 100 and 1,000 commands of 260 bytes, one frame each, against one
// plain write and fdatasync of the same bytes in the same run. Some seconds a row; trust the ratio, not the figures.
//
//   node --import tsx scripts/bench-log.ts [DIRECTORY]

import type { FileHandle } from 'node:fs/promises';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emptyPrefixHash, extendPrefixHash } from '../src/base/hash.ts';
import { SystemClock } from '../src/base/system-clock.ts';
import { noMembership } from '../src/raft/membership.ts';
import type { Entry } from '../src/storage/log-types.ts';
import { NodeDisk } from '../src/storage/node-disk.ts';
import { SegmentedLog } from '../src/storage/segmented-log.ts';

const commandBytes = 260;
const rounds = 5;
const roundMs = 400;
const warmUpAppends = 50;

const clock = new SystemClock();

/** Runs `step` for about roundMs; returns milliseconds a step. */
async function msEach(step: () => Promise<void>): Promise<number> {
  const start = clock.monotonicMs();
  let steps = 0;
  let now = start;
  while (now - start < roundMs) {
    await step();
    steps += 1;
    now = clock.monotonicMs();
  }
  return (now - start) / steps;
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] ?? Number.NaN;
}

/** Appends behind what was appended before; every call is one entry with so many commands, hence one frame. */
class Appender {
  #last = { index: 0, hash: emptyPrefixHash };
  readonly #log: SegmentedLog;
  readonly #data: Buffer;

  constructor(log: SegmentedLog, commands: number) {
    this.#log = log;
    this.#data = Buffer.alloc(commands * commandBytes, 7);
  }

  async append(): Promise<void> {
    const index = this.#last.index + 1;
    const entry: Entry = {
      index,
      term: 1,
      hash: extendPrefixHash(this.#last.hash, index, 1, this.#data),
      data: this.#data,
    };
    this.#last = entry;
    await this.#log.append([entry], this.#last.index - 1);
  }
}

/** Grows the file as a plain log would. */
class PlainWriter {
  readonly #handle: FileHandle;
  readonly #bytes: Buffer;
  #at = 0;

  constructor(handle: FileHandle, bytes: number) {
    this.#handle = handle;
    this.#bytes = Buffer.alloc(bytes, 7);
  }

  async write(): Promise<void> {
    await this.#handle.write(this.#bytes, 0, this.#bytes.byteLength, this.#at);
    await this.#handle.datasync();
    this.#at += this.#bytes.byteLength;
  }
}

async function row(root: string, commands: number): Promise<string> {
  const directory = join(root, String(commands));
  const disk = await NodeDisk.open(directory);
  await SegmentedLog.initialise(disk, { index: 0, term: 0, hash: emptyPrefixHash }, noMembership);
  const fail = (error: Error): void => {
    throw error;
  };
  const { log } = await SegmentedLog.open(disk, { clock, appliedIndex: 0, onFailure: fail });
  const handle = await open(join(directory, 'plain'), 'w');
  const appender = new Appender(log, commands);
  const plain = new PlainWriter(handle, commands * commandBytes);
  for (let append = 0; append < warmUpAppends; append++) await appender.append();
  const logMs: number[] = [];
  const plainMs: number[] = [];
  // In turns, so that what else the machine does falls on both.
  for (let round = 0; round < rounds; round++) {
    logMs.push(await msEach(() => appender.append()));
    plainMs.push(await msEach(() => plain.write()));
  }
  await log.close();
  await handle.close();
  await rm(directory, { recursive: true });
  const [logEach, plainEach] = [median(logMs), median(plainMs)];
  const cells = [
    commands,
    Math.round(1_000 / logEach),
    ((commands * commandBytes) / 1_000 / logEach).toFixed(1),
    Math.round(logEach * 1_000),
    Math.round(plainEach * 1_000),
    (logEach / plainEach).toFixed(2),
  ];
  return cells.map((cell) => String(cell).padStart(12)).join('');
}

async function main(): Promise<void> {
  const root = await mkdtemp(join(process.argv[2] ?? tmpdir(), 'rollcall-bench-'));
  try {
    const names = ['commands', 'appends/s', 'MB/s', 'log us', 'plain us', 'log/plain'];
    process.stdout.write(`${names.map((name) => name.padStart(12)).join('')}\n`);
    for (const commands of [1, 100, 1_000]) process.stdout.write(`${await row(root, commands)}\n`);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

await main();
