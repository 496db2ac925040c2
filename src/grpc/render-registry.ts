import type {
  BatchRegisterAnswer,
  DeregisterAnswer,
  DiscoverAnswer,
  GrantLeaseAnswer,
  Header,
  ListServicesAnswer,
  RegisterAnswer,
  RenewAnswer,
  RevokeLeaseAnswer,
  UpdateAnswer,
} from '../api/types.ts';
import { unreachable } from '../base/assert.ts';
import { WireWriter } from '../base/wire-writer.ts';
import type { BatchOutcome } from '../state-machine/types.ts';
import { writeHeader } from './render-header.ts';

// Answers of rollcall.v1.Registry as bytes; the numbers are those of the fields in proto/rollcall/v1/registry.proto.
// One writer is enough: a render function writes a whole message without giving way, and `finish` hands out a copy.
const writer = new WireWriter();

export function renderRegister(answer: RegisterAnswer): Uint8Array {
  begin(answer.header);
  writer.uint(2, answer.incarnation).uint(3, answer.leaseId).uint(4, answer.ttlMs).bool(5, answer.replaced);
  return writer.finish();
}

export function renderBatchRegister(answer: BatchRegisterAnswer): Uint8Array {
  begin(answer.header);
  writer.uint(2, answer.leaseId).uint(3, answer.ttlMs);
  for (const { status, incarnation } of answer.results) {
    writer.beginMessage(4).uint(1, batchStatusNumber(status)).uint(2, incarnation).endMessage();
  }
  return writer.finish();
}

export function renderUpdate(answer: UpdateAnswer): Uint8Array {
  begin(answer.header);
  writer.bool(2, answer.changed);
  return writer.finish();
}

export function renderDeregister(answer: DeregisterAnswer): Uint8Array {
  begin(answer.header);
  writer.bool(2, answer.existed);
  return writer.finish();
}

export function renderGrantLease(answer: GrantLeaseAnswer): Uint8Array {
  begin(answer.header);
  writer.uint(2, answer.leaseId).uint(3, answer.ttlMs);
  return writer.finish();
}

export function renderRevokeLease(answer: RevokeLeaseAnswer): Uint8Array {
  begin(answer.header);
  writer.bool(2, answer.existed).uint(3, answer.instances);
  return writer.finish();
}

/** Answers for `results[from, to)`: those of one request. */
export function renderKeepAlive(results: readonly RenewAnswer[], from: number, to: number): Uint8Array {
  writer.reset();
  for (const result of results.slice(from, to)) {
    writer.beginMessage(1);
    writer.uint(1, result.leaseId).uint(2, renewStatusNumber(result.status)).uint(3, result.ttlMs);
    writer.endMessage();
  }
  return writer.finish();
}

/** The views go in as the bytes that are kept; nothing of them is decoded. */
export function renderDiscover(answer: DiscoverAnswer): Uint8Array {
  begin(answer.header);
  writer.bool(2, answer.known);
  for (const view of answer.views) writer.bytesPresent(3, view);
  writer.string(4, answer.nextPageToken).uint(5, answer.firstRevision);
  return writer.finish();
}

export function renderListServices(answer: ListServicesAnswer): Uint8Array {
  begin(answer.header);
  for (const service of answer.services) {
    writer.beginMessage(2);
    writer.string(1, service.namespace).string(2, service.service);
    writer.uint(3, service.instances).uint(4, service.modifyRevision);
    writer.endMessage();
  }
  writer.string(3, answer.nextPageToken).uint(4, answer.firstRevision);
  return writer.finish();
}

/** Begins a message with its header, which is field 1 of each. */
function begin(header: Header): void {
  // A message that failed half-way in an earlier call must not be sent with this one.
  writer.reset();
  writeHeader(writer, 1, header);
}

function batchStatusNumber(status: BatchOutcome['status']): number {
  switch (status) {
    case 'registered':
      return 1;
    case 'replaced':
      return 2;
    case 'kept':
      return 3;
    default:
      return unreachable(status);
  }
}

function renewStatusNumber(status: RenewAnswer['status']): number {
  switch (status) {
    case 'renewed':
      return 1;
    case 'unknown':
      return 2;
    case 'unavailable':
      return 3;
    default:
      return unreachable(status);
  }
}
