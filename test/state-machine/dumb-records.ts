import { byte, flag, hex, historyRecord, resultBytes, sha256, sized, varint, viewOf, keyOf } from './dumb-encodings.ts';
import type { DumbRegistry, DumbRequest } from './dumb-registry.ts';

/** Every persisted record, in no order. */
export function recordsOf(dumb: DumbRegistry): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  if (dumb.revision > 0 || dumb.replicatedTimeMs > 0 || dumb.nextLeaseId > 1 || dumb.nextSequence > 0) {
    records.set('a', metaOf(dumb));
  }
  for (const lease of dumb.leases) {
    const end = ['', 'expired', 'revoked', 'closed'].indexOf(lease.end);
    const parts = [byte(1), varint(lease.epoch), varint(lease.ttlMs), flag(lease.implicit), byte(end)];
    if (end > 0) parts.push(sized(lease.endReason));
    records.set(`b/${hex(lease.leaseId)}`, Buffer.concat(parts));
  }
  for (const instance of dumb.instances) records.set(`c/${keyOf(instance.name)}`, viewOf(instance));
  for (const [service, revision] of dumb.removals) {
    records.set(`d/${service}`, Buffer.concat([byte(1), varint(revision)]));
  }
  for (const request of dumb.requests) records.set(`e/${hex(request.sequence)}`, requestRecord(request));
  for (const { event, index } of dumb.history) {
    records.set(`f/${hex(event.revision)}/${hex(index, 4)}`, historyRecord(event));
  }
  for (const { sessionId, attachment, result, lost, moreLost } of dumb.sessions) {
    const bytes = result === undefined ? Buffer.alloc(0) : resultBytes(result);
    const parts = [byte(1), varint(attachment), varint(result?.sequence ?? 0), flag(moreLost), sized(bytes)];
    records.set(`g/${hex(sessionId)}`, Buffer.concat(parts));
    for (const [key, { incarnation }] of lost) {
      records.set(`h/${hex(sessionId)}/${key}`, Buffer.concat([byte(1), varint(incarnation)]));
    }
  }
  return records;
}

export function stateHashOf(dumb: DumbRegistry): string {
  let sum = 0n;
  for (const [key, value] of new Map([...recordsOf(dumb), ['a', metaOf(dumb)]])) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(key.length);
    const digest = sha256(Buffer.concat([length, Buffer.from(key), value]));
    sum += BigInt(`0x${digest.subarray(0, 16).toString('hex')}`);
  }
  return (sum % 2n ** 128n).toString(16).padStart(32, '0');
}

function metaOf(dumb: DumbRegistry): Buffer {
  const counters = [dumb.revision, dumb.replicatedTimeMs, dumb.nextLeaseId, dumb.nextSequence];
  return Buffer.concat([byte(1), ...counters.map(varint)]);
}

function requestRecord(request: DumbRequest): Buffer {
  const words = [0, 4, 8, 12].map((at) => varint(request.fingerprint.readUInt32BE(at)));
  const head = [byte(1), varint(request.timeMs), sized(request.requestId)];
  return Buffer.concat([...head, ...words, sized(resultBytes(request.result))]);
}
