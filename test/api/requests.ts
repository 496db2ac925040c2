import { rollcall } from '../../src/gen/rollcall.js';
import { RollcallError } from '../../src/base/errors.ts';

const { v1 } = rollcall;

type Spec = rollcall.v1.IInstanceSpec;

export const plainEndpoint = { name: 'main', protocol: 'grpc', address: '127.0.0.1', port: 7400 };
export const plainSpec: Spec = { namespace: 'shop', service: 'cart', id: 'cart-1', endpoints: [plainEndpoint] };

export function specBytes(changes: Spec = {}): Uint8Array {
  return v1.InstanceSpec.encode({ ...plainSpec, ...changes }).finish();
}

export function registerBytes(spec: Spec = {}, rest: rollcall.v1.IRegisterRequest = { ttlMs: 10_000 }): Uint8Array {
  return v1.RegisterRequest.encode({ ...rest, instance: { ...plainSpec, ...spec } }).finish();
}

/** `FIELD: rest of the message`, or the reason where there is no field; '' where nothing is refused. */
export function refusalOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (!(error instanceof RollcallError)) throw error;
    if (error.code !== 'INVALID_ARGUMENT') return error.reason;
    return error.reason === 'INVALID_FIELD' ? error.message : `${error.reason} ${error.field ?? ''}`.trim();
  }
  return '';
}

/** The field alone; '' where nothing is refused. */
export function fieldOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof RollcallError && error.reason === 'INVALID_FIELD') return error.field ?? 'no field';
    throw error;
  }
  return '';
}
