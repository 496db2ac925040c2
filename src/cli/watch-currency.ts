import { clientLimits } from '../client/limits.ts';

/** A leader is elected, or another member found, in less: what takes longer is worth a word. */
const oldMs = clientLimits.watchAgeMsMax + clientLimits.progressIntervalMs;

/**
 * Tells once that what a watch has shown may be old, and once that it is current again. A registry that is away, and a
 * member without a leader, say nothing by themselves. Times are monotonic, ms.
 */
export class Currency {
  readonly #tell: (text: string) => void;
  /** Everything that was acknowledged until then is shown. */
  #confirmedMs = Number.POSITIVE_INFINITY;
  #told = false;

  constructor(tell: (text: string) => void) {
    this.#tell = tell;
  }

  /** A batch of this age came, also one without changes. */
  confirmed(ageMs: number, revision: number, nowMs: number): void {
    // A member that heard no leader since its start cannot say when.
    this.#confirmedMs = ageMs === Number.MAX_SAFE_INTEGER ? Number.NEGATIVE_INFINITY : nowMs - ageMs;
    this.look(nowMs);
    if (!this.#told || this.#isOld(nowMs)) return;
    this.#told = false;
    this.#tell(`what is shown is current again, at revision ${revision}`);
  }

  /** To be called again and again: that nothing comes is no event. */
  look(nowMs: number): void {
    if (this.#told || !this.#isOld(nowMs)) return;
    this.#told = true;
    if (this.#confirmedMs === Number.NEGATIVE_INFINITY) {
      this.#tell('what is shown may be old: the member has heard no leader since it started');
      return;
    }
    const since = new Date(Date.now() - (nowMs - this.#confirmedMs)).toISOString().replace(/\.\d+/, '');
    this.#tell(`what is shown may be old: the registry has not confirmed it since ${since}`);
  }

  #isOld(nowMs: number): boolean {
    return nowMs - this.#confirmedMs > oldMs;
  }
}
