import type { MethodDefinition, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';

type BytesMethod = MethodDefinition<Uint8Array, Uint8Array>;

function method(name: string, requestStream: boolean, responseStream: boolean): BytesMethod {
  return {
    path: `/rollcall.raft.v1.Peer/${name}`,
    requestStream,
    responseStream,
    requestSerialize: asBuffer,
    requestDeserialize: asIs,
    responseSerialize: asBuffer,
    responseDeserialize: asIs,
  };
}

/** Without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function asIs(bytes: Uint8Array): Uint8Array {
  return bytes;
}

/** The service of proto/rollcall/raft/v1/peer.proto with messages as bytes: what they mean the transport knows. */
export const peerService = {
  messages: method('Messages', true, true),
  installSnapshot: method('InstallSnapshot', true, false),
  form: method('Form', false, false),
} as const satisfies ServiceDefinition<UntypedServiceImplementation>;

/** Header of the answer by which a stream of batches is accepted: an encoded PeerIdentity of the answering member. */
export const identityHeader = 'rollcall-identity-bin';

/** Trailer of a refusal that says who refuses: an encoded PeerIdentity. */
export const refuserHeader = 'rollcall-refuser-bin';
