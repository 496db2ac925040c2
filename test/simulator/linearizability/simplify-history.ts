import { unreadContent } from './instance-state.ts';
import { IncarnationEnds } from './incarnation-ends.ts';
import { HistoryError, type InstanceOperation } from './types.ts';

interface Trace {
  writes: number;
  /** When the first read of it ended, and the incarnation that it showed. */
  readEnd: number;
  incarnation: number;
}

/**
 * A new operation for each one of the history, which allow the same orders but have less left open.
 *
 * A content that one operation alone wrote, and that was read, shows that this operation took effect before the end of
 * the first such read: a lost answer is no longer unknown, and of a registration the incarnation is told too. A content
 * that one operation alone wrote and that nobody read may be any content: lost answers so become alike. What asks for
 * one incarnation has no effect once a later one was seen.
 */
export function simplifyHistory(history: readonly InstanceOperation[]): readonly InstanceOperation[] {
  const traces = new Map<string, Map<number, Trace>>();
  for (const operation of history) note(traces, operation);
  const ends = new IncarnationEnds(history);
  return history.map((operation) => {
    const content = writtenContent(operation);
    const trace = content === undefined ? undefined : traces.get(operation.key)?.get(content);
    return ends.bounded(trace?.writes === 1 ? simplified(operation, trace) : { ...operation });
  });
}

function note(traces: Map<string, Map<number, Trace>>, operation: InstanceOperation): void {
  const { key, end, output } = operation;
  const written = writtenContent(operation);
  const read = output?.kind === 'found' ? output : undefined;
  const content = written ?? read?.content;
  if (content === undefined) return;
  if (!Number.isSafeInteger(content) || content <= unreadContent) {
    throw new HistoryError(`${key}: content is ${content}, expected an integer from 1`);
  }
  let contents = traces.get(key);
  if (contents === undefined) traces.set(key, (contents = new Map<number, Trace>()));
  let trace = contents.get(content);
  if (trace === undefined) contents.set(content, (trace = { writes: 0, readEnd: Infinity, incarnation: 0 }));
  if (written !== undefined) trace.writes += 1;
  if (read === undefined || end >= trace.readEnd) return;
  trace.readEnd = end;
  trace.incarnation = read.incarnation;
}

function writtenContent({ input }: InstanceOperation): number | undefined {
  return input.kind === 'register' || input.kind === 'update' ? input.content : undefined;
}

function simplified(operation: InstanceOperation, { readEnd, incarnation }: Trace): InstanceOperation {
  const { input, start, end } = operation;
  if (input.kind !== 'register' && input.kind !== 'update') return { ...operation };
  if (readEnd === Infinity) return { ...operation, input: { ...input, content: unreadContent } };
  // A read that ended before the write began shows what cannot be: the search will say so.
  if (end !== Infinity || readEnd < start) return { ...operation };
  const output =
    input.kind === 'register'
      ? ({ kind: 'registered', incarnation } as const)
      : ({ kind: 'updated', changed: true } as const);
  return { ...operation, end: readEnd, output };
}
