import { inspect } from 'node:util';

const shown = '***';

/** A value that must not be seen: however it is printed, logged or put into JSON, only stars come out. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself, for the one place that needs it. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  [inspect.custom](): string {
    return shown;
  }

  get [Symbol.toStringTag](): string {
    return 'Secret';
  }
}
