import { ClientError } from '../../../src/client/client-error.ts';
import { fromHeader, toSpec } from '../../../src/client/convert.ts';
import { methods } from '../../../src/client/methods.ts';
import { rollcall } from '../../../src/gen/rollcall.js';
import type { Outcome } from '../types.ts';
import type { MemoryChannel } from '../wire/memory-channel.ts';
import type { ClientProcess } from './client-process.ts';
import type { Draw } from './draw.ts';
import { instanceOf, privateService } from './keys.ts';
import { answered } from './outcomes.ts';

const v1 = rollcall.v1;
const answerMsMax = 3_000;
const ttlMs = 3_000;

type Written = rollcall.v1.SessionWritten;

/** One stream of a session without the library, which never does what is tried here. */
class RawStream {
  readonly #process: ClientProcess;
  readonly #channel: MemoryChannel;
  readonly #stream: ReturnType<MemoryChannel['stream']>;
  #responses: rollcall.v1.SessionResponse[] = [];
  #error: ClientError | undefined;
  #ended = false;
  #look: (() => void) | undefined;

  constructor(process: ClientProcess, address: string) {
    this.#process = process;
    this.#channel = process.sockets.open(address);
    this.#stream = this.#channel.stream(methods.session);
    this.#stream.on('data', (bytes: Buffer) => {
      this.#responses.push(v1.SessionResponse.decode(bytes));
      this.#look?.();
    });
    this.#stream.on('error', (error) => (this.#error = ClientError.ofCall(error, address)));
    this.#stream.on('status', () => {
      this.#ended = true;
      this.#look?.();
    });
  }

  send(bytes: Buffer): void {
    this.#stream.write(bytes);
  }

  /** The next response that fits; why there is none, where the stream ends or falls silent. */
  next<Found>(find: (response: rollcall.v1.SessionResponse) => Found | undefined): Promise<Found | string> {
    return new Promise((resolve) => {
      const settle = (found: Found | string): void => {
        timer.cancel();
        this.#look = undefined;
        resolve(found);
      };
      const timer = this.#process.clock.setTimer(answerMsMax, () => settle('TIMEOUT'));
      this.#look = () => {
        for (let response = this.#responses.shift(); response !== undefined; response = this.#responses.shift()) {
          const found = find(response);
          if (found !== undefined) {
            settle(found);
            return;
          }
        }
        if (this.#ended) settle(this.#error?.reason ?? 'ENDED');
      };
      this.#look();
    });
  }

  leave(): void {
    this.#stream.cancel();
    this.#channel.close();
  }
}

/**
 * A session that moves to another stream while what it said on the first is still under way: what the first stream
 * brings behind the takeover must change nothing, the last write is answered again with its result, and an earlier one
 * has no effect.
 */
export async function takenOverSession(process: ClientProcess, draw: Draw): Promise<void> {
  const { recorder, addresses } = process.world;
  const key = `default/${privateService}/${process.name}-raw${draw.below(2 ** 30)}`;
  const requestId = `raw-${process.name}-${draw.below(2 ** 40)}`;
  const first = new RawStream(process, draw.pick(addresses));
  const second = new RawStream(process, draw.pick(addresses));
  try {
    const sessionId = await opened(process, first, requestId);
    if (sessionId === undefined) return;
    const value = recorder.next('value');
    const start = writeOf(1, { register: { instance: toSpec(instanceOf(key, value)) } });
    const incarnation = await started(process, first, key, value, sessionId, start);
    if (incarnation === undefined) return;
    second.send(requestOf({ open: { sessionId, attachment: 2 } }));
    const isOpen = await second.next(({ opened: info }) => info ?? undefined);
    if (typeof isOpen === 'string') return;
    await lateOnFirst(process, first, key, incarnation);
    await repeatedOnSecond(process, second, start, incarnation);
    const newValue = recorder.next('value');
    const change = writeOf(2, { update: { instance: toSpec(instanceOf(key, newValue)), incarnation } });
    await process.call({ kind: 'update', key, value: newValue, incarnation }, async () => {
      second.send(change);
      return outcomeOf(await second.next(writtenOf(2)), true);
    });
    // One that was overtaken: members refuse it, and end the stream for it.
    second.send(start);
    await second.next(writtenOf(1));
  } finally {
    first.leave();
    second.leave();
  }
}

