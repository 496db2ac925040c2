// Calls that are right as gRPC, and wrong in what they say.
import { status } from '@grpc/grpc-js';
import type { CaseKind, CorpusEntry, FuzzCase, World } from './cases.ts';
import { streamMethods, targetOf, unaryMethods } from './cases.ts';
import type { CallOptions } from './connection.ts';
import { framed } from './connection.ts';
import type { Draw } from './draw.ts';
import { generateMessage, validBytes } from './generate.ts';
import type { Allowed } from './judge.ts';
import { judge, wellFramed } from './judge.ts';
import { mutateBytes, mutateMessage } from './mutate.ts';
import { encodePieces, messagePiece, varintPiece } from './pieces.ts';
import type { FuzzMethod } from './proto-methods.ts';

/** grpc-js refuses a longer message before it is read. */
const readBytesMax = 1_088 * 1_024;
const leaveAfterMs = 120;
/** The health service knows only the services of the member, and its package answers by itself. */
const standardAllowed: Allowed = { bare: [status.NOT_FOUND, status.UNIMPLEMENTED], left: true };

export const callCases: readonly CaseKind[] = [
  { name: 'unary, acceptable', weight: 200, make: (world, draw) => unary(world, draw, validBytes) },
  { name: 'unary, one to three faults', weight: 520, make: (world, draw) => unary(world, draw, mutatedBytes) },
  { name: 'unary, changed bytes', weight: 100, make: (world, draw) => unary(world, draw, changedBytes) },
  { name: 'unary, random bytes', weight: 80, make: (world, draw) => unary(world, draw, noise) },
  { name: 'unary, huge', weight: 1, make: (world, draw) => unary(world, draw, hugeBytes) },
  { name: 'corpus, changed', weight: 80, make: corpusCase },
  { name: 'stream', weight: 40, make: streamCase },
  { name: 'session', weight: 12, make: sessionCase },
  { name: 'health and reflection', weight: 16, make: standardCase },
];

function unary(world: World, draw: Draw, make: (type: FuzzMethod['request'], draw: Draw) => Buffer): FuzzCase {
  const method = draw.pick(unaryMethods(world.methods.drawn));
  return unaryCase(world, draw, method, make(method.request, draw));
}

function unaryCase(world: World, draw: Draw, method: FuzzMethod, bytes: Uint8Array): FuzzCase {
  const connection = world.kept(targetOf(world, draw));
  return {
    kind: 'unary',
    method: method.name,
    requests: 1,
    sent: [bytes],
    run: async () => {
      const outcome = await connection.call(method.path, { chunks: [framed(bytes)], end: 'close' });
      return judge(outcome, allowedFor([bytes], wellFramed), method.response);
    },
  };
}

function allowedFor(messages: readonly Uint8Array[], allowed: Allowed): Allowed {
  if (messages.every(({ length }) => length <= readBytesMax)) return allowed;
  return { ...allowed, bare: [...allowed.bare, status.RESOURCE_EXHAUSTED] };
}

function mutatedBytes(type: FuzzMethod['request'], draw: Draw): Buffer {
  return encodePieces(mutateMessage(type, generateMessage(type, draw), draw));
}

function changedBytes(type: FuzzMethod['request'], draw: Draw): Buffer {
  return mutateBytes(validBytes(type, draw), draw);
}

function noise(_type: FuzzMethod['request'], draw: Draw): Buffer {
  return draw.bytes(draw.below(draw.pick([4, 40, 400])));
}

/** About as long as a request may be, and longer. */
function hugeBytes(type: FuzzMethod['request'], draw: Draw): Buffer {
  const room = draw.pick([1_048_575, 1_048_576, 1_048_577, readBytesMax, readBytesMax + 1, 3_000_000]);
  const valid = validBytes(type, draw);
  const unit = draw.pick([
    Buffer.from([0xa0, 0x06, 1]),
    Buffer.from([0x0a, 0]),
    Buffer.from([0x22, 0]),
    Buffer.from([0]),
  ]);
  return Buffer.concat([valid, Buffer.alloc(Math.max(0, room - valid.length), unit)]);
}

function corpusCase(world: World, draw: Draw): FuzzCase {
  const entry = draw.pick(world.corpus);
  const method = world.methods.drawn.find(({ name }) => name === entry.method);
  // As it is: changed it might be right.
  if (method === undefined) return corpusEntryCase(world, draw, entry);
  const messages = entry.messages.map((bytes) => mutateBytes(bytes, draw));
  if (!method.requestStream) return unaryCase(world, draw, method, messages[0] ?? Buffer.alloc(0));
  return streamOf(world, draw, method, messages);
}

