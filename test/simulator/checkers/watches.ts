import { unreachable } from '../../../src/base/assert.ts';
import type { Observer, RunView, SimEvent, WatchStep } from '../types.ts';
import type { Horizon } from './horizon.ts';
import { type Change, inScope, type Ledger } from './ledger.ts';
import { answerMsMax } from './progress.ts';
import { hasTag, isSame, type LedgerInstance, shown } from './views.ts';

type StepEvent = WatchStep['events'][number];

/** Where histories and queues reach back at least; below it a reset may be right. */
export interface ResetBounds {
  /** Revisions behind the last one that every member keeps. */
  readonly historyRevisionsMin: number;
  /** A watcher may be behind by so many events before its client gives up to hold them. */
  readonly queuedEventsMin: number;
  /** One revision may have so many events before it is too large to wait. */
  readonly revisionEventsMin: number;
}

export const defaultResetBounds: ResetBounds = {
  historyRevisionsMin: 100_000,
  queuedEventsMin: 5_000,
  revisionEventsMin: 200,
};

interface Watch {
  readonly client: string;
  /** As of the last step, or the resume point. */
  to: number;
  /** At which event that was told. */
  lastEvent: number;
  /** It begins with a snapshot. */
  fresh: boolean;
  ended: boolean;
  readonly openedMs: number;
  /** What somebody knew when it was opened. */
  readonly known: number;
  last: WatchStep | undefined;
}

/** What a change is to a watch. */
interface Told {
  readonly kind: 'put' | 'delete' | 'leaves';
  readonly change: Change;
}

/**
 * Every watch against the log: it begins with all that was there, goes on without gap or repeat from where it stood,
 * also on another member; plain batches say each change at its revision, coalesced ones each changed instance once;
 * what leaves the filter is told; marks of progress hide nothing; and in the end each has been told everything.
 */
export class Watches implements Observer {
  readonly name = 'watches';
  readonly #view: RunView;
  readonly #ledger: Ledger;
  readonly #horizon: Horizon;
  readonly #bounds: ResetBounds;
  readonly #watches = new Map<number, Watch>();
  /** At which event each member took its state from disk or from another, last. */
  readonly #loadedAt = new Map<string, number>();
  #events = 0;

  constructor(view: RunView, ledger: Ledger, horizon: Horizon, bounds: ResetBounds) {
    this.#view = view;
    this.#ledger = ledger;
    this.#horizon = horizon;
    this.#bounds = bounds;
  }

