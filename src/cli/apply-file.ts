import type { Document } from 'yaml';
import { isMap, isNode, isScalar, isSeq, LineCounter, parseAllDocuments } from 'yaml';
import * as z from 'zod';
import { ClientError } from '../client/client-error.ts';
import { checkInstanceId, checkName } from '../client/input-checks.ts';
import type { Endpoint, InstanceInput } from '../client/types.ts';
import { applyBounds } from './apply-bounds.ts';
import { CliError, exitCodes } from './exit-codes.ts';
import { parseEndpoint } from './values.ts';

type Path = readonly (string | number)[];

/** An instance and where it stands. */
export interface Declared {
  readonly instance: InstanceInput & { readonly namespace: string };
  readonly file: string;
  readonly line: number;
  /** Below it in the file: `instances[2]`, or empty for a document that is one instance. */
  readonly path: string;
}

/** What is wrong, and where. */
interface Problem {
  readonly line: number;
  readonly text: string;
}

const name = (max: number) =>
  z
    .string({ error: 'write a text' })
    .regex(new RegExp(`^[a-z0-9.-]{1,${max}}$`), { error: `write 1 to ${max} of a-z, 0-9, "-" and "."` });
const text = () => z.string({ error: 'write a text, in quotes where it looks like a number or is true or false' });

const whole = (min: number, max: number) => {
  const error = `write a whole number, ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
};

const endpoint = z.union(
  [
    z.string().transform((written, context): Endpoint => {
      try {
        return parseEndpoint(written);
      } catch (error) {
        context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
        return z.NEVER;
      }
    }),
    z.strictObject({
      name: text(),
      protocol: text(),
      address: text(),
      port: whole(1, 65_535),
    }),
  ],
  { error: 'write name=protocol://host:port, or name, protocol, address and port' },
);

const instanceSchema = z.strictObject({
  namespace: name(128).optional(),
  service: name(128),
  id: z.string({ error: 'write a text, unique within the service' }),
  endpoints: z
    .array(endpoint, { error: 'write a list' })
    .min(1, { error: 'is empty; write 1 to 16' })
    .max(16, { error: 'has too many; write 1 to 16' }),
  version: text().optional(),
  weight: whole(0, 1_000_000).optional(),
  tags: z.array(text(), { error: 'write a list' }).max(64, { error: 'has too many; write at most 64' }).optional(),
  metadata: z.record(z.string(), text(), { error: 'write keys with their values' }).optional(),
  region: text().optional(),
  zone: text().optional(),
  status: z.enum(['starting', 'up', 'draining', 'down'], { error: 'write starting, up, draining or down' }).optional(),
});

/**
 * Reads the instances that a text of YAML or JSON declares: each document is one instance, or has a list `instances`.
 *
 * @param file Its name, for the messages.
 * @throws CliError with everything that is wrong, each with its line and field.
 */
export function parseDeclared(content: string, file: string, namespace: string): Declared[] {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(content, { lineCounter: lines, prettyErrors: false, version: '1.2' });
  const documents: readonly Document[] = Array.isArray(parsed) ? parsed : [];
  const problems: Problem[] = [];
  const declared: Declared[] = [];
  for (const document of documents) {
    for (const { message, pos } of document.errors) {
      problems.push({ line: lines.linePos(pos[0]).line, text: `is no valid YAML: ${message.replace(/\s+/g, ' ')}` });
    }
    if (document.errors.length > 0 || isEmpty(document)) continue;
    const lineAt = (path: Path): number => lineOf(document, lines, path);
    for (const each of instancesOf(document, lineAt, problems)) {
      const { path, raw } = each;
      const result = instanceSchema.safeParse(raw);
      if (result.success) {
        const instance = withNamespace(result.data, namespace);
        problems.push(...namesWrong(instance).map((problem) => placed(problem, path, lineAt)));
        declared.push({ instance, file, line: lineAt(path), path: shownPath(path) });
      } else {
        problems.push(...problemsOf(result.error, raw).map((problem) => placed(problem, path, lineAt)));
      }
    }
  }
  if (problems.length > 0) throw refused(problems.map(({ line, text: what }) => `${file}:${line}: ${what}`));
  if (declared.length === 0) throw refused([`${file}: declares no instance`]);
  return declared;
}

/** @throws CliError where an instance is declared twice. */
export function checkUnique(declared: readonly Declared[]): void {
  const seen = new Map<string, Declared>();
  const problems: string[] = [];
  for (const each of declared) {
    const { namespace, service, id } = each.instance;
    const key = `${namespace}/${service}/${id}`;
    const before = seen.get(key);
    if (before === undefined) seen.set(key, each);
    else problems.push(`${each.file}:${each.line}: ${key} is declared at ${before.file}:${before.line} already`);
  }
  if (problems.length > 0) throw refused(problems);
  if (declared.length > applyBounds.instancesMax) {
    throw refused([`${declared.length} instances are declared, allowed are at most ${applyBounds.instancesMax}`]);
  }
}

function refused(problems: readonly string[]): CliError {
  const shown = problems.slice(0, applyBounds.problemsShown);
  const rest = problems.length - shown.length;
  const message = [...shown, ...(rest > 0 ? [`and ${rest} more`] : [])].join('\n');
  const hint = 'correct the file; `rollcall apply --help` shows one';
  return new CliError(exitCodes.usage, message, hint, { reason: 'INVALID_FIELD', field: fieldIn(shown[0]) });
}

/** `instances[0].id` of `file:3: instances[0].id: ...` */
function fieldIn(problem: string | undefined): string | undefined {
  return /:\d+: ([\w[\].-]+): /.exec(problem ?? '')?.[1];
}

/** Nothing, or comments alone. */
function isEmpty({ contents }: Document): boolean {
  return contents === null || (isScalar(contents) && contents.value === null);
}

interface RawInstance {
  readonly path: Path;
  readonly raw: unknown;
}

function instancesOf(document: Document, lineAt: (path: Path) => number, problems: Problem[]): RawInstance[] {
  const wrong = (path: Path, what: string): RawInstance[] => {
    problems.push({ line: lineAt(path), text: what });
    return [];
  };
  if (!isMap(document.contents)) return wrong([], 'write an instance, or a list of them below `instances`');
  let raw: unknown;
  try {
    raw = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return wrong([], error instanceof Error ? error.message : String(error));
  }
  if (typeof raw !== 'object' || raw === null || !('instances' in raw)) return [{ path: [], raw }];
  const others = Object.keys(raw).filter((key) => key !== 'instances');
  for (const key of others) wrong([key], `${key}: is no key beside \`instances\``);
  const { instances } = raw;
  if (!Array.isArray(instances)) return wrong(['instances'], 'instances: write a list');
  return instances.map((each: unknown, i) => ({ path: ['instances', i], raw: each }));
}

