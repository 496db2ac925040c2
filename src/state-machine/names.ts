import type { InstanceName } from './types.ts';

const serviceName = /^[a-z0-9.-]{1,128}$/;
// Printable ASCII without space, '"' and '/'.
const instanceId = /^[!#-.0-~]{1,256}$/;
const requestId = /^[!-~]{1,64}$/;

/** 1 to 128 of [a-z0-9-.]; namespaces obey the same rule. */
export function isServiceName(text: string): boolean {
  return serviceName.test(text);
}

/** 1 to 256 printable ASCII characters without space, '/' and '"'. */
export function isInstanceId(text: string): boolean {
  return instanceId.test(text);
}

/** 1 to 64 printable ASCII characters without space. */
export function isRequestId(text: string): boolean {
  return requestId.test(text);
}

export function isInstanceName(name: InstanceName): boolean {
  return isServiceName(name.namespace) && isServiceName(name.service) && isInstanceId(name.id);
}
