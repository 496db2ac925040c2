import type { SessionAnswer, SessionResult } from '../api/types.ts';
import { unreachable } from '../base/assert.ts';
import { WireWriter } from '../base/wire-writer.ts';
import type { LostInstance } from '../state-machine/types.ts';
import { writeHeader } from './render-header.ts';

// Answers of a session's stream as bytes; the numbers are those of the fields in proto/rollcall/v1/registry.proto.
const writer = new WireWriter();

/** One rollcall.v1.SessionResponse. */
export function renderSessionAnswer(answer: SessionAnswer): Uint8Array {
  // A message that failed half-way in an earlier call must not be sent with this one.
  writer.reset();
  switch (answer.kind) {
    case 'opened':
      writer.beginMessage(1);
      writeHeader(writer, 1, answer.header);
      writer.uint(2, answer.sessionId).uint(3, answer.ttlMs).uint(4, answer.lastSequence);
      writer.uint(5, answer.instances).bool(6, answer.moreLost);
      break;
    case 'written':
      writer.beginMessage(2);
      writeHeader(writer, 1, answer.header);
      writer.uint(2, answer.sequence);
      for (const result of answer.results) writeResult(result);
      break;
    case 'pong':
      writer.beginMessage(3).uint(1, answer.pingId).bool(2, answer.renewed);
      break;
    case 'lost':
      writer.beginMessage(4);
      writeLost(answer.lost);
      break;
    default:
      unreachable(answer);
  }
  writer.endMessage();
  return writer.finish();
}

function writeResult({ status, incarnation, reason, message }: SessionResult): void {
  writer.beginMessage(3);
  writer.uint(1, resultStatusNumber(status)).uint(2, incarnation).string(3, reason).string(4, message);
  writer.endMessage();
}

function writeLost({ name, cause, incarnation }: LostInstance): void {
  writer.beginMessage(1).string(1, name.namespace).string(2, name.service).string(3, name.id).endMessage();
  writer.uint(2, lostCauseNumber(cause)).uint(3, incarnation);
}

function resultStatusNumber(status: SessionResult['status']): number {
  switch (status) {
    case 'registered':
      return 1;
    case 'replaced':
      return 2;
    case 'updated':
      return 3;
    case 'unchanged':
      return 4;
    case 'deregistered':
      return 5;
    case 'absent':
      return 6;
    case 'refused':
      return 7;
    default:
      return unreachable(status);
  }
}

function lostCauseNumber(cause: LostInstance['cause']): number {
  switch (cause) {
    case 'superseded':
      return 1;
    case 'deregistered':
      return 2;
    default:
      return unreachable(cause);
  }
}
