import type { Observer, SimEvent } from '../types.ts';

/** A hash over everything that happened, in order and with its time: equal runs have equal ones. */
export class Trace implements Observer {
  readonly name = 'trace';
  readonly #now: () => number;
  #a = 0x811c9dc5;
  #b = 0x9e3779b9;
  events = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  get hash(): string {
    return [this.#a, this.#b].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }

  see(event: SimEvent): void {
    this.events++;
    this.#number(Math.round(this.#now() * 1_000));
    this.#text(event.kind);
    if (event.kind === 'sent') this.#texts(event.from, event.message.to, event.message.kind, event.message.term);
    else if (event.kind === 'applied') this.#texts(event.member, event.hash, event.index);
    else if (event.kind === 'committed') this.#texts(event.member, event.entry.hash);
    else if (event.kind === 'watched') this.#texts(event.step.watch, event.step.to, event.step.kind);
    else if (event.kind === 'fault') this.#texts(event.text);
    else if (event.kind === 'down') this.#texts(event.member, event.reason);
    else if (event.kind === 'role') this.#texts(event.member, event.role, event.leader, event.term);
    else if (event.kind === 'invoked' || event.kind === 'returned') {
      const { number, outcome, action } = event.operation;
      this.#texts(number, outcome?.kind ?? action.kind);
    }
  }

  #texts(...parts: readonly (string | number)[]): void {
    for (const part of parts) {
      if (typeof part === 'string') this.#text(part);
      else this.#number(part);
    }
  }

  #text(text: string): void {
    for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i));
  }

  #number(value: number): void {
    this.#mix(value | 0);
    this.#mix((value / 4_294_967_296) | 0);
  }

  #mix(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x01000193);
    this.#b = Math.imul(this.#b ^ (this.#b >>> 15) ^ word, 0x85ebca6b);
  }
}
