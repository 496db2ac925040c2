import { must } from '../base/assert.ts';

/**
 * A set of texts to be looked for in encoded messages, as the bytes that they are there. A search compares with few of
 * them, whatever they are: what a filter costs is bounded by the bytes that it judges.
 */
export class Needles {
  /** Shorter ones first, equally long ones by their bytes. */
  readonly #sorted: readonly Uint8Array[];

  /** @param texts Distinct. */
  constructor(texts: readonly string[]) {
    const encoder = new TextEncoder();
    this.#sorted = texts.map((text) => encoder.encode(text)).sort((a, b) => order(a, b, 0, b.length));
  }

  get size(): number {
    return this.#sorted.length;
  }

  /** Which of them the bytes of `view` in [start, end) are, -1 for none. Places do not depend on the order given. */
  placeOf(view: Uint8Array, start: number, end: number): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const compared = order(this.#sorted[middle] as Uint8Array, view, start, end);
      if (compared === 0) return middle;
      if (compared < 0) low = middle + 1;
      else high = middle;
    }
    return -1;
  }

  /** The place of one of the texts given. */
  placeOfText(text: string): number {
    const bytes = new TextEncoder().encode(text);
    const place = this.placeOf(bytes, 0, bytes.length);
    return must(place === -1 ? undefined : place, 'a text of the set');
  }

  has(view: Uint8Array, start: number, end: number): boolean {
    return this.placeOf(view, start, end) !== -1;
  }
}

function order(needle: Uint8Array, view: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (needle.length !== length) return needle.length - length;
  for (let i = 0; i < length; i++) {
    const difference = (needle[i] as number) - (view[start + i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}
