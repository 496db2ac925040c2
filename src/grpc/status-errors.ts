import { Metadata, status } from '@grpc/grpc-js';
import type { RollcallError } from '../base/errors.ts';
import { WireWriter } from '../base/wire-writer.ts';
import { grpcLimits } from './limits.ts';

/** What grpc-js takes to end a call with an error. */
export interface CallStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

export const errorDomain = 'rollcall';
const detailsKey = 'grpc-status-details-bin';
const pushbackKey = 'grpc-retry-pushback-ms';
const typeUrl = 'type.googleapis.com/google.rpc.';
const factUnitsMax = 256;
const factsMax = 16;

/**
 * An error as a gRPC status: code, message and, in the trailer that every gRPC library knows, a google.rpc.Status with
 * ErrorInfo (reason, domain, facts), RetryInfo where retrying makes sense and BadRequest where a field is to blame.
 * The code and message inside equal those of the call: clients in Python raise where they differ.
 */
export function callStatusOf(error: RollcallError): CallStatus {
  const code = status[error.code];
  const message = shortened(error.message, grpcLimits.statusMessageUnitsMax);
  const metadata = new Metadata();
  metadata.set(detailsKey, Buffer.from(encodeStatus(code, message, error)));
  // The same hint for libraries that retry by a policy and do not look into the details.
  if (error.retryAfterMs !== undefined) metadata.set(pushbackKey, String(Math.ceil(error.retryAfterMs)));
  return { code, details: message, metadata };
}

function encodeStatus(code: number, message: string, error: RollcallError): Uint8Array {
  const writer = new WireWriter();
  writer.uint(1, code).string(2, message);
  writer.beginMessage(3).string(1, `${typeUrl}ErrorInfo`).beginMessage(2);
  writeErrorInfo(writer, error);
  writer.endMessage().endMessage();
  if (error.retryAfterMs !== undefined) {
    writer.beginMessage(3).string(1, `${typeUrl}RetryInfo`).beginMessage(2);
    writeRetryInfo(writer, Math.ceil(error.retryAfterMs));
    writer.endMessage().endMessage();
  }
  if (error.field !== undefined) {
    writer.beginMessage(3).string(1, `${typeUrl}BadRequest`).beginMessage(2);
    writer.beginMessage(1).string(1, wellFormed(error.field)).string(2, message).endMessage();
    writer.endMessage().endMessage();
  }
  return writer.finish();
}

function writeErrorInfo(writer: WireWriter, error: RollcallError): void {
  writer.string(1, error.reason).string(2, errorDomain);
  for (const [key, value] of Object.entries(error.facts).slice(0, factsMax)) {
    writer.beginMessage(3).string(1, shortened(key, factUnitsMax)).string(2, shortened(value, factUnitsMax));
    writer.endMessage();
  }
}

function writeRetryInfo(writer: WireWriter, ms: number): void {
  const seconds = Math.floor(ms / 1_000);
  writer.beginMessage(1);
  writer.uint(1, seconds).uint(2, (ms - seconds * 1_000) * 1_000_000);
  writer.endMessage();
}

function shortened(text: string, unitsMax: number): string {
  return wellFormed(text.length <= unitsMax ? text : `${text.slice(0, unitsMax - 3)}...`);
}

/** A lone surrogate has no UTF-8, and grpc-js throws where it encodes the message. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}
