import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';

/** How a method is called: one request and one answer, or a stream of both. */
export type MethodShape = 'unary' | 'bidi';

/**
 * A service for grpc-js whose messages stay bytes in both directions: requests are decoded by the strict parsers of
 * src/api, answers are written by the render functions of this folder.
 *
 * @param fullName As in the proto files, e.g. `rollcall.v1.Registry`.
 */
export function bytesService(fullName: string, shapes: Readonly<Record<string, MethodShape>>): ServiceDefinition {
  const methods: Record<string, MethodDefinition<Buffer, Buffer>> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    methods[name] = {
      path: `/${fullName}/${name}`,
      requestStream: shape === 'bidi',
      responseStream: shape === 'bidi',
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
      originalName: name,
    };
  }
  return methods;
}

function same(bytes: Buffer): Buffer {
  return bytes;
}

/** The same memory as a Buffer, which grpc-js needs. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
