import type { StatusCode } from '../base/errors.ts';

/** Methods as metrics name them. */
export type MethodName =
  | 'Register'
  | 'BatchRegister'
  | 'Update'
  | 'Deregister'
  | 'GrantLease'
  | 'RevokeLease'
  | 'KeepAlive'
  | 'Session'
  | 'Discover'
  | 'ListServices'
  | 'Watch'
  | 'Status'
  | 'ListMembers'
  | 'AddMember'
  | 'PromoteMember'
  | 'RemoveMember'
  | 'ReplaceMember'
  | 'TransferLeadership';

export type CallOutcome = 'OK' | StatusCode;

/**
 * Why a connection was closed before it could carry a call: too many in all or from its address, no frame in time, TLS
 * or HTTP/1 or something else in place of HTTP/2, or its socket failed.
 */
export type RefusalCause = 'connections' | 'address' | 'silent' | 'tls' | 'http1' | 'garbage' | 'broken';

/** Told what the gRPC front end does, for metrics and the log. Must not throw. */
export interface GrpcObserver {
  /** A call that ended; `durationMs` since its request was complete, for streams since they opened. */
  callEnded(method: MethodName, outcome: CallOutcome, durationMs: number): void;
  streamsChanged(method: 'KeepAlive' | 'Session' | 'Watch', open: number): void;
  connectionsChanged(open: number): void;
  connectionRefused(cause: RefusalCause, address: string): void;
  /** Fields of a spec that this version does not know. */
  unknownFields(count: number): void;
}