async function opened(process: ClientProcess, stream: RawStream, requestId: string): Promise<number | undefined> {
  let sessionId: number | undefined;
  await process.call({ kind: 'open-session', ttlMs }, async () => {
    stream.send(requestOf({ open: { ttlMs, requestId } }));
    const info = await stream.next((response) => response.opened ?? undefined);
    if (typeof info === 'string') return { kind: 'unknown', reason: info };
    sessionId = info.sessionId ?? 0;
    return { ...answered(fromHeader(info.header)), leaseId: sessionId };
  });
  return sessionId;
}

async function started(
  process: ClientProcess,
  stream: RawStream,
  key: string,
  value: number,
  leaseId: number,
  bytes: Buffer,
): Promise<number | undefined> {
  const condition = { restore: false, ifAbsent: false, ifIncarnation: 0 };
  const outcome = await process.call(
    { kind: 'register', key, value, lifetime: 'session', leaseId, ttlMs, ...condition },
    async () => {
      stream.send(bytes);
      return outcomeOf(await stream.next(writtenOf(1)), false);
    },
  );
  return outcome?.kind === 'ok' ? outcome.incarnation : undefined;
}

/** Whatever becomes of the stream: nothing that it brings now may take effect. */
async function lateOnFirst(process: ClientProcess, stream: RawStream, key: string, incarnation: number): Promise<void> {
  const value = process.world.recorder.next('value');
  await process.call({ kind: 'update', key, value, incarnation }, async () => {
    stream.send(writeOf(2, { update: { instance: toSpec(instanceOf(key, value)), incarnation } }));
    const written = await stream.next(writtenOf(2));
    if (typeof written === 'string') return { kind: 'failed', reason: written };
    return outcomeOf(written, true);
  });
}

async function repeatedOnSecond(
  process: ClientProcess,
  stream: RawStream,
  bytes: Buffer,
  incarnation: number,
): Promise<void> {
  stream.send(bytes);
  const written = await stream.next(writtenOf(1));
  if (typeof written === 'string') return;
  const [result] = written.results;
  if (result?.incarnation === incarnation) return;
  process.world.onFault(`${process.name}: a repeated write was answered ${JSON.stringify(result)}, not ${incarnation}`);
}

function writtenOf(sequence: number): (response: rollcall.v1.SessionResponse) => Written | undefined {
  return ({ written }) => (written?.sequence === sequence ? v1.SessionWritten.create(written) : undefined);
}

function outcomeOf(written: Written | string, isUpdate: boolean): Outcome {
  if (typeof written === 'string') return { kind: 'unknown', reason: written };
  const [result] = written.results;
  const { status, incarnation, errorReason } = result ?? {};
  const statuses = v1.SessionResultStatus;
  if (status === statuses.SESSION_RESULT_STATUS_REFUSED) return { kind: 'refused', reason: errorReason ?? '' };
  const ok = { ...answered(fromHeader(written.header)), incarnation: incarnation ?? 0 };
  if (isUpdate) return { ...ok, changed: status === statuses.SESSION_RESULT_STATUS_UPDATED };
  return { ...ok, replaced: status === statuses.SESSION_RESULT_STATUS_REPLACED };
}

function writeOf(sequence: number, operation: rollcall.v1.SessionOperation.$Properties): Buffer {
  return requestOf({ write: { sequence, operations: [operation] } });
}

function requestOf(request: rollcall.v1.SessionRequest.$Properties): Buffer {
  return Buffer.from(v1.SessionRequest.encode(request).finish());
}