  see(event: SimEvent): void {
    this.#events++;
    if (event.kind === 'watched') this.#watched(event.step);
    else if (event.kind === 'loaded') this.#loadedAt.set(event.member, this.#events);
    else if (event.kind === 'watch-opened') this.#opened(event.watch, event.client, event.since);
    else if (event.kind === 'watch-ended') {
      const watch = this.#watches.get(event.watch);
      if (watch !== undefined) watch.ended = true;
    } else if (event.kind === 'client-gone') {
      for (const [number, { client }] of this.#watches) if (client === event.client) this.#watches.delete(number);
    }
  }

  atEnd(): void {
    const { revision } = this.#ledger;
    for (const [number, { client, ended, last, to, openedMs }] of this.#watches) {
      if (ended) continue;
      if (last === undefined) {
        // With a resume point there may have been nothing to tell.
        if (to > 0 || this.#view.nowMs - openedMs <= answerMsMax) continue;
        this.#view.breach(this.name, `watch ${number} of ${client}, opened at ${openedMs}, was never told anything`);
        continue;
      }
      const [missed] = this.#changes(last, to, revision);
      if (missed === undefined) continue;
      this.#breach(last, `ends at ${to}, it was never told of ${shownTold(missed)}; the log ends at ${revision}`);
    }
  }

  #opened(number: number, client: string, since: number): void {
    const watch = this.#watches.get(number);
    const fresh = since === 0;
    if (watch === undefined) {
      const openedMs = this.#view.nowMs;
      this.#watches.set(number, {
        client,
        to: since,
        fresh,
        ended: false,
        openedMs,
        known: this.#horizon.revision,
        lastEvent: this.#events,
        last: undefined,
      });
      return;
    }
    watch.ended = false;
    watch.fresh = fresh;
    if (fresh || since === watch.to) return;
    if (watch.last !== undefined) this.#breach(watch.last, `goes on from ${since}, it stood at ${watch.to}`);
    watch.to = since;
  }

  #watched(step: WatchStep): void {
    const watch = this.#watches.get(step.watch);
    if (watch === undefined || watch.ended) {
      this.#breach(step, watch === undefined ? 'was never opened' : 'was told more after its end');
      return;
    }
    const { from, to, ageMs } = step;
    if (to > this.#ledger.revision) {
      this.#breach(step, `is at a revision that nobody has applied, the last is ${this.#ledger.revision}`);
    }
    if (!(ageMs >= 0)) this.#breach(step, `states an age of ${ageMs} ms`);
    if (to < watch.to) this.#breach(step, `falls behind ${watch.to}`);
    switch (step.kind) {
      case 'snapshot':
        // One that is linearizable states no age.
        if (watch.last === undefined && ageMs === 0 && to < watch.known) {
          this.#breach(step, `is linearizable, ${watch.known} was known when it was opened`);
        }
        if (watch.last === undefined && ageMs > 0) this.#checkAge(step, watch);
        if (!watch.fresh) this.#breach(step, `is a snapshot of a watch that stood at ${watch.to}`);
        this.#checkWhole(step);
        break;
      case 'reset':
        // One that begins anew is told as a reset, since it replaces what was there.
        // At revision 0 there is nothing to go on from.
        if (!watch.fresh && watch.to > 0) this.#checkResetAllowed(step, watch);
        else if (watch.fresh && watch.last === undefined) this.#breach(step, 'is a reset where a snapshot was to come');
        this.#checkWhole(step);
        break;
      case 'delta':
      case 'progress':
        if (watch.fresh) this.#breach(step, 'comes before the snapshot');
        else if (from !== watch.to) this.#breach(step, `does not go on from ${watch.to}`);
        this.#checkDelta(step);
        break;
      default:
        unreachable(step.kind);
    }
    watch.to = to;
    watch.lastEvent = this.#events;
    watch.fresh = false;
    watch.last = step;
  }

  /** It was made at some time behind the opening: no older than its age as of then, by the slowest clock. */
  #checkAge(step: WatchStep, { openedMs }: Watch): void {
    const known = this.#horizon.before(openedMs - step.ageMs / this.#view.clockRateMin);
    if (step.to >= known) return;
    this.#breach(
      step,
      `says an age of ${step.ageMs} ms, ${known} was known longer before it was opened at ${openedMs}`,
    );
  }

  #checkDelta(step: WatchStep): void {
    const { from, to, kind, events, coalesced } = step;
    const changes = this.#changes(step, from, to);
    if (kind === 'progress') {
      const [missed] = changes;
      if (events.length > 0) this.#breach(step, `is a mark of progress with ${events.length} events`);
      if (missed !== undefined) this.#breach(step, `hides ${shownTold(missed)}`);
      return;
    }
    if (to <= from) this.#breach(step, 'has no revision in it');
    if (coalesced) this.#checkCoalesced(step);
    else this.#checkPlain(step, changes);
  }

  #checkPlain(step: WatchStep, changes: readonly Told[]): void {
    const { events } = step;
    for (let i = 0; i < Math.max(events.length, changes.length); i++) {
      const [event, told] = [events[i], changes[i]];
      if (event === undefined || told === undefined || !isToldBy(event, told)) {
        this.#breach(step, `event ${i} is ${shownEvent(event)}, the log has ${shownTold(told)}`);
        return;
      }
      if (event.kind === 'put') this.#checkTag(step, event, told.change.after);
    }
  }

  /** Each instance once, as of the end; each that differs from what was held is there. */
  #checkCoalesced(step: WatchStep): void {
    const { from, to, events, tag } = step;
    const changed = new Set<string>();
    for (const { key } of this.#ledger.changesIn(from, to)) if (inScope(step, key)) changed.add(key);
    const named = new Set<string>();
    for (const event of events) {
      const key = keyOf(event);
      if (named.has(key)) this.#breach(step, `names ${key} twice`);
      named.add(key);
      if (!changed.has(key)) this.#breach(step, `names ${key}, which has not changed`);
      const there = this.#ledger.at(key, to);
      if (event.kind === 'put') {
        this.#checkPut(step, event, there);
        continue;
      }
      const isGone = event.kind === 'delete' ? there === undefined : there !== undefined && !hasTag(there, tag);
      if (!isGone) this.#breach(step, `says that ${key} ${event.kind}, it is ${shown(there)}`);
    }
    for (const key of changed) {
      if (named.has(key)) continue;
      const [before, after] = [this.#ledger.at(key, from), this.#ledger.at(key, to)];
      if (!hasTag(before, tag) && !hasTag(after, tag)) continue;
      if (isSame(before, after)) continue;
      this.#breach(step, `does not name ${key}, which went from ${shown(before)} to ${shown(after)}`);
    }
  }

  /** A snapshot or reset: exactly what is there, each once. */
  #checkWhole(step: WatchStep): void {
    const { to, events } = step;
    const expected = this.#ledger.scopeAt(step, to);
    const named = new Set<string>();
    for (const event of events) {
      const key = keyOf(event);
      if (event.kind !== 'put') this.#breach(step, `has ${event.kind} of ${key}`);
      else this.#checkPut(step, event, expected.get(key));
      if (named.has(key)) this.#breach(step, `names ${key} twice`);
      named.add(key);
    }
    for (const [key, there] of expected) {
      if (!named.has(key)) this.#breach(step, `does not name ${key}, which is ${shown(there)}`);
    }
  }

  #checkPut(step: WatchStep, event: Extract<StepEvent, { kind: 'put' }>, there: LedgerInstance | undefined): void {
    const { instance, revision } = event;
    if (!isSame(there, instance)) {
      this.#breach(step, `says that ${instance.key} is ${shown(instance)}, it is ${shown(there)}`);
    }
    if (revision !== instance.modifyRevision) this.#breach(step, `puts ${shown(instance)} at revision ${revision}`);
    this.#checkTag(step, event, there);
  }

  #checkTag(step: WatchStep, { tagged, instance }: Extract<StepEvent, { kind: 'put' }>, there?: LedgerInstance): void {
    if (step.tag === '' || (tagged && hasTag(there, step.tag))) return;
    this.#breach(step, `puts ${instance.key} ${shown(there)}, which is without the tag ${step.tag}`);
  }

  #checkResetAllowed(step: WatchStep, { to: from, lastEvent }: Watch): void {
    // A state that was replaced as a whole has no history of how it came there.
    if ((this.#loadedAt.get(step.member) ?? -1) > lastEvent) return;
    const { historyRevisionsMin, queuedEventsMin, revisionEventsMin } = this.#bounds;
    if (from < this.#ledger.revision - historyRevisionsMin) return;
    const changes = this.#ledger.changesIn(from, step.to);
    if (changes.length >= queuedEventsMin) return;
    let [revision, events] = [0, 0];
    for (const change of changes) {
      events = change.revision === revision ? events + 1 : 1;
      revision = change.revision;
      if (events >= revisionEventsMin) return;
    }
    this.#breach(step, `is a reset from ${from}, the log ends at ${this.#ledger.revision} and reaches back far enough`);
  }

  /** What the changes in (from, to] are to a watch. */
  #changes(watch: WatchStep, from: number, to: number): Told[] {
    const told: Told[] = [];
    for (const change of this.#ledger.changesIn(from, to)) {
      if (!inScope(watch, change.key)) continue;
      const { before, after } = change;
      if (hasTag(after, watch.tag)) told.push({ kind: 'put', change });
      else if (hasTag(before, watch.tag)) told.push({ kind: after === undefined ? 'delete' : 'leaves', change });
    }
    return told;
  }

  #breach({ watch, client, member, kind, coalesced, from, to, ...scope }: WatchStep, text: string): void {
    const of = scope.service === '' ? `prefix "${scope.prefix}"` : scope.service;
    const tag = scope.tag === '' ? '' : ` with ${scope.tag}`;
    const name = coalesced ? `coalesced ${kind}` : kind;
    this.#view.breach(
      this.name,
      `watch ${watch} of ${client} (${of}${tag}) on ${member}, ${name} (${from}, ${to}]: ${text}`,
    );
  }
}

function keyOf(event: StepEvent): string {
  return event.kind === 'put' ? event.instance.key : event.key;
}

function isToldBy(event: StepEvent, { kind, change }: Told): boolean {
  if (event.kind !== kind || event.revision !== change.revision) return false;
  return event.kind === 'put' ? isSame(change.after, event.instance) : event.key === change.key;
}

function shownEvent(event: StepEvent | undefined): string {
  if (event === undefined) return 'missing';
  const what = event.kind === 'put' ? ` ${shown(event.instance)}` : '';
  return `${event.kind} ${keyOf(event)}${what} at ${event.revision}`;
}

function shownTold(told: Told | undefined): string {
  if (told === undefined) return 'nothing more';
  const { kind, change } = told;
  return `${kind} ${change.key} ${shown(change.after)} at ${change.revision}`;
}
