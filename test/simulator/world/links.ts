import type { Random } from '../../../src/base/random.ts';

/** How one direction between two hosts is now. */
interface Link {
  /** Why it carries nothing: each reason is lifted on its own. */
  readonly cuts: Set<string>;
  /** Milliseconds on top of the usual way, and how much of that varies. */
  slowMs: number;
  jitterMs: number;
}

/** What carries packets is told where a direction opens or closes. */
export interface LinkCarrier {
  cut(from: string, to: string): void;
  heal(from: string, to: string): void;
}

/** All directions between all hosts, members and clients alike. */
export class Links {
  readonly #random: Random;
  readonly #links = new Map<string, Link>();
  readonly #carriers: LinkCarrier[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  add(carrier: LinkCarrier): void {
    this.#carriers.push(carrier);
  }

  isCut(from: string, to: string): boolean {
    return (this.#links.get(`${from} ${to}`)?.cuts.size ?? 0) > 0;
  }

  /** From half a millisecond to one and a half where nothing is wrong. */
  delayMs(from: string, to: string): number {
    const base = 0.5 + this.#random.below('delay', 1_000) / 1_000;
    const link = this.#links.get(`${from} ${to}`);
    if (link === undefined || link.slowMs + link.jitterMs === 0) return base;
    return base + link.slowMs + (link.jitterMs > 0 ? this.#random.below('jitter', link.jitterMs) : 0);
  }

  cut(from: string, to: string, reason: string): void {
    const link = this.#link(from, to);
    link.cuts.add(reason);
    if (link.cuts.size === 1) for (const carrier of this.#carriers) carrier.cut(from, to);
  }

  heal(from: string, to: string, reason: string): void {
    const link = this.#links.get(`${from} ${to}`);
    if (link === undefined || !link.cuts.delete(reason) || link.cuts.size > 0) return;
    for (const carrier of this.#carriers) carrier.heal(from, to);
  }

  slow(from: string, to: string, slowMs: number, jitterMs: number): void {
    Object.assign(this.#link(from, to), { slowMs, jitterMs });
  }

  #link(from: string, to: string): Link {
    const key = `${from} ${to}`;
    let link = this.#links.get(key);
    if (link === undefined) {
      link = { cuts: new Set(), slowMs: 0, jitterMs: 0 };
      this.#links.set(key, link);
    }
    return link;
  }
}