/** The entry as it is. */
export function corpusEntryCase(world: World, draw: Draw, entry: CorpusEntry): FuzzCase {
  const method = world.methods.own.find(({ name }) => name === entry.method);
  if (method === undefined) throw new Error(`corpus: no method ${entry.method}`);
  if (!method.requestStream) return unaryCase(world, draw, method, entry.messages[0] ?? Buffer.alloc(0));
  return streamOf(world, draw, method, entry.messages);
}

/** Many acceptable messages, and perhaps at last one that is not. */
function streamCase(world: World, draw: Draw): FuzzCase {
  const method = draw.pick(streamMethods(world.methods.drawn));
  const count = draw.pick([1, 2, 5, 20, 60]);
  const messages = Array.from({ length: count }, () => validBytes(method.request, draw));
  if (!draw.onceIn(3)) messages.push(draw.pick([mutatedBytes, changedBytes, noise])(method.request, draw));
  return streamOf(world, draw, method, messages);
}

function streamOf(world: World, draw: Draw, method: FuzzMethod, messages: readonly Uint8Array[]): FuzzCase {
  // A watch lives until somebody ends it; every other stream ends when its client closes its side.
  const endless = method.name === 'Watch';
  const connection = endless ? world.left(targetOf(world, draw)) : world.kept(targetOf(world, draw));
  const options: CallOptions = {
    chunks: chunksOf(messages, draw),
    end: 'close',
    ...(endless ? { leaveAfterMs } : {}),
  };
  const allowed = allowedFor(messages, endless ? { ...wellFramed, left: true } : wellFramed);
  return {
    kind: 'stream',
    method: method.name,
    requests: messages.length,
    sent: messages,
    run: async () => judge(await connection.call(method.path, options), allowed, method.response),
  };
}

/** Messages need not come one a piece: as one, or cut anywhere. */
function chunksOf(messages: readonly Uint8Array[], draw: Draw): Uint8Array[] {
  const frames = messages.map((bytes) => framed(bytes));
  if (!draw.onceIn(4)) return frames;
  const whole = Buffer.concat(frames);
  const cut = draw.below(whole.length + 1);
  return [whole.subarray(0, cut), whole.subarray(cut)];
}

/** A session as a client has it, with a fault somewhere. */
function sessionCase(world: World, draw: Draw): FuzzCase {
  const method = world.methods.own.find(({ name }) => name === 'Session');
  if (method === undefined) return streamCase(world, draw);
  const { fields } = method.request;
  const [open, write, ping] = [fields.open, fields.write, fields.ping];
  if (open === undefined || write === undefined || ping === undefined) throw new Error('Session has other requests');
  const operations = write.resolvedType;
  if (operations === null || !('fieldsArray' in operations)) throw new Error('SessionWrite is no message');
  const messages: Buffer[] = [encodePieces([messagePiece(open.id, [varintPiece(2, draw.within(1_000, 3_000))])])];
  const count = draw.pick([1, 3, 10, 40]);
  let sequence = 1;
  for (let i = 0; i < count; i++) {
    if (draw.onceIn(3)) {
      messages.push(encodePieces([messagePiece(ping.id, [varintPiece(1, i)])]));
      continue;
    }
    const pieces = generateMessage(operations, draw).filter(({ number }) => number !== 1);
    messages.push(encodePieces([messagePiece(write.id, [varintPiece(1, sequence), ...pieces])]));
    // Now and then the same once more, or one left out.
    sequence += draw.pick([1, 1, 1, 1, 1, 1, 1, 0, 2]);
  }
  if (draw.onceIn(3)) messages.splice(draw.below(messages.length + 1), 0, mutatedBytes(method.request, draw));
  return streamOf(world, draw, method, messages);
}

function standardCase(world: World, draw: Draw): FuzzCase {
  const method = draw.pick(world.methods.standard);
  const make = draw.pick([validBytes, mutatedBytes, changedBytes, noise]);
  const count = method.requestStream ? draw.within(1, 5) : 1;
  const messages = Array.from({ length: count }, () => make(method.request, draw));
  const connection = world.left(targetOf(world, draw));
  const options: CallOptions = { chunks: messages.map((bytes) => framed(bytes)), end: 'close', leaveAfterMs };
  const response = method.name === 'ServerReflectionInfo' ? undefined : method.response;
  return {
    kind: 'standard',
    method: `${method.service}/${method.name}`,
    requests: messages.length,
    sent: messages,
    run: async () =>
      judge(await connection.call(method.path, options), allowedFor(messages, standardAllowed), response),
  };
}
