import { type Lane, type MemoryNetwork, type Station } from './memory-network.ts';
import type { OutgoingSnapshot } from './peer-wire.ts';
import { PeerRefusal } from './refusal.ts';

/** Chunks under way that the receiver has not taken yet. */
const windowChunks = 4;
const nothing = new Uint8Array(0);

/** Both ends of one snapshot over a memory network: every chunk that is taken gives the sender leave for another. */
export class MemorySnapshot implements OutgoingSnapshot {
  readonly dialer: Station;
  readonly toHost: string;
  taker: Station | undefined;
  readonly failed: Promise<never>;
  readonly #network: MemoryNetwork;
  readonly #there: Lane;
  readonly #back: Lane;
  readonly #answer: Promise<Uint8Array>;
  readonly #chunks = new ChunkQueue();
  #succeed: (answer: Uint8Array) => void = () => {};
  #fail: (error: Error) => void = () => {};
  #credits = windowChunks;
  #onCredit: (() => void) | undefined;
  #over = false;

  constructor(network: MemoryNetwork, dialer: Station, address: string) {
    const { host, port } = network.dial(dialer.host, address);
    this.#network = network;
    this.dialer = dialer;
    this.toHost = host;
    this.#answer = new Promise((resolve) => (this.#succeed = resolve));
    this.failed = new Promise((_resolve, reject) => (this.#fail = reject));
    this.#there = network.lane(dialer.host, host);
    this.#back = network.lane(host, dialer.host);
    network.enter(this);
    this.#there.post('open', nothing, () => this.#arrived(port));
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#there.post('chunk', chunk, () => this.#chunks.push(chunk));
    this.#credits -= 1;
    // The failure first: where it has happened it wins.
    if (this.#credits > 0) return Promise.race([this.failed, Promise.resolve()]);
    await Promise.race([new Promise<void>((resolve) => (this.#onCredit = resolve)), this.failed]);
  }

  finish(): Promise<Uint8Array> {
    this.#there.post('end', nothing, () => this.#chunks.end());
    return Promise.race([this.#answer, this.failed]);
  }

  abort(reason: string): void {
    if (this.#over) return;
    this.#ended(() => this.#fail(new Error(reason)));
    this.#there.post('end', nothing, () => this.#chunks.break(new Error('cancelled by the sender')));
  }

  broken(reason: string): void {
    this.#network.forget(this.#there);
    this.#network.forget(this.#back);
    this.#chunks.break(new Error(reason));
    this.#ended(() => this.#fail(new Error(reason)));
  }

  #arrived(port: number): void {
    this.taker = this.#network.find(this.toHost, port);
    if (this.taker === undefined) {
      const refused = new Error(`connect refused ${this.toHost}:${port}`);
      this.#back.post('end', nothing, () => this.#ended(() => this.#fail(refused)));
      return;
    }
    this.#chunks.onTaken = () => this.#back.post('credit', nothing, () => this.#credited());
    this.taker.acceptor.snapshot(this.#chunks).then(
      (answer) => this.#back.post('answer', answer, () => this.#ended(() => this.#succeed(answer))),
      (error: unknown) => {
        if (!(error instanceof PeerRefusal)) return crash(error);
        this.#back.post('answer', nothing, () => this.#ended(() => this.#fail(new Error(error.message))));
      },
    );
  }

  #credited(): void {
    this.#credits += 1;
    this.#onCredit?.();
    this.#onCredit = undefined;
  }

  #ended(settle: () => void): void {
    if (this.#over) return;
    this.#over = true;
    this.#network.exit(this, [this.#there, this.#back]);
    if (this.dialer.alive) settle();
  }
}

/** What has arrived and is not taken yet; iterated once. */
class ChunkQueue implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array> {
  onTaken: () => void = () => {};
  readonly #waiting: Uint8Array[] = [];
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const chunk = this.#waiting.shift();
      if (chunk !== undefined) {
        this.onTaken();
        return { done: false, value: chunk };
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  push(chunk: Uint8Array): void {
    this.#waiting.push(chunk);
    this.#notify();
  }

  end(): void {
    this.#ended = true;
    this.#notify();
  }

  break(error: Error): void {
    this.#waiting.length = 0;
    this.#error ??= error;
    this.#notify();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

/** What is broken here must end the test, and not look like a refusal. */
function crash(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
