import type { Observer, SimEvent } from '../types.ts';

/** Faults that run a member on a directory that is not its own; their texts begin with its id. */
const kinds: ReadonlySet<string> = new Set(['emptied-directory', 'swapped-directory', 'old-directory']);

/**
 * Members that run on a directory that is not their own, or an old copy of it: they count as lost, and what they say
 * breaks no promise of the member whose name they bear. An observer itself: it must see each event before those that
 * ask it.
 */
export class Strangers implements Observer {
  readonly name = 'strangers';
  readonly #byFault = new Map<number, string>();

  see(event: SimEvent): void {
    if (event.kind === 'fault' && kinds.has(event.name)) {
      this.#byFault.set(event.number, event.text.split(' ', 1)[0] ?? '');
    } else if (event.kind === 'mended') this.#byFault.delete(event.number);
  }

  has(member: string): boolean {
    if (this.#byFault.size === 0) return false;
    return [...this.#byFault.values()].includes(member);
  }
}
