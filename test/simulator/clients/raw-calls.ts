import type { ServiceError } from '@grpc/grpc-js';
import { ClientError } from '../../../src/client/client-error.ts';
import { fromHeader, fromView, toKey, toSpec } from '../../../src/client/convert.ts';
import { methods } from '../../../src/client/methods.ts';
import { rollcall } from '../../../src/gen/rollcall.js';
import type { Outcome } from '../types.ts';
import type { ClientProcess, HeldLease } from './client-process.ts';
import type { Draw } from './draw.ts';
import { instanceOf, keyOf, services } from './keys.ts';
import { answered, seen } from './outcomes.ts';

const v1 = rollcall.v1;

/** How long each copy of a request may take, and how late the last one leaves: well within what members remember. */
const copyTimeoutMs = 3_000;
const copyLateMsMax = 8_000;
/** One that is sent once waits for what the member itself says, also where that has no quorum. */
const plainTimeoutMs = 9_000;

/** Reasons by which a member says for certain that it has not taken a write. */
const untaken: ReadonlySet<string> = new Set([
  'UNREACHABLE',
  'NO_LEADER',
  'NOT_PROPOSED',
  'NOT_SERVING',
  'MEMBER_FENCED',
  'OVERLOADED',
]);

interface CopyPlan {
  readonly address: string;
  readonly afterMs: number;
  readonly timeoutMs: number;
}

type Copy = { readonly bytes: Buffer } | { readonly error: ClientError };

/**
 * A write of a small client that knows no request ids: it is sent once, to any member, and where the answer is lost
 * nobody may repeat it.
 */
export async function plainWrite(process: ClientProcess, draw: Draw): Promise<void> {
  await rawWrite(process, draw, '', [
    { address: draw.pick(process.world.addresses), afterMs: 0, timeoutMs: plainTimeoutMs },
  ]);
}

/**
 * A write that something between the client and the members repeats: the same bytes with the same request id go to
 * several members, some of them late. It is one operation; every answer to it must be the same.
 */
export async function duplicatedWrite(process: ClientProcess, draw: Draw): Promise<void> {
  const requestId = `copy-${process.name}-${draw.below(2 ** 40)}`;
  const copies = Array.from({ length: draw.within(2, 4) }, (_, n) => ({
    address: draw.pick(process.world.addresses),
    afterMs: n === 0 ? 0 : draw.below(draw.chance(0.5) ? 10 : copyLateMsMax),
    timeoutMs: copyTimeoutMs,
  }));
  await rawWrite(process, draw, requestId, copies);
}

async function rawWrite(process: ClientProcess, draw: Draw, requestId: string, copies: readonly CopyPlan[]) {
  const { keys, recorder } = process.world;
  const key = keys.pick(draw, process.host);
  if (draw.chance(0.4)) {
    const encoded = v1.DeregisterRequest.encode({ key: toKey(keyOf(key)), requestId });
    const answers = copiesOf(process, methods.deregister, encoded, copies);
    await process.call({ kind: 'deregister', key, incarnation: 0 }, () =>
      firstOf(process, answers, (bytes) => {
        const { header, existed } = v1.DeregisterResponse.decode(bytes);
        return { ...answered(fromHeader(header)), existed };
      }),
    );
    return;
  }
  const value = recorder.next('value');
  const ifAbsent = draw.chance(0.3);
  const encoded = v1.RegisterRequest.encode({
    instance: toSpec(instanceOf(key, value)),
    persistent: true,
    ifAbsent,
    requestId,
  });
  const action = { kind: 'register', key, value, lifetime: 'persistent', leaseId: 0, ttlMs: 0 } as const;
  await process.call({ ...action, restore: false, ifAbsent, ifIncarnation: 0 }, () =>
    firstOf(process, copiesOf(process, methods.register, encoded, copies), (bytes) => {
      const { header, incarnation, replaced } = v1.RegisterResponse.decode(bytes);
      keys.heard(key, incarnation);
      return { ...answered(fromHeader(header)), incarnation, replaced, leaseId: 0 };
    }),
  );
}

function copiesOf(
  process: ClientProcess,
  path: string,
  message: { finish(): Uint8Array },
  copies: readonly CopyPlan[],
): Promise<Copy>[] {
  const request = Buffer.from(message.finish());
  return copies.map(async ({ address, afterMs, timeoutMs }) => {
    if (afterMs > 0) await new Promise<void>((resolve) => void process.clock.setTimer(afterMs, resolve));
    return copyOf(process, path, request, address, timeoutMs);
  });
}

function copyOf(
  process: ClientProcess,
  path: string,
  request: Buffer,
  address: string,
  timeoutMs: number,
): Promise<Copy> {
  return new Promise((resolve) => {
    const channel = process.sockets.open(address);
    const onAnswer = (error: ServiceError | null, bytes: Buffer = Buffer.alloc(0)): void => {
      channel.close();
      resolve(error === null ? { bytes } : { error: ClientError.ofCall(error, address) });
    };
    channel.call(path, request, onAnswer, { timeoutMs });
  });
}

