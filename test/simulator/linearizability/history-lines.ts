import { z } from 'zod';
import { HistoryError, type InstanceOperation } from './types.ts';

const count = z.int().min(0);
const session = z.string().min(1);

const lifetime = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('persistent') }),
  z.strictObject({ kind: z.literal('lease') }),
  z.strictObject({ kind: z.literal('session'), session }),
]);

const condition = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({ kind: z.literal('if-absent') }),
  z.strictObject({ kind: z.literal('if-incarnation'), incarnation: count }),
  z.strictObject({ kind: z.literal('keep-equal') }),
  z.strictObject({ kind: z.literal('restore'), ownIncarnation: count }),
]);

const input = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('register'), content: count, lifetime, condition }),
  z.strictObject({ kind: z.literal('update'), content: count, incarnation: count, session: z.exactOptional(session) }),
  z.strictObject({ kind: z.literal('deregister'), incarnation: count, session: z.exactOptional(session) }),
  z.strictObject({ kind: z.literal('read') }),
]);

const output = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('registered'), incarnation: count, replaced: z.exactOptional(z.boolean()) }),
  z.strictObject({ kind: z.literal('kept'), incarnation: count }),
  z.strictObject({ kind: z.literal('updated'), changed: z.boolean() }),
  z.strictObject({ kind: z.literal('deregistered'), existed: z.boolean() }),
  z.strictObject({
    kind: z.literal('refused'),
    reason: z.enum(['ALREADY_REGISTERED', 'SUPERSEDED', 'UNKNOWN_INSTANCE']),
    incarnation: z.exactOptional(count),
  }),
  z.strictObject({ kind: z.literal('absent') }),
  z.strictObject({ kind: z.literal('found'), incarnation: count, content: count }),
]);

const operation = z.strictObject({
  client: z.string(),
  key: z.string(),
  start: z.number(),
  /** null: never answered. */
  end: z.number().nullable(),
  latest: z.exactOptional(z.number()),
  input,
  /** null: never answered. */
  output: output.nullable(),
});

/** A history as JSON, one operation a line, for other checkers and for a person; JSON has no Infinity: null. */
export function writeHistory(history: readonly InstanceOperation[]): string {
  return history
    .map(({ end, output: answer, ...rest }) =>
      JSON.stringify({ ...rest, end: end === Infinity ? null : end, output: answer ?? null }),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** What writeHistory wrote. Throws HistoryError naming the line. */
export function readHistory(text: string): readonly InstanceOperation[] {
  return text.split('\n').flatMap((line, index) => (line === '' ? [] : [readLine(line, index + 1)]));
}

function readLine(line: string, number: number): InstanceOperation {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    throw new HistoryError(`line ${number}: is no JSON`);
  }
  const parsed = operation.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new HistoryError(`line ${number}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is no operation'}`);
  }
  const { end, output: answer, ...rest } = parsed.data;
  return { ...rest, end: end ?? Infinity, output: answer ?? undefined };
}
