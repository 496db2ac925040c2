import type { RollcallClient } from '../../src/client/client.ts';
import type { Instance, WatchBatch, WatchEvent } from '../../src/client/types.ts';
import type { Watch } from '../../src/client/watch.ts';
import type { Screen } from './screen.ts';

/** An instance that the watch saw leave. */
export interface SeenRemoval {
  readonly name: string;
  readonly incarnation: number;
  readonly cause: string;
  /** When the event arrived, by performance.now(). */
  readonly atMs: number;
}

/** A watch of every service, which prints what it is told and keeps what the steps ask for. */
export class ShownWatch {
  readonly removals: SeenRemoval[] = [];
  readonly #watch: Watch;
  readonly #screen: Screen;
  #batches = 0;
  #events = 0;
  #interruptions = 0;
  /** Told already that the stream broke; no batch has come since. */
  #isBroken = false;
  #member = '';
  #failure: Error | undefined;
  readonly #ended: Promise<void>;

  constructor(client: RollcallClient, screen: Screen, firstBatchTimeoutMs: number) {
    this.#screen = screen;
    this.#watch = client.watch({
      firstBatchTimeoutMs,
      onInterrupted: (error) => {
        this.#interruptions++;
        if (this.#isBroken) return;
        this.#isBroken = true;
        screen.line(
          'watch',
          `stream of ${this.#member} broke (${error.reason}): goes on from revision ${this.revision}`,
        );
      },
    });
    this.#ended = this.#read();
  }

  /** Whether the first batch, a snapshot, is there. @throws what ended the watch. */
  get begun(): boolean {
    this.#assertGoesOn();
    return this.#batches > 0;
  }

  get revision(): number {
    return this.#watch.revision;
  }

  get events(): number {
    return this.#events;
  }

  get interruptions(): number {
    return this.#interruptions;
  }

  /** What is there, by `service/id`. @throws what ended the watch. */
  get instances(): ReadonlyMap<string, Instance> {
    this.#assertGoesOn();
    return this.#watch.instances;
  }

  async close(): Promise<void> {
    this.#watch.close();
    await this.#ended;
  }

  async #read(): Promise<void> {
    try {
      for await (const batch of this.#watch) this.#take(batch);
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.#screen.alarm('watch', `ended: ${this.#failure.message}`);
    }
  }

  #take(batch: WatchBatch): void {
    this.#batches++;
    this.#isBroken = false;
    const { member } = batch.header;
    if (batch.kind === 'snapshot' || batch.kind === 'reset') {
      const held = batch.events.length === 1 ? '1 instance' : `${batch.events.length} instances`;
      this.#screen.line('watch', `${batch.kind} from ${member} at revision ${batch.to}: ${held}`);
    } else if (member !== this.#member) this.#screen.line('watch', `${member} goes on behind revision ${batch.from}`);
    this.#member = member;
    if (batch.kind === 'delta') for (const event of batch.events) this.#show(event);
  }

  #show(event: WatchEvent): void {
    this.#events++;
    if (event.kind === 'put') {
      const { service, id, endpoints, incarnation } = event.instance;
      const at = endpoints.map(({ address, port }) => `${address}:${port}`).join(', ');
      // Registered anew at this revision, or changed by an update.
      const sign = incarnation === event.revision ? '+' : '~';
      this.#screen.line('watch', `${sign} ${service}/${id}  ${at}  incarnation ${incarnation}`);
      return;
    }
    // This watch has no filter that an instance could leave.
    if (event.kind === 'leaves') return;
    const name = `${event.key.service}/${event.key.id}`;
    this.removals.push({ name, incarnation: event.incarnation, cause: event.cause, atMs: performance.now() });
    const why = event.reason === '' ? event.cause : `${event.cause}: ${event.reason}`;
    this.#screen.line('watch', `- ${name}  ${why}  revision ${event.revision}`);
  }

  #assertGoesOn(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