/** The outcome as of the first answer that settles it; what comes later must say the same. */
function firstOf(
  process: ClientProcess,
  answers: readonly Promise<Copy>[],
  read: (bytes: Buffer) => Outcome,
): Promise<Outcome> {
  return new Promise((resolve) => {
    let left = answers.length;
    let isOpen = false;
    let said: Outcome | undefined;
    const take = (copy: Copy): void => {
      left -= 1;
      const outcome = 'bytes' in copy ? read(copy.bytes) : refusal(copy.error);
      if (outcome.kind === 'ok' || outcome.kind === 'refused') {
        if (said !== undefined && resultOf(said) !== resultOf(outcome)) {
          const texts = `${resultOf(said)} and then ${resultOf(outcome)}`;
          process.world.onFault(`${process.name}: copies of one request were answered ${texts}`);
        }
        said ??= outcome;
        resolve(outcome);
      } else if (outcome.kind === 'unknown') {
        isOpen = true;
      }
      if (left === 0) resolve({ kind: isOpen ? 'unknown' : 'failed', reason: 'COPIES' });
    };
    for (const answer of answers) void answer.then(take);
  });
}

function refusal(error: ClientError): Outcome {
  if (['ALREADY_REGISTERED', 'SUPERSEDED', 'UNKNOWN_INSTANCE'].includes(error.reason)) {
    return { kind: 'refused', reason: error.reason };
  }
  return { kind: untaken.has(error.reason) ? 'failed' : 'unknown', reason: error.reason };
}

/** What a repeat must be answered with again, whoever answers. */
function resultOf(outcome: Outcome): string {
  if (outcome.kind !== 'ok') return `${outcome.kind} ${outcome.reason}`;
  const { incarnation, replaced, existed, leaseId } = outcome;
  return `ok ${JSON.stringify({ incarnation, replaced, existed, leaseId })}`;
}

/** A stale read of a small client: of any member, whatever state it is in. */
export async function plainRead(process: ClientProcess, draw: Draw): Promise<void> {
  const address = draw.pick(process.world.addresses);
  const service = draw.pick(services);
  const { CONSISTENCY_STALE: consistency } = v1.Consistency;
  const request = Buffer.from(v1.DiscoverRequest.encode({ service, consistency }).finish());
  await process.call({ kind: 'discover', service, consistency: 'stale', minRevision: 0, filtered: false }, async () => {
    const copy = await copyOf(process, methods.discover, request, address, copyTimeoutMs);
    if ('error' in copy) return { kind: 'failed', reason: copy.error.reason };
    const { header, instances, nextPageToken } = v1.DiscoverResponse.decode(copy.bytes);
    const found = instances.map((view) => seen(fromView(view)));
    return { ...answered(fromHeader(header)), instances: found, inexact: nextPageToken !== '' };
  });
}

/** One renewal of a lease that no keeper keeps, told as an operation. */
export async function renew(process: ClientProcess, draw: Draw, { leaseId, ttlMs }: HeldLease): Promise<void> {
  const address = draw.pick(process.world.addresses);
  await process.call({ kind: 'renew', leaseId, ttlMs }, async () => {
    const status = await renewedAt(process, address, leaseId);
    const { KEEP_ALIVE_STATUS_RENEWED, KEEP_ALIVE_STATUS_UNKNOWN } = v1.KeepAliveStatus;
    if (status === KEEP_ALIVE_STATUS_UNKNOWN) process.forgetLease(leaseId);
    if (status !== KEEP_ALIVE_STATUS_RENEWED && status !== KEEP_ALIVE_STATUS_UNKNOWN) {
      return { kind: 'unknown', reason: 'NO_LEADER' };
    }
    // An answer to a renewal says no revision: only what this process knew already.
    const existed = status === KEEP_ALIVE_STATUS_RENEWED;
    return { kind: 'ok', revision: process.revision, member: memberOf(address), existed };
  });
}

function renewedAt(process: ClientProcess, address: string, leaseId: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const channel = process.sockets.open(address);
    const stream = channel.stream(methods.keepAlive);
    const done = (status: number | undefined): void => {
      timer.cancel();
      stream.cancel();
      channel.close();
      resolve(status);
    };
    const timer = process.clock.setTimer(copyTimeoutMs, () => done(undefined));
    stream.on('data', (bytes: Buffer) => done(v1.KeepAliveResponse.decode(bytes).results[0]?.status ?? undefined));
    stream.on('error', () => done(undefined));
    stream.on('status', () => done(undefined));
    stream.write(Buffer.from(v1.KeepAliveRequest.encode({ leaseIds: [leaseId] }).finish()));
    stream.end();
  });
}

export function memberOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'));
}
