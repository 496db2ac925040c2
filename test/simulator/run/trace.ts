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
    switch (event.kind) {
      case 'sent':
        this.#text(`${event.from}${event.message.to}${event.message.kind}`);
        this.#number(event.message.term);
        return;
      case 'applied':
        this.#text(event.member + event.hash);
        this.#number(event.index);
        return;
      case 'committed':
        this.#text(event.member + event.entry.hash);
        return;
      case 'invoked':
      case 'returned':
        this.#number(event.operation.number);
        this.#text(event.operation.outcome?.kind ?? event.operation.action.kind);
        return;
      case 'watched':
        this.#number(event.step.watch);
        this.#number(event.step.to);
        this.#text(event.step.kind);
        return;
      case 'fault':
      case 'down':
        this.#text(event.kind === 'down' ? event.member + event.reason : event.text);
        return;
      case 'role':
        this.#text(event.member + event.role + event.leader);
        this.#number(event.term);
        return;
      default:
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