interface FieldProblem {
  readonly path: Path;
  readonly text: string;
}

function problemsOf(error: z.ZodError, raw: unknown): FieldProblem[] {
  return error.issues.flatMap((issue): FieldProblem[] => {
    const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ path: [...path, key], text: 'is no field of an instance' }));
    }
    // Of the two ways to write an endpoint, the one that was meant has the better reason.
    if (issue.code === 'invalid_union') return [{ path, text: unionProblem(issue) }];
    return [{ path, text: isMissing(raw, path) ? `is missing; ${lowered(issue.message)}` : lowered(issue.message) }];
  });
}

function isMissing(raw: unknown, path: Path): boolean {
  const value = path.reduce<unknown>((node, part) => (Object(node) as Record<string | number, unknown>)[part], raw);
  return value === undefined;
}

function unionProblem({ errors, message }: z.core.$ZodIssueInvalidUnion): string {
  const custom = errors.flat().find(({ code }) => code === 'custom');
  const inner = errors.flat().find(({ path }) => path.length > 0);
  if (custom !== undefined) return custom.message;
  return inner === undefined ? message : `${inner.path.join('.')}: ${lowered(inner.message)}`;
}

function lowered(message: string): string {
  return message.replace(/^Invalid input: /, '').replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
}

function withNamespace(parsed: z.output<typeof instanceSchema>, namespace: string): Declared['instance'] {
  const given = Object.fromEntries(Object.entries(parsed).filter(([, value]) => value !== undefined));
  return { namespace, ...given } as Declared['instance'];
}

/** What the client would refuse, told with its place. */
function namesWrong({ namespace, id }: Declared['instance']): FieldProblem[] {
  const checks: readonly (readonly [string, () => void])[] = [
    ['namespace', () => checkName('', namespace)],
    ['id', () => checkInstanceId('', id)],
  ];
  return checks.flatMap(([field, check]) => {
    try {
      check();
      return [];
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      return [{ path: [field], text: error.message.replace(/^: /, '') }];
    }
  });
}

function placed({ path, text: what }: FieldProblem, below: Path, lineAt: (path: Path) => number): Problem {
  const whole = [...below, ...path];
  return { line: lineAt(whole), text: whole.length === 0 ? what : `${shownPath(whole)}: ${what}` };
}

/** `instances[2].endpoints[0]` */
export function shownPath(path: Path): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${part}`)).join('');
}

/** Of the key or item that the path leads to, or of the nearest above it that is there. */
function lineOf(document: Document, lines: LineCounter, path: Path): number {
  let node: unknown = document.contents;
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
  for (const part of path) {
    let place: unknown;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
      place = pair?.key;
      node = pair?.value;
    } else {
      place = node = isSeq(node) && typeof part === 'number' ? node.items[part] : undefined;
    }
    if (!isNode(place)) break;
    offset = place.range?.[0] ?? offset;
  }
  return lines.linePos(offset).line;
}
