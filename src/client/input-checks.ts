import { ClientError } from './client-error.ts';
import type { InstanceFilter, MetadataCondition } from './types.ts';

// What a client refuses before it sends. The members check everything, and again.

const nameBytesMax = 128;
const idBytesMax = 256;
const tagBytesMax = 128;
const localityBytesMax = 64;
const metadataKeyBytesMax = 128;
const metadataBytesMax = 8 * 1024;
const versionRangeBytesMax = 256;
/** Of each list of a filter; statuses are as many as there are. */
const filterListMax = 16;
const statusesMax = 4;

/** A namespace or service; empty where it has a default. */
export function checkName(field: string, name: string): void {
  if (name.length > nameBytesMax || !/^[a-z0-9.-]*$/.test(name)) {
    throw ClientError.invalidField(field, `is "${name}", allowed are at most ${nameBytesMax} of a-z, 0-9, "-" and "."`);
  }
}

export function checkInstanceId(field: string, id: string): void {
  if (id === '' || id.length > idBytesMax || !/^[!#-.0-~]*$/.test(id)) {
    const allowed = `1 to ${idBytesMax} printable ASCII characters without space, "/" and '"'`;
    throw ClientError.invalidField(field, `is "${id}", allowed are ${allowed}`);
  }
}

export function checkWithin(field: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw ClientError.invalidField(field, `is ${value}, allowed is ${min} to ${max}`);
}

/** All that can be told without knowing how version ranges are written, which the members do. */
export function checkFilter(filter: InstanceFilter): void {
  const { tags = [], metadata = [], versionRange = '', zones = [], regions = [], statuses = [] } = filter;
  checkTexts('filter.tags', tags, tagBytesMax);
  checkTexts('filter.zones', zones, localityBytesMax);
  checkTexts('filter.regions', regions, localityBytesMax);
  checkBytes('filter.versionRange', versionRange, versionRangeBytesMax);
  checkWithin('filter.statuses.length', statuses.length, 0, statusesMax);
  checkWithin('filter.metadata.length', metadata.length, 0, filterListMax);
  for (const [i, condition] of metadata.entries()) checkCondition(`filter.metadata[${i}]`, condition);
}

function checkCondition(path: string, condition: MetadataCondition): void {
  if (condition.key === '') throw ClientError.invalidField(`${path}.key`, 'is empty');
  checkBytes(`${path}.key`, condition.key, metadataKeyBytesMax);
  if ('equals' in condition) {
    checkBytes(`${path}.equals`, condition.equals, metadataBytesMax);
  } else if ('in' in condition) {
    checkWithin(`${path}.in.length`, condition.in.length, 1, filterListMax);
    for (const value of condition.in) checkBytes(`${path}.in`, value, metadataBytesMax);
  }
}

function checkTexts(field: string, texts: readonly string[], bytesMax: number): void {
  checkWithin(`${field}.length`, texts.length, 0, filterListMax);
  for (const text of texts) {
    if (text === '') throw ClientError.invalidField(field, 'holds an empty text');
    checkBytes(field, text, bytesMax);
  }
}

function checkBytes(field: string, text: string, bytesMax: number): void {
  const bytes = Buffer.byteLength(text, 'utf8');
  if (bytes > bytesMax) throw ClientError.invalidField(field, `has ${bytes} bytes, allowed are at most ${bytesMax}`);
}
