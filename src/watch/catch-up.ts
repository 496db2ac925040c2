import { assert } from '../base/assert.ts';
import type { ChangeLog } from './change-log.ts';
import type { Cut } from './cut.ts';
import type { DeltaBatch } from './delta-batch.ts';
import { DeltaBuilder } from './delta-batch.ts';
import { envelopeBytesMax } from './batch-encoder.ts';
import type { HubParts } from './hub-parts.ts';
import { pieceWorkBytes } from './hub-parts.ts';
import { judge } from './judge.ts';
import { covers } from './scope.ts';
import type { Watch } from './watch.ts';

/** Changes of the history that are looked at in one piece of work, and what one costs in bytes of work. */
const looksMax = 1_024;
const lookWorkBytes = 256;

/** The stream of a watch that is not live. */
export interface CatchUpHost {
  /**
   * Queues what follows the first part of a batch. False: there is no room for it; with `anyway` only where it is more
   * than one stream may have, whatever waits for the others.
   */
  queueRest(watch: Watch, batch: DeltaBatch, from: number, anyway: boolean): boolean;
  /** Everything up to now is told. */
  goLive(watch: Watch): void;
  /** What is missed is not to be had: a snapshot has to do. */
  reset(watch: Watch): void;
}

/**
 * What a watch is sent that is not live: a snapshot; what it missed, change by change out of the history; or, where
 * that is too much for a slow reader or not to be had, each changed instance once.
 */
export class CatchUp {
  readonly #hub: HubParts;
  readonly #host: CatchUpHost;

  constructor(hub: HubParts, host: CatchUpHost) {
    this.#hub = hub;
    this.#host = host;
  }

  /** The watch's next response; undefined: none yet, or there is nothing to say of what was looked at. */
  next(watch: Watch): Uint8Array | undefined {
    const { cut } = watch;
    if (cut !== undefined) return cut.complete ? this.#part(watch, cut) : undefined;
    return watch.phase === 'snapshot' ? this.#snapshot(watch) : this.#missed(watch);
  }

