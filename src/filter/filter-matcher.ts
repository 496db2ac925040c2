import { WireReader } from '../base/wire-reader.ts';
import type { Needles } from './needles.ts';
import type { ViewMatcher } from './types.ts';
import { parseVersion } from './version.ts';
import type { VersionRange } from './version-range.ts';
import { isInRange } from './version-range.ts';

/** A filter with its texts as bytes. Alternatives of which there are none, or undefined, ask for nothing. */
export interface CompiledFilter {
  readonly key: string;
  /** At most 31: each is a bit. */
  readonly tags: Needles;
  /** The conditions on metadata, at most 31: which values are meant, undefined for all. */
  readonly metadata: readonly (Needles | undefined)[];
  readonly keys: Needles;
  /** By the place of a key: which conditions are on it. */
  readonly conditionsOfKey: readonly (readonly number[])[];
  readonly range: VersionRange | undefined;
  readonly zones: Needles;
  readonly regions: Needles;
  /** Numbers of rollcall.v1.InstanceStatus. */
  readonly statuses: readonly number[];
}

// Numbers of the fields in proto/rollcall/v1/instance.proto.
const viewSpec = 1;
const specVersion = 5;
const specTags = 7;
const specMetadata = 8;
const specLocality = 9;
const specStatus = 10;
const localityRegion = 1;
const localityZone = 2;
const pairKey = 1;
const pairValue = 2;
const statusUp = 2;
/** Distinct versions whose verdict is remembered; most services run a few. */
const versionsKeptMax = 64;

/**
 * Judges one view in one pass over its spec, without a string or a copy but for the version. Views were decoded
 * strictly when they came in: no singular field and no key of the metadata is there twice.
 */
export class FilterMatcher implements ViewMatcher {
  readonly key: string;
  readonly #filter: CompiledFilter;
  readonly #allTags: number;
  readonly #allConditions: number;
  readonly #asksLocality: boolean;
  /** Verdicts by version: reading one costs more than all the rest. */
  readonly #versions = new Map<string, boolean>();

  constructor(filter: CompiledFilter) {
    this.key = filter.key;
    this.#filter = filter;
    this.#allTags = 2 ** filter.tags.size - 1;
    this.#allConditions = 2 ** filter.metadata.length - 1;
    this.#asksLocality = filter.zones.size > 0 || filter.regions.size > 0;
  }

  matches(view: Uint8Array): boolean {
    const outer = new WireReader(view);
    while (outer.next()) {
      if (outer.field === viewSpec) return this.#matchesSpec(outer.message(), view);
      outer.skip();
    }
    return false;
  }

  #matchesSpec(spec: WireReader, view: Uint8Array): boolean {
    const { range, statuses } = this.#filter;
    let tagsFound = 0;
    let conditionsMet = 0;
    let inRange = range === undefined;
    let inLocality = !this.#asksLocality;
    let status = 0;
    while (spec.next()) {
      switch (spec.field) {
        case specVersion:
          if (inRange) spec.skip();
          else if (this.#isVersionMeant(spec.string())) inRange = true;
          else return false;
          break;
        case specTags:
          if (tagsFound === this.#allTags) spec.skip();
          else tagsFound |= this.#tagBit(spec, view);
          break;
        case specMetadata:
          if (conditionsMet === this.#allConditions) spec.skip();
          else conditionsMet |= this.#conditionBits(spec.message(), view);
          break;
        case specLocality:
          if (inLocality) spec.skip();
          else if (this.#isLocalityMeant(spec.message(), view)) inLocality = true;
          else return false;
          break;
        case specStatus:
          status = spec.uint();
          break;
        default:
          spec.skip();
      }
    }
    if (!inRange || !inLocality) return false;
    if (tagsFound !== this.#allTags || conditionsMet !== this.#allConditions) return false;
    return statuses.length === 0 || statuses.includes(status === 0 ? statusUp : status);
  }

  #isVersionMeant(text: string): boolean {
    const known = this.#versions.get(text);
    if (known !== undefined) return known;
    const { range } = this.#filter;
    const version = parseVersion(text);
    const meant = range === undefined || (version !== undefined && isInRange(version, range));
    if (this.#versions.size >= versionsKeptMax) this.#versions.clear();
    this.#versions.set(text, meant);
    return meant;
  }

  #isLocalityMeant(locality: WireReader, view: Uint8Array): boolean {
    const { zones, regions } = this.#filter;
    let inZone = zones.size === 0;
    let inRegion = regions.size === 0;
    while (locality.next()) {
      const { field } = locality;
      const start = skipToBytes(locality);
      if (field === localityZone && !inZone) inZone = zones.has(view, start, locality.offset);
      if (field === localityRegion && !inRegion) inRegion = regions.has(view, start, locality.offset);
    }
    return inZone && inRegion;
  }

  #tagBit(spec: WireReader, view: Uint8Array): number {
    const start = skipToBytes(spec);
    const place = this.#filter.tags.placeOf(view, start, spec.offset);
    return place === -1 ? 0 : 1 << place;
  }

  /** Key and value of one pair, in whatever order they are; one that is empty may be left out. */
  #conditionBits(pair: WireReader, view: Uint8Array): number {
    let [keyStart, keyEnd, valueStart, valueEnd] = [0, 0, 0, 0];
    while (pair.next()) {
      const { field } = pair;
      const start = skipToBytes(pair);
      if (field === pairKey) [keyStart, keyEnd] = [start, pair.offset];
      else if (field === pairValue) [valueStart, valueEnd] = [start, pair.offset];
    }
    const { keys, conditionsOfKey, metadata } = this.#filter;
    let bits = 0;
    for (const i of conditionsOfKey[keys.placeOf(view, keyStart, keyEnd)] ?? none) {
      if (metadata[i]?.has(view, valueStart, valueEnd) !== false) bits |= 1 << i;
    }
    return bits;
  }
}

const none: readonly number[] = [];

/**
 * Passes over a field and returns where its bytes begin; they end at the reader's offset. Of a field of another wire
 * type the answer means nothing.
 */
function skipToBytes(reader: WireReader): number {
  const before = reader.offset;
  reader.skip();
  const length = reader.offset - before;
  // The length in front takes one byte more for each 7 bits.
  if (length <= 128) return before + 1;
  if (length <= 16_385) return before + 2;
  return before + 3;
}
