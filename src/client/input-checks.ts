import { ClientError } from './client-error.ts';

// What a client refuses before it sends. The members check everything, and again.

const nameBytesMax = 128;
const idBytesMax = 256;

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
