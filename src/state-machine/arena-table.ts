import { assert } from '../base/assert.ts';
import { ServiceArena } from './service-arena.ts';

/** The arenas of all services by their numbers, so that a few bytes can name an instance: its arena and its slot. */
export class ArenaTable {
  readonly #arenas: (ServiceArena | undefined)[] = [];
  readonly #free: number[] = [];

  add(namespace: string, service: string): ServiceArena {
    const number = this.#free.pop() ?? this.#arenas.length;
    const arena = new ServiceArena(namespace, service, number);
    this.#arenas[number] = arena;
    return arena;
  }

  at(number: number): ServiceArena {
    const arena = this.#arenas[number];
    assert(arena !== undefined, () => `no arena ${number}`);
    return arena;
  }

  /** Nothing names an instance of it any more. */
  drop(arena: ServiceArena): void {
    assert(this.#arenas[arena.number] === arena, 'arena dropped twice');
    this.#arenas[arena.number] = undefined;
    this.#free.push(arena.number);
  }
}