  #snapshot(watch: Watch): Uint8Array | undefined {
    const cut = this.#hub.cuts.snapshot(watch.group, watch);
    if (cut !== undefined) return this.#part(watch, cut);
    // What changes while it waits is known when it has been sent.
    if (watch.cut !== undefined) this.#need(watch);
    return undefined;
  }

  #part(watch: Watch, cut: Cut): Uint8Array | undefined {
    const { cuts, work } = this.#hub;
    const { watchId, linearizable } = watch.spec;
    const changes = cut.reader.kind === 'changes';
    const kind = changes ? 'delta' : watch.snapshotKind;
    const after = changes ? watch.coveredTo : 0;
    const parts = cut.parts(after);
    let response: Uint8Array | undefined;
    if (watch.partsTaken < parts) {
      const header = this.#hub.header(linearizable && kind === 'snapshot');
      const receiver = { watchId, kind, from: changes ? watch.sentTo : 0, after } as const;
      response = cut.response(watch.partsTaken, watch.cutTo, receiver, header);
      watch.partsTaken++;
      watch.sentMs = watch.takenMs = this.#hub.nowMs();
    }
    work.spend(Math.max(pieceWorkBytes, response?.length ?? 0));
    if (watch.partsTaken < parts) {
      this.#need(watch);
      return response;
    }
    watch.coveredTo = watch.cutTo;
    if (parts > 0) {
      watch.sentTo = watch.takenTo = watch.cutTo;
      if (changes) this.#hub.counters.coalesced++;
    }
    watch.partsTaken = 0;
    cuts.release(watch);
    watch.phase = 'catch-up';
    const isNow = watch.coveredTo === this.#hub.state().position.revision;
    if (isNow || (!changes && watch.spec.once)) this.#host.goLive(watch);
    else this.#need(watch);
    return response;
  }

  #missed(watch: Watch): Uint8Array | undefined {
    const { bounds, cuts } = this.#hub;
    const { historyFloor, position } = this.#hub.state();
    const { coveredTo } = watch;
    assert(coveredTo <= position.revision, () => `watch at revision ${coveredTo}, state at ${position.revision}`);
    if (coveredTo === position.revision) {
      this.#host.goLive(watch);
      return undefined;
    }
    const plainBytesMax = watch.behind ? bounds.plainCatchUpBytesMax : bounds.backlogBytesMax;
    if (isLogged(watch) && (coveredTo < historyFloor || watch.log.noted - watch.logMark > plainBytesMax)) {
      const cut = cuts.changes(watch.group, watch, watch.log);
      watch.logMark = watch.log.noted;
      return cut === undefined ? undefined : this.#part(watch, cut);
    }
    if (coveredTo >= historyFloor) return this.#plain(watch);
    this.#host.reset(watch);
    return this.#snapshot(watch);
  }

  /** Some of the changes behind the watch, as they stand in the history. */
  #plain(watch: Watch): Uint8Array | undefined {
    const { work } = this.#hub;
    const { batch, to, looked } = this.#changes(watch);
    work.spend(Math.max(pieceWorkBytes, batch?.bytes ?? 0, looked * lookWorkBytes));
    if (batch !== undefined && batch.parts > 1) {
      const anyway = !isLogged(watch);
      if (!this.#host.queueRest(watch, batch, watch.sentTo, anyway)) return this.#tooLarge(watch);
    }
    const response = batch?.response(0, watch.spec.watchId, watch.sentTo);
    watch.coveredTo = to;
    if (batch !== undefined) {
      watch.sentTo = batch.to;
      if (batch.parts === 1) watch.takenTo = batch.to;
      watch.sentMs = this.#hub.nowMs();
    }
    watch.logMark += batch?.bytes ?? 0;
    // Where parts of the batch are left they go first: with `once` the end is seen when it is asked again.
    if (to === this.#hub.state().position.revision && !(watch.queued && watch.spec.once)) this.#host.goLive(watch);
    else this.#need(watch);
    return response;
  }

  /** The next batch, if what was looked at holds one for the watch; with it everything up to `to` is told. */
  #changes(watch: Watch): { batch: DeltaBatch | undefined; to: number; looked: number } {
    const { group, coveredTo } = watch;
    const state = this.#hub.state();
    const { bounds } = this.#hub;
    const builder = new DeltaBuilder(Math.min(bounds.catchUpPartBytesMax, bounds.partBytesMax) - envelopeBytesMax);
    let to = state.position.revision;
    let looked = 0;
    let last = coveredTo;
    for (const event of state.changes(group.namespace, group.service, coveredTo, to)) {
      if (looked >= looksMax && event.revision > last) {
        to = last;
        break;
      }
      looked++;
      last = event.revision;
      const kind = covers(group, event.name.service) ? judge(event, group.matcher) : undefined;
      if (kind === undefined) continue;
      builder.add(event, kind);
      if (builder.closed > 0) break;
    }
    const header = this.#hub.header(false);
    const [batch] = builder.closed > 0 ? [builder.firstClosed(header)] : builder.finish(to, header);
    return { batch, to: batch?.to ?? to, looked };
  }

  /** One revision is more than may wait: in another way then. */
  #tooLarge(watch: Watch): Uint8Array | undefined {
    if (isLogged(watch)) {
      watch.logMark = -Infinity;
      return undefined;
    }
    this.#host.reset(watch);
    return this.#snapshot(watch);
  }

  /** What changes from here on is to be known when it has read what it is sent. */
  #need(watch: Watch): void {
    const { logs } = this.#hub;
    const from = watch.phase === 'snapshot' ? logs.notedTo : watch.coveredTo;
    watch.neededFrom = Math.max(watch.neededFrom, from);
    if (watch.log === undefined) watch.logMark = logs.need(watch, watch.spec).noted;
  }
}

/** Every change behind where it stands is in its log. */
function isLogged(watch: Watch): watch is Watch & { readonly log: ChangeLog } {
  return watch.log !== undefined && watch.log.since <= watch.coveredTo;
}
