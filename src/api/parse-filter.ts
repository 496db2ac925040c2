import { invalidField } from '../base/errors.ts';
import { compileFilter, matchAll } from '../filter/compile-filter.ts';
import type { InstanceStatus, MetadataCondition, ViewMatcher } from '../filter/types.ts';
import { parseVersionRange } from '../filter/version-range.ts';
import { apiBounds } from './bounds.ts';
import { checkBytesMax, checkPresent } from './field-checks.ts';
import type { Decoded, instanceFilterTable } from './message-table.ts';
import { joinPath } from './strict-decoder.ts';

type FilterMessage = Decoded<typeof instanceFilterTable>;
type ConditionMessage = FilterMessage['values']['metadata'][number];

/** By the numbers of rollcall.v1.InstanceStatus; unspecified is nothing that an instance could be. */
const statusNames: readonly (InstanceStatus | undefined)[] = [undefined, 'STARTING', 'UP', 'DRAINING', 'DOWN'];

/**
 * The filter of a request, made ready; one that is absent or asks for nothing matches all.
 *
 * @param path Where the filter stands in its request.
 * @throws RollcallError INVALID_FIELD
 */
export function checkedFilter(filter: FilterMessage | undefined, path: string): ViewMatcher {
  if (filter === undefined) return matchAll;
  const { values, bytes, unknownFields } = filter;
  if (bytes.length > apiBounds.filterBytesMax) {
    throw invalidField(path, `has ${bytes.length} bytes, allowed are at most ${apiBounds.filterBytesMax}`);
  }
  // A condition that is passed over would let through what its sender does not want.
  if (unknownFields > 0) throw invalidField(path, 'has conditions that this version does not know');
  checkTexts(joinPath(path, 'tags'), values.tags, apiBounds.tagBytesMax);
  checkTexts(joinPath(path, 'zones'), values.zones, apiBounds.localityBytesMax);
  checkTexts(joinPath(path, 'regions'), values.regions, apiBounds.localityBytesMax);
  checkVersionRange(joinPath(path, 'version_range'), values.version_range);
  return compileFilter({
    tags: values.tags,
    metadata: values.metadata.map((condition, i) => checkedCondition(`${joinPath(path, 'metadata')}[${i}]`, condition)),
    versionRange: values.version_range,
    zones: values.zones,
    regions: values.regions,
    statuses: values.statuses.map((number, i) => checkedStatus(`${joinPath(path, 'statuses')}[${i}]`, number)),
  });
}

/** No instance has an empty one. */
function checkTexts(path: string, texts: readonly string[], bytesMax: number): void {
  for (const [i, text] of texts.entries()) {
    checkPresent(`${path}[${i}]`, text);
    checkBytesMax(`${path}[${i}]`, text, bytesMax);
  }
}

function checkVersionRange(path: string, text: string): void {
  checkBytesMax(path, text, apiBounds.versionRangeBytesMax);
  if (text === '') return;
  const outcome = parseVersionRange(text);
  if (outcome.kind === 'problem') throw invalidField(path, outcome.problem);
}

function checkedCondition(path: string, { values: fields }: ConditionMessage): MetadataCondition {
  const { key, operator, values } = fields;
  checkPresent(joinPath(path, 'key'), key);
  checkBytesMax(joinPath(path, 'key'), key, apiBounds.metadataKeyBytesMax);
  for (const [i, value] of values.entries()) {
    checkBytesMax(`${joinPath(path, 'values')}[${i}]`, value, apiBounds.metadataBytesMax);
  }
  const refuseValues = (allowed: string): never => {
    throw invalidField(joinPath(path, 'values'), `has ${values.length} elements, allowed ${allowed}`);
  };
  switch (operator) {
    case 1:
      if (values.length !== 1) refuseValues('is 1 with EQUALS');
      return { key, operator: 'equals', values };
    case 2:
      if (values.length === 0) refuseValues(`are 1 to ${apiBounds.filterValuesMax} with IN`);
      return { key, operator: 'in', values };
    case 3:
      if (values.length > 0) refuseValues('are none with EXISTS');
      return { key, operator: 'exists' };
    default:
      throw invalidField(joinPath(path, 'operator'), 'is missing, required is EQUALS, IN or EXISTS');
  }
}

function checkedStatus(path: string, number: number): InstanceStatus {
  const name = statusNames[number];
  if (name === undefined) throw invalidField(path, 'is unspecified, allowed is STARTING, UP, DRAINING or DOWN');
  return name;
}
