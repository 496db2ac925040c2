import type { Target } from './cases.ts';
import { callCases, corpusEntryCase } from './call-cases.ts';
import type { CaseKind, CorpusEntry, FuzzCase } from './cases.ts';
import { Draw } from './draw.ts';
import type { Verdict } from './judge.ts';
import { misuseCases } from './misuse-cases.ts';
import { Tally } from './tally.ts';
import { FuzzWorld } from './world.ts';

export interface FuzzRunOptions {
  readonly targets: readonly Target[];
  readonly corpus: readonly CorpusEntry[];
  readonly seed: number;
  /** Cases that run at once. */
  readonly lanes: number;
  /** Of calls alone, or with those that break gRPC and HTTP/2. */
  readonly kinds: 'calls' | 'all';
  readonly onBreach: (text: string) => void;
}

const sentShownBytes = 400;
const breachesMax = 50;

/** Sends cases, one after the other on each lane, and judges how each ends. `close` always. */
export class FuzzRun {
  readonly #options: FuzzRunOptions;
  readonly #world: FuzzWorld;
  readonly #kinds: readonly CaseKind[];
  readonly #running = new Map<number, string>();
  readonly byMethod = new Tally();
  readonly byKind = new Tally();
  requests = 0;
  cases = 0;
  breaches = 0;
  #next = 0;
  #stopped = false;

  constructor(options: FuzzRunOptions) {
    this.#options = options;
    this.#world = new FuzzWorld(options.targets, options.corpus);
    this.#kinds = options.kinds === 'all' ? [...callCases, ...misuseCases] : callCases;
  }

  /** Numbers of the cases that have not ended: where a member ends, one of them may be why. */
  get running(): readonly number[] {
    return [...this.#running.keys()];
  }

  get lostConnections(): number {
    return this.#world.lost;
  }

  stop(): void {
    this.#stopped = true;
  }

  close(): void {
    this.#world.close();
  }

  /** Goes on with the numbering until so many requests were sent in all, or `stop`. */
  async runUntil(requests: number): Promise<void> {
    const lane = async (): Promise<void> => {
      while (!this.#stopped && this.requests < requests && this.breaches < breachesMax)
        await this.runCase(this.#next++);
    };
    await Promise.all(Array.from({ length: this.#options.lanes }, lane));
  }

  /** The case of that number: it needs nothing of those before it. */
  async runCase(number: number): Promise<void> {
    const draw = new Draw(this.#options.seed, number);
    const kind = draw.weighted(this.#kinds);
    await this.#run(number, kind.name, kind.make(this.#world, draw));
  }

  /** Every entry of the corpus as it is, once on each member. */
  async runCorpus(): Promise<void> {
    for (const entry of this.#options.corpus) {
      for (const [i] of this.#options.targets.entries()) {
        const made = corpusEntryCase(this.#world, new Draw(this.#options.seed, i), entry);
        await this.#run(-1, `corpus: ${entry.name}`, made);
      }
    }
  }

  async #run(number: number, name: string, made: FuzzCase): Promise<void> {
    this.requests += made.requests;
    this.cases++;
    this.#running.set(number, name);
    let verdict: Verdict;
    try {
      verdict = await made.run();
    } catch (error) {
      verdict = { key: 'broken', breach: `the fuzzer failed: ${String(error instanceof Error ? error.stack : error)}` };
    }
    this.#running.delete(number);
    this.byMethod.add(made.method, verdict.key, made.requests);
    this.byKind.add(name.startsWith('corpus:') ? 'corpus' : made.kind, verdict.key, made.requests);
    // Of calls that a stop cuts off there is nothing to say.
    if (verdict.breach === undefined || this.#stopped) return;
    this.breaches++;
    const sent = made.sent.map((bytes) => shown(bytes)).join(' ');
    this.#options.onBreach(`case ${number} (${name}, ${made.method}): ${verdict.breach}; sent ${sent}`);
  }
}

function shown(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.subarray(0, sentShownBytes)).toString('hex');
  return bytes.length <= sentShownBytes ? `[${hex}]` : `[${hex}... ${bytes.length} bytes]`;
}
