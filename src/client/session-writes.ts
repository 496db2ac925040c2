import { must } from '../base/assert.ts';
import type { rollcall } from '../gen/rollcall.js';
import { ClientError } from './client-error.ts';
import type { Operation, OperationResult } from './session-operations.ts';
import { encodedWrite, resultOf } from './session-operations.ts';
import type { SessionQueue } from './session-queue.ts';

export interface SessionWritesOptions {
  readonly queue: SessionQueue;
  /** Sends one encoded SessionRequest on the open stream. */
  readonly send: (bytes: Uint8Array) => void;
  /** No member takes the operation. */
  readonly onRefused: (operation: Operation, error: ClientError) => void;
}

interface Write {
  readonly sequence: number;
  readonly operations: readonly Operation[];
  readonly bytes: Uint8Array;
  /** A member could not read it. */
  refusal: ClientError | undefined;
}

export type Answered = readonly (readonly [Operation, OperationResult])[];

/**
 * Numbers the writes of one session and keeps the one that is not answered. There is never more than one: members keep
 * the result of the last write alone, so with a second under way a broken stream could lose the first one's answer. A
 * write takes all that waits, so that one at a time is enough.
 */
export class SessionWrites {
  readonly #options: SessionWritesOptions;
  /** Of the last write made. */
  #sequence = 0;
  #underWay: Write | undefined;
  /** So many operations go one by one: one of them is what a member could not read. */
  #singly = 0;

  constructor(options: SessionWritesOptions) {
    this.#options = options;
  }

  /** Operations that were sent and are not answered. */
  get underWay(): readonly Operation[] {
    return this.#underWay?.operations ?? [];
  }

  /** Sends the next write where something waits and none is under way; false where there is nothing to wait for. */
  next(): boolean {
    if (this.#underWay !== undefined) return true;
    const operations = this.#options.queue.takeWrite(this.#singly > 0 ? 1 : undefined);
    if (operations.length === 0) return false;
    this.#singly = Math.max(0, this.#singly - operations.length);
    for (const operation of operations) operation.sent = true;
    this.#sequence += 1;
    const bytes = encodedWrite(this.#sequence, operations);
    this.#underWay = { sequence: this.#sequence, operations, bytes, refusal: undefined };
    this.#options.send(bytes);
    return true;
  }

  /** Takes an answer; a text says how it breaks the protocol. */
  answered(written: rollcall.v1.SessionWritten.$Properties): Answered | string {
    const write = this.#underWay;
    const { sequence, results } = written;
    if (write === undefined || sequence !== write.sequence) return `an answer to write ${sequence}`;
    if (results?.length !== write.operations.length) {
      return `${results?.length} results of ${write.operations.length} operations`;
    }
    const answers: [Operation, OperationResult][] = [];
    for (const [i, operation] of write.operations.entries()) {
      const result = resultOf(operation, must(results[i], 'result'));
      if (result === undefined) return `status ${results[i]?.status} of a ${operation.kind}`;
      answers.push([operation, result]);
    }
    this.#underWay = undefined;
    return answers;
  }

  /** The member cannot read the write under way. What to do about it shows when the session is open again. */
  refused(error: ClientError): void {
    if (this.#underWay !== undefined) this.#underWay.refusal = error;
  }

  /**
   * A new stream goes on with the session. The write under way is sent again, applied or not: a member answers the last
   * one from what it has kept. A text says how `lastSequence` breaks the protocol.
   */
  resume(lastSequence: number): string | undefined {
    const write = this.#underWay;
    const isApplied = lastSequence === this.#sequence;
    if (!isApplied && (write === undefined || lastSequence !== write.sequence - 1)) {
      return `write ${lastSequence} as the last one, sent were ${this.#sequence}`;
    }
    if (write?.refusal !== undefined) this.#takeApart(write, write.refusal, isApplied);
    else if (write !== undefined) this.#options.send(write.bytes);
    return undefined;
  }

  /** The session has ended: gives back what was sent and is not answered. The next write is the first of a new one. */
  takeBack(): readonly Operation[] {
    const { underWay } = this;
    this.#underWay = undefined;
    this.#sequence = this.#singly = 0;
    return underWay;
  }

  /** Drops the operation at fault and sends the others again; one by one where it is not known which it is. */
  #takeApart({ sequence, operations }: Write, error: ClientError, isApplied: boolean): void {
    const { queue, onRefused } = this.#options;
    this.#underWay = undefined;
    if (isApplied) {
      // By a member of another version, whose answer no other one can give.
      const unknown = new ClientError('UNAVAILABLE', 'OUTCOME_UNKNOWN', error.message, { mayHaveApplied: true });
      for (const operation of operations) onRefused(operation, unknown);
      return;
    }
    this.#sequence = sequence - 1;
    const at = operations.length === 1 ? 0 : positionOf(error);
    const atFault = operations[at];
    queue.unshift(operations.filter((operation) => operation !== atFault));
    if (atFault === undefined) this.#singly = operations.length;
    else onRefused(atFault, withField(error));
  }
}

const fieldOfOperation = /^write\.operations\[(\d+)\]\.(?:[a-z]+\.)?/;

/** -1 where the error does not say. */
function positionOf({ field = '' }: ClientError): number {
  return Number(fieldOfOperation.exec(field)?.[1] ?? -1);
}

/** The field as the caller knows it: `instance.endpoints[0].port`. */
function withField(error: ClientError): ClientError {
  const { code, reason, field = '', address } = error;
  const [prefix = ''] = fieldOfOperation.exec(field) ?? [];
  const message = error.message.replace(prefix, '');
  return new ClientError(code, reason, message, { field: field.slice(prefix.length), address, cause: error });
}
