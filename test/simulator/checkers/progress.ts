import type { Observer, Operation, RunView, SimEvent } from '../types.ts';
import type { Ledger } from './ledger.ts';
import { printed } from './printed.ts';

/** What is asked for in the phase of liveness, or open at its beginning, is answered within this. */
export const answerMsMax = 30_000;
const lookEveryMs = 1_000;

interface Member {
  running: boolean;
  index: number;
  hash: string;
}

/** In the phase of liveness everything is answered in bounded time; in the end all members stand at the same state. */
export class Progress implements Observer {
  readonly name = 'progress';
  readonly #view: RunView;
  readonly #ledger: Ledger;
  readonly #open = new Map<number, Operation>();
  readonly #members = new Map<string, Member>();
  #livenessMs = Number.POSITIVE_INFINITY;
  #nextLookMs = 0;

  constructor(view: RunView, ledger: Ledger) {
    this.#view = view;
    this.#ledger = ledger;
  }

  see(event: SimEvent): void {
    if (event.kind === 'invoked') this.#open.set(event.operation.number, event.operation);
    else if (event.kind === 'returned') {
      this.#open.delete(event.operation.number);
      this.#checkTime(event.operation, event.operation.endMs);
    } else if (event.kind === 'client-gone') {
      for (const [number, { client }] of this.#open) if (client === event.client) this.#open.delete(number);
    } else if (event.kind === 'started') {
      this.#members.set(event.member, { running: true, index: 0, hash: this.#ledger.emptyHash });
    } else if (event.kind === 'down') this.#member(event.member).running = false;
    else if (event.kind === 'loaded' || event.kind === 'applied') {
      const member = this.#member(event.member);
      member.index = event.index;
      member.hash = event.hash;
    } else if (event.kind === 'phase' && event.phase === 'liveness') this.#livenessMs = this.#view.nowMs;
    this.#look();
  }

  atEnd(): void {
    for (const operation of this.#open.values()) this.#breach(`${printed(operation)}: is open at the end`);
    const members = [...this.#members].filter(([, { running }]) => running);
    const { index } = this.#ledger;
    const hash = this.#ledger.hashAt(index);
    for (const [id, member] of members) {
      if (member.index === index && member.hash === hash) continue;
      this.#breach(`${id} ends at index ${member.index} hash ${member.hash}, the log at ${index} hash ${hash}`);
    }
    if (members.length === 0) this.#breach('no member is running at the end');
  }

  #member(id: string): Member {
    let member = this.#members.get(id);
    if (member === undefined) this.#members.set(id, (member = { running: true, index: 0, hash: '' }));
    return member;
  }

  #look(): void {
    const { nowMs } = this.#view;
    if (nowMs < this.#livenessMs || nowMs < this.#nextLookMs) return;
    this.#nextLookMs = nowMs + lookEveryMs;
    for (const operation of this.#open.values()) this.#checkTime(operation, nowMs);
  }

  #checkTime(operation: Operation, nowMs: number): void {
    const sinceMs = Math.max(operation.startMs, this.#livenessMs);
    if (nowMs - sinceMs <= answerMsMax) return;
    const openMs = nowMs - sinceMs;
    this.#breach(`${printed(operation)}: no answer in ${openMs} ms, all is well since ${this.#livenessMs}`);
  }

  #breach(text: string): void {
    this.#view.breach(this.name, text);
  }
}
