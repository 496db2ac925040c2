import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;
type LookUp = (host: string, callback: (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void) => void;

/**
 * Lookups of names for sockets, one of each name at a time: who asks meanwhile gets the same answer. A lookup cannot be
 * cancelled and holds one of the few threads that file syncs need as well; where names are answered slowly, probe after
 * probe must not take them all.
 */
export class SharedLookups {
  readonly #lookUp: LookUp;
  readonly #waiting = new Map<string, LookupCallback[]>();

  /** @param lookUp Default: that of the system. */
  constructor(lookUp: LookUp = (host, callback) => lookup(host, { all: true }, callback)) {
    this.#lookUp = lookUp;
  }

  /** Fit for the option `lookup` of a socket. */
  readonly lookup = (host: string, options: LookupOptions, callback: LookupCallback): void => {
    const answer: LookupCallback = (error, found) => {
      if (error !== null || options.all === true) return callback(error, found);
      const [first] = found as LookupAddress[];
      callback(null, first?.address ?? '', first?.family);
    };
    const waiting = this.#waiting.get(host);
    if (waiting !== undefined) {
      waiting.push(answer);
      return;
    }
    this.#waiting.set(host, [answer]);
    this.#lookUp(host, (error, found) => {
      const all = this.#waiting.get(host) ?? [];
      this.#waiting.delete(host);
      for (const one of all) one(error, found);
    });
  };
}
