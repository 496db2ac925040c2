import type { Observer, RunView, SimEvent } from '../types.ts';
import type { Applied, Ledger, LedgerEntry } from './ledger.ts';
import type { Strangers } from './strangers.ts';

type Loaded = Extract<SimEvent, { kind: 'loaded' }>;

/** How far one life of a member has come. */
interface Life {
  readonly life: number;
  index: number;
  revision: number;
}

/**
 * One log, one state: what any member in any life applies at an index is the same entry with the same outcome and
 * state hash; nothing is left out, repeated or taken back within a life; a loaded state is that of its index; each
 * revision is given once, and what it did agrees with a replay. Feeds the ledger, so it must see each event first.
 */
export class StateSafety implements Observer {
  readonly name = 'state-safety';
  readonly #view: RunView;
  readonly #ledger: Ledger;
  readonly #strangers: Strangers;
  readonly #lives = new Map<string, Life>();

  constructor(view: RunView, ledger: Ledger, strangers: Strangers) {
    this.#view = view;
    this.#ledger = ledger;
    this.#strangers = strangers;
  }

  see(event: SimEvent): void {
    if (event.kind === 'applied') this.#applied(event);
    else if (event.kind === 'loaded') this.#loaded(event);
  }

  #applied(applied: Applied): void {
    const { index, revision } = applied;
    const life = this.#life(applied);
    const who = `${applied.member} (life ${applied.life})`;
    // What a stranger has loaded is not told.
    const isFirst = life.index === 0 && this.#strangers.has(applied.member);
    if (index !== life.index + 1 && !isFirst) this.#breach(`${who} applied ${index} behind ${life.index}`);
    if (revision < life.revision) this.#breach(`${who} fell from revision ${life.revision} to ${revision} at ${index}`);
    life.index = index;
    life.revision = revision;
    const known = this.#ledger.entry(index);
    if (known !== undefined) this.#compare(applied, known, who);
    else if (index !== this.#ledger.index + 1) {
      this.#breach(`${who} applied ${index}, nobody has applied more than ${this.#ledger.index}`);
    } else {
      const problem = this.#ledger.add(applied, this.#view.nowMs);
      if (problem !== '') this.#breach(problem);
    }
  }

  #loaded(loaded: Loaded): void {
    const { index, revision, hash } = loaded;
    const life = this.#life(loaded);
    const who = `${loaded.member} (life ${loaded.life})`;
    if (index < life.index) this.#breach(`${who} loaded index ${index}, it had applied ${life.index}`);
    life.index = index;
    life.revision = revision;
    if (index === 0 && this.#ledger.emptyHash === '') this.#ledger.emptyHash = hash;
    if (index > this.#ledger.index) {
      this.#breach(`${who} loaded index ${index}, nobody has applied more than ${this.#ledger.index}`);
      return;
    }
    const [expectedHash, expected] = [this.#ledger.hashAt(index), this.#ledger.revisionAt(index)];
    if (hash !== expectedHash) this.#breach(`${who} loaded hash ${hash} at ${index}, applied was ${expectedHash}`);
    if (revision !== expected) {
      this.#breach(`${who} loaded revision ${revision} at ${index}, applied was ${expected}`);
    }
  }

  #life({ member, life }: { readonly member: string; readonly life: number }): Life {
    let known = this.#lives.get(member);
    if (known?.life !== life) this.#lives.set(member, (known = { life, index: 0, revision: 0 }));
    return known;
  }

  #compare(applied: Applied, known: LedgerEntry, who: string): void {
    const { index, term, hash, revision, results, events, data } = applied;
    const differ = (what: string, own: string | number, theirs: string | number): void => {
      if (own === theirs) return;
      this.#breach(`${who} applied ${index} with ${what} ${own}, ${known.member} with ${theirs}`);
    };
    differ('term', term, known.term);
    if (data !== known.data && Buffer.compare(data, known.data) !== 0) {
      this.#breach(
        `${who} applied other bytes at ${index} (${data.length}) than ${known.member} (${known.data.length})`,
      );
    }
    differ('hash', hash, known.hash);
    differ('revision', revision, known.revision);
    differ('results in number', results.length, known.results.length);
    differ('events in number', events.length, known.events);
    for (const [at, result] of results.entries()) {
      const other = known.results[at];
      if (other === undefined || other === result) continue;
      differ(`result ${at}`, `${result.kind} at ${result.revision}`, `${other.kind} at ${other.revision}`);
    }
  }

  #breach(text: string): void {
    this.#view.breach(this.name, text);
  }
}
