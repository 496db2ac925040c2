import { must } from '../base/assert.ts';
import { WireReader } from '../base/wire-reader.ts';

// What the hub must know of an encoded InstanceView {spec = 1, meta = 2}; everything else passes through as it is. The
// bytes were checked when they were registered, so that anything wrong here is an error of ours (WireError).

/** Service and id out of the spec. */
export function nameOf(view: Uint8Array): { readonly service: string; readonly id: string } {
  const spec = part(view, 1);
  let service = '';
  let id = '';
  while (spec.next()) {
    if (spec.field === 2) service = spec.string();
    else if (spec.field === 3) id = spec.string();
    else spec.skip();
  }
  return { service, id };
}

/** The revision of the instance's last change, out of the meta. */
export function modifyRevisionOf(view: Uint8Array): number {
  return metaNumberOf(view, 3);
}

/** The revision at which the instance was last registered anew, out of the meta. */
export function incarnationOf(view: Uint8Array): number {
  return metaNumberOf(view, 1);
}

function metaNumberOf(view: Uint8Array, field: number): number {
  const meta = part(view, 2);
  while (meta.next()) {
    if (meta.field === field) return meta.uint();
    meta.skip();
  }
  return 0;
}

function part(view: Uint8Array, field: number): WireReader {
  const reader = new WireReader(view);
  while (reader.next()) {
    if (reader.field === field) return reader.message();
    reader.skip();
  }
  return must(undefined, `field ${field} of an instance view`);
}
