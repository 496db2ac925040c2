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
  const names = new Set<string>();
  for (const [i, { values }] of endpoints.entries()) {
    const at = `${path}[${i}]`;
    checkEndpointName(joinPath(at, 'name'), values.name);
    if (names.has(values.name)) {
      throw invalidField(joinPath(at, 'name'), `is ${quoted(values.name)} again, names must be unique`);
    }
    names.add(values.name);
    checkProtocol(joinPath(at, 'protocol'), values.protocol);
    checkAddress(joinPath(at, 'address'), values.address);
    checkRange(joinPath(at, 'port'), values.port, 1, apiBounds.portMax);
  }
}

function checkTags(tags: readonly string[], path: string): void {
  const seen = new Set<string>();
  for (const [i, tag] of tags.entries()) {
    const at = `${path}[${i}]`;
    if (tag === '') throw invalidField(at, `is empty, allowed are 1 to ${apiBounds.tagBytesMax} bytes`);
    checkBytesMax(at, tag, apiBounds.tagBytesMax);
    if (seen.has(tag)) throw invalidField(at, `is ${quoted(tag)} again, tags must differ`);
    seen.add(tag);
  }
}

function checkMetadata(metadata: ReadonlyMap<string, string>, path: string): void {
  let bytes = 0;
  let i = 0;
  for (const [key, value] of metadata) {
    const at = `${path}[${i++}].key`;
    if (key === '') throw invalidField(at, `is empty, allowed are 1 to ${apiBounds.metadataKeyBytesMax} bytes`);
    checkBytesMax(at, key, apiBounds.metadataKeyBytesMax);
    bytes += Buffer.byteLength(key, 'utf8') + Buffer.byteLength(value, 'utf8');
  }
  if (bytes > apiBounds.metadataBytesMax) {
    throw invalidField(path, `keys and values have ${bytes} bytes, allowed are at most ${apiBounds.metadataBytesMax}`);
  }
}
