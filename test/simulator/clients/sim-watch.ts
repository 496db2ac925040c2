import type { Watch } from '../../../src/client/watch.ts';
import type { WatchBatch, WatchEvent } from '../../../src/client/types.ts';
import { ClientError } from '../../../src/client/client-error.ts';
import type { WatchStep } from '../types.ts';
import type { ClientProcess } from './client-process.ts';
import { tag } from './keys.ts';
import { seen } from './outcomes.ts';

/** What a watch is about, and where it begins. */
export interface WatchScope {
  readonly service: string;
  readonly prefix: string;
  /** Asks for the tag that some instances carry. */
  readonly tagged: boolean;
  /** 0: with a snapshot. */
  readonly since: number;
  readonly stale: boolean;
  readonly progressIntervalMs: number | undefined;
}

/** One watch of a process, and its reader, which may take its time. */
export class SimWatch {
  readonly number: number;
  readonly scope: WatchScope;
  /** How long the reader takes over each batch, ms. */
  pauseMs: number;
  readonly #process: ClientProcess;
  readonly #watch: Watch;
  #ended = false;

  constructor(process: ClientProcess, scope: WatchScope, pauseMs: number) {
    const { recorder } = process.world;
    this.number = recorder.next('watch');
    this.scope = scope;
    this.pauseMs = pauseMs;
    this.#process = process;
    const { service, prefix, tagged, since, stale, progressIntervalMs } = scope;
    recorder.watchOpened(this.number, process.name, since);
    this.#watch = process.client.watch({
      ...(service === '' ? { servicePrefix: prefix } : { service }),
      ...(tagged ? { filter: { tags: [tag] } } : {}),
      since,
      consistency: stale ? 'stale' : 'linearizable',
      ...(progressIntervalMs === undefined ? {} : { progressIntervalMs }),
    });
    process.watches.push(this);
    void this.#read();
  }

  /** `to` of the batch read last: another process may go on here. */
  get revision(): number {
    return this.#watch.revision;
  }

  close(): void {
    this.#watch.close();
    this.#end('CLOSED');
  }

  async #read(): Promise<void> {
    const { clock, world } = this.#process;
    for (;;) {
      let batch: WatchBatch | undefined;
      try {
        ({ value: batch } = await this.#watch.next());
      } catch (thrown) {
        if (!(thrown instanceof ClientError)) throw thrown;
        this.#end(thrown.reason);
        return;
      }
      if (this.#process.isOver || this.#ended) return;
      if (batch === undefined) {
        this.#end('DONE');
        return;
      }
      world.recorder.watched(this.#stepOf(batch));
      const { pauseMs } = this;
      if (pauseMs > 0) await new Promise<void>((resolve) => clock.setTimer(pauseMs, resolve));
    }
  }

  #stepOf({ kind, coalesced, from, to, header, events }: WatchBatch): WatchStep {
    const { service, prefix, tagged } = this.scope;
    return {
      watch: this.number,
      client: this.#process.name,
      service,
      prefix,
      tag: tagged ? tag : '',
      kind,
      coalesced,
      from,
      to,
      member: header.member,
      ageMs: header.ageMs,
      events: events.map(told),
    };
  }

  #end(reason: string): void {
    if (this.#ended || this.#process.isOver) return;
    this.#ended = true;
    const { watches, world } = this.#process;
    const at = watches.indexOf(this);
    if (at !== -1) watches.splice(at, 1);
    world.recorder.watchEnded(this.number, reason);
  }
}

function told(event: WatchEvent): WatchStep['events'][number] {
  const { kind, revision } = event;
  if (kind === 'put') {
    return { kind, revision, instance: seen(event.instance), tagged: event.instance.tags.includes(tag) };
  }
  const { namespace, service, id } = event.key;
  return { kind, revision, key: `${namespace}/${service}/${id}` };
}
