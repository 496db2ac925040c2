import { invalidField } from '../base/errors.ts';
import type { InstanceName } from '../state-machine/types.ts';
import { apiBounds } from './bounds.ts';
import {
  checkAddress,
  checkBytesMax,
  checkNotEmpty,
  checkEndpointName,
  checkInstanceId,
  checkProtocol,
  checkRange,
  checkService,
  checkedNamespace,
} from './field-checks.ts';
import type { Decoded } from './message-table.ts';
import { instanceSpecTable } from './message-table.ts';
import { decodeStrictly, joinPath, quoted } from './strict-decoder.ts';
import type { CheckedSpec } from './types.ts';

type SpecMessage = Decoded<typeof instanceSpecTable>;

/**
 * Decodes an InstanceSpec once and for all: strictly, and every field within its bounds. What it answers holds a copy
 * of the bytes as the client sent them.
 *
 * @param path Where the spec stands in its request; the first part of the fields in errors.
 * @throws RollcallError INVALID_FIELD or MALFORMED_MESSAGE
 */
export function checkSpec(bytes: Uint8Array, path = 'instance'): CheckedSpec {
  return checkedSpec(decodeStrictly(instanceSpecTable, bytes, path), path);
}

/** The same for a spec inside a request that was decoded already; `path` is also the field that may be missing. */
export function checkedSpec(spec: SpecMessage | undefined, path: string): CheckedSpec {
  if (spec === undefined) throw invalidField(path, 'is missing, it is required');
  const { values, bytes, unknownFields } = spec;
  if (bytes.length > apiBounds.specBytesMax) {
    throw invalidField(path, `has ${bytes.length} bytes, allowed are at most ${apiBounds.specBytesMax}`);
  }
  const name = checkedName(values, path);
  checkEndpoints(spec, joinPath(path, 'endpoints'));
  checkBytesMax(joinPath(path, 'version'), values.version, apiBounds.versionBytesMax);
  checkRange(joinPath(path, 'weight'), values.weight ?? 0, 0, apiBounds.weightMax);
  checkTags(values.tags, joinPath(path, 'tags'));
  checkMetadata(values.metadata, joinPath(path, 'metadata'));
  if (values.locality !== undefined) {
    const { region, zone } = values.locality.values;
    checkBytesMax(joinPath(path, 'locality.region'), region, apiBounds.localityBytesMax);
    checkBytesMax(joinPath(path, 'locality.zone'), zone, apiBounds.localityBytesMax);
  }
  // A new array: a small Buffer is a part of a shared pool, and the request's would be kept alive as a whole.
  return { name, bytes: new Uint8Array(bytes), unknownFields };
}

/** Namespace, service and id, of a spec or of a key. */
export function checkedName(
  values: { readonly namespace: string; readonly service: string; readonly id: string },
  path: string,
): InstanceName {
  const namespace = checkedNamespace(joinPath(path, 'namespace'), values.namespace);
  checkService(joinPath(path, 'service'), values.service);
  checkInstanceId(joinPath(path, 'id'), values.id);
  return { namespace, service: values.service, id: values.id };
}

function checkEndpoints(spec: SpecMessage, path: string): void {
  const { endpoints } = spec.values;
  checkNotEmpty(path, endpoints.length, apiBounds.endpointsMax);
  for (const [i, { values }] of endpoints.entries()) {
    const at = `${path}[${i}]`;
    checkEndpointName(joinPath(at, 'name'), values.name);
    checkProtocol(joinPath(at, 'protocol'), values.protocol);
    checkAddress(joinPath(at, 'address'), values.address);
    checkRange(joinPath(at, 'port'), values.port, 1, apiBounds.portMax);
  }
  const repeated = repeatedAt(endpoints.map(({ values }) => values.name));
  if (repeated === -1) return;
  const name = quoted(endpoints[repeated]?.values.name ?? '');
  throw invalidField(`${path}[${repeated}].name`, `is ${name} again, names must be unique`);
}

function checkTags(tags: readonly string[], path: string): void {
  if (tags.length === 0) return;
  // The path of one that is right is never made: most of the time of a large batch would go there.
  for (let i = 0; i < tags.length; i++) {
    const tag = tags[i] as string;
    if (tag === '') throw invalidField(`${path}[${i}]`, `is empty, allowed are 1 to ${apiBounds.tagBytesMax} bytes`);
    if (tag.length * 3 > apiBounds.tagBytesMax) checkBytesMax(`${path}[${i}]`, tag, apiBounds.tagBytesMax);
  }
  const repeated = repeatedAt(tags);
  if (repeated !== -1) {
    throw invalidField(`${path}[${repeated}]`, `is ${quoted(tags[repeated] ?? '')} again, tags must differ`);
  }
}

/** Where the first text stands that was there before; -1: nowhere. */
function repeatedAt(texts: readonly string[]): number {
  if (texts.length < 2 || new Set(texts).size === texts.length) return -1;
  return texts.findIndex((text, i) => texts.indexOf(text) < i);
}

function checkMetadata(metadata: ReadonlyMap<string, string>, path: string): void {
  if (metadata.size === 0) return;
  let bytes = 0;
  let i = 0;
  for (const [key, value] of metadata) {
    if (key === '') {
      throw invalidField(`${path}[${i}].key`, `is empty, allowed are 1 to ${apiBounds.metadataKeyBytesMax} bytes`);
    }
    if (key.length * 3 > apiBounds.metadataKeyBytesMax) {
      checkBytesMax(`${path}[${i}].key`, key, apiBounds.metadataKeyBytesMax);
    }
    bytes += Buffer.byteLength(key, 'utf8') + Buffer.byteLength(value, 'utf8');
    i++;
  }
  if (bytes > apiBounds.metadataBytesMax) {
    throw invalidField(path, `keys and values have ${bytes} bytes, allowed are at most ${apiBounds.metadataBytesMax}`);
  }
}
