import { invalidField } from '../base/errors.ts';
import type { InstanceName } from '../state-machine/types.ts';
import { quoted } from './strict-decoder.ts';

/** The instances that one request names: each once, since the order of two would be a guess. */
export class UniqueNames {
  readonly #seen = new Set<string>();

  /** @throws RollcallError INVALID_FIELD with `path` where the instance was named before. */
  add(path: string, { namespace, service, id }: InstanceName): void {
    // No part may hold a slash.
    const key = `${namespace}/${service}/${id}`;
    if (this.#seen.has(key)) throw invalidField(path, `names ${quoted(key)} again, instances must differ`);
    this.#seen.add(key);
  }
}
