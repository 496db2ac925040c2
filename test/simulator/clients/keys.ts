import { must } from '../../../src/base/assert.ts';
import type { InstanceInput, InstanceKey } from '../../../src/client/types.ts';
import type { KeyText } from '../types.ts';
import type { Draw } from './draw.ts';

/** Services that clients fight over, and how many ids each has. */
const contended = [
  { service: 'shop', ids: 6 },
  { service: 'cart', ids: 3 },
] as const;

export const privateService = 'own';
export const services: readonly string[] = [...contended.map(({ service }) => service), privateService];
/** What some instances carry, and some watches and reads ask for. */
export const tag = 'blue';

/** An outcome that stays open doubles what a search for an order must try: then the id is used no more. */
const unknownMax = 2;

/**
 * Which instances clients use: a few that all of them fight over, and some of each client's own. An id with too many
 * outcomes that nobody knows retires, and another one takes its place.
 */
export class KeySpace {
  readonly #slots = contended.flatMap(({ service, ids }) =>
    Array.from({ length: ids }, (_, n) => ({ service, n, generation: 0 })),
  );
  readonly #unknown = new Map<KeyText, number>();
  readonly #incarnations = new Map<KeyText, number>();

  /** One of those that everybody uses, or with `own` mostly of this client's own. */
  pick(draw: Draw, host: string, own: boolean = false): KeyText {
    if (draw.chance(own ? 0.6 : 0.2)) return keyText(privateService, `${host}-${draw.below(4)}`);
    const { service, n, generation } = must(this.#slots[draw.below(this.#slots.length)], 'slot of a key');
    return keyText(service, generation === 0 ? `i${n}` : `i${n}.${generation}`);
  }

  /** The newest incarnation that any client has heard of; undefined where none was. */
  incarnationOf(key: KeyText): number | undefined {
    return this.#incarnations.get(key);
  }

  heard(key: KeyText, incarnation: number): void {
    if (incarnation > (this.#incarnations.get(key) ?? 0)) this.#incarnations.set(key, incarnation);
  }

  unknown(key: KeyText): void {
    const count = (this.#unknown.get(key) ?? 0) + 1;
    this.#unknown.set(key, count);
    if (count < unknownMax) return;
    for (const slot of this.#slots) {
      const { service, n, generation } = slot;
      if (key === keyText(service, generation === 0 ? `i${n}` : `i${n}.${generation}`)) slot.generation += 1;
    }
  }
}

function keyText(service: string, id: string): KeyText {
  return `default/${service}/${id}`;
}

export function keyOf(key: KeyText): Required<InstanceKey> {
  const [namespace = '', service = '', id = ''] = key.split('/');
  return { namespace, service, id };
}

/** The instance that carries a value. */
export function instanceOf(key: KeyText, value: number): InstanceInput {
  return {
    ...keyOf(key),
    endpoints: [{ name: 'main', protocol: 'grpc', address: '10.0.0.1', port: 1 + (value % 60_000) }],
    metadata: { v: String(value) },
    tags: value % 3 === 0 ? [tag] : [],
  };
}
