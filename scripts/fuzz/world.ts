import type { CorpusEntry, Target, World } from './cases.ts';
import { FuzzConnection } from './connection.ts';
import type { FuzzMethods } from './proto-methods.ts';
import { loadMethods } from './proto-methods.ts';

/** A member cuts a connection after a thousand quick resets: long before, another takes its place. */
const leftPerConnectionMax = 300;
const connectionsPerMember = 2;

/** The members under test, and the connections to them that are kept. */
export class FuzzWorld implements World {
  readonly targets: readonly Target[];
  readonly methods: FuzzMethods;
  readonly corpus: readonly CorpusEntry[];
  readonly #kept = new Map<Target, FuzzConnection[]>();
  readonly #left = new Map<Target, { connection: FuzzConnection; calls: number }>();
  readonly #peers = new Map<Target, FuzzConnection>();
  readonly #retired = new Set<FuzzConnection>();
  #turn = 0;

  constructor(targets: readonly Target[], corpus: readonly CorpusEntry[]) {
    this.targets = targets;
    this.methods = loadMethods();
    this.corpus = corpus;
    for (const target of targets) {
      this.#kept.set(
        target,
        Array.from({ length: connectionsPerMember }, () => new FuzzConnection(target.client)),
      );
      this.#peers.set(target, new FuzzConnection(target.peer));
    }
  }

  /** Kept connections that a member has closed. */
  get lost(): number {
    return [...this.#kept.values()].flat().reduce((sum, { lost }) => sum + lost, 0);
  }

  kept(target: Target): FuzzConnection {
    const connections = this.#kept.get(target) ?? [];
    const connection = connections[this.#turn++ % connections.length];
    if (connection === undefined) throw new Error('no connection to this member');
    return connection;
  }

  left(target: Target): FuzzConnection {
    let known = this.#left.get(target);
    if (known === undefined || known.calls >= leftPerConnectionMax) {
      if (known !== undefined) this.#retire(known.connection);
      known = { connection: new FuzzConnection(target.client), calls: 0 };
      this.#left.set(target, known);
    }
    known.calls++;
    return known.connection;
  }

  peer(target: Target): FuzzConnection {
    const connection = this.#peers.get(target);
    if (connection === undefined) throw new Error('no connection to this peer port');
    return connection;
  }

  close(): void {
    const all = [
      ...[...this.#kept.values()].flat(),
      ...[...this.#left.values()].map(({ connection }) => connection),
      ...this.#peers.values(),
      ...this.#retired,
    ];
    for (const connection of all) connection.close();
  }

  /** Calls that run over it end first. */
  #retire(connection: FuzzConnection): void {
    this.#retired.add(connection);
    connection.retire(() => this.#retired.delete(connection));
  }
}
