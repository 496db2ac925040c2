import type { HeldBySession, Observer, RunView, SimEvent } from '../types.ts';
import type { Ledger } from './ledger.ts';
import { shown } from './views.ts';

/**
 * When all is quiet each session that goes on is live, and knows exactly what it holds: what it lost it was told of,
 * what ended with a session before it has brought back, and nothing stands under its lease that it does not know.
 */
export class Holdings implements Observer {
  readonly name = 'holdings';
  readonly #view: RunView;
  readonly #ledger: Ledger;

  constructor(view: RunView, ledger: Ledger) {
    this.#view = view;
    this.#ledger = ledger;
  }

  see(event: SimEvent): void {
    if (event.kind === 'holds') this.#look(event.client, event.held);
  }

  #look(client: string, { sessionId, state, instances }: HeldBySession): void {
    const who = `session ${sessionId} of ${client}`;
    if (state !== 'live') {
      this.#view.breach(this.name, `${who} is ${state} though all is quiet`);
      return;
    }
    const { revision, leases } = this.#ledger;
    for (const { key, incarnation } of instances) {
      const there = this.#ledger.at(key, revision);
      if (there?.incarnation === incarnation && there.leaseId === sessionId) continue;
      this.#view.breach(this.name, `${who} believes to hold ${key} as incarnation ${incarnation}: ${shown(there)}`);
    }
    const known = new Set(instances.map(({ key }) => key));
    for (const key of leases.get(sessionId)?.keys ?? []) {
      if (known.has(key)) continue;
      const there = shown(this.#ledger.at(key, revision));
      this.#view.breach(this.name, `${who} does not know that it holds ${key}: ${there}`);
    }
  }
}
