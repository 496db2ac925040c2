/** Paths of the methods that a client calls; messages are encoded and decoded around them (convert.ts). */
export const methods = {
  register: '/rollcall.v1.Registry/Register',
  batchRegister: '/rollcall.v1.Registry/BatchRegister',
  update: '/rollcall.v1.Registry/Update',
  deregister: '/rollcall.v1.Registry/Deregister',
  grantLease: '/rollcall.v1.Registry/GrantLease',
  revokeLease: '/rollcall.v1.Registry/RevokeLease',
  keepAlive: '/rollcall.v1.Registry/KeepAlive',
  session: '/rollcall.v1.Registry/Session',
  discover: '/rollcall.v1.Registry/Discover',
  listServices: '/rollcall.v1.Registry/ListServices',
  watch: '/rollcall.v1.Registry/Watch',
  status: '/rollcall.v1.Cluster/Status',
  listMembers: '/rollcall.v1.Cluster/ListMembers',
  addMember: '/rollcall.v1.Cluster/AddMember',
  promoteMember: '/rollcall.v1.Cluster/PromoteMember',
  removeMember: '/rollcall.v1.Cluster/RemoveMember',
  replaceMember: '/rollcall.v1.Cluster/ReplaceMember',
  transferLeadership: '/rollcall.v1.Cluster/TransferLeadership',
} as const;

export type MethodName = keyof typeof methods;

/** How protobufjs hands out bytes, as grpc-js takes them: the same memory. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
