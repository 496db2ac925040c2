import type { Document, Node } from 'yaml';
import { isCollection, isMap, isPair, isScalar, LineCounter, parseDocument } from 'yaml';
import type * as z from 'zod';
import type { ConfigProblem, PartialConfig } from './config-checks.ts';
import { checkTogether, warningsOf } from './config-checks.ts';
import type { CheckedConfig } from './config-schema.ts';
import { configSchema, keyNamesBelow } from './config-schema.ts';

/** All that is wrong with a configuration file, each with its line and what to write instead. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** `file:line: key: problem; what to write`, in the order of the lines. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

export interface ParsedConfig {
  readonly config: CheckedConfig;
  /** In the form of ConfigError.problems. */
  readonly warnings: readonly string[];
}

type Path = readonly (string | number)[];

/** A problem with the place it is told at. */
interface Placed {
  readonly line: number;
  readonly text: string;
}

/**
 * Reads a member's configuration from the text of a YAML file. Pure: no file, no environment.
 *
 * @param file Name of the file, for the messages.
 * @throws ConfigError with every problem at once.
 */
export function parseConfig(text: string, file: string): ParsedConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: '1.2' });
  if (document.errors.length > 0) {
    fail(
      file,
      document.errors.map(({ message, pos }) => ({
        line: lines.linePos(pos[0]).line,
        text: `is no valid YAML: ${message.replace(/\s+/g, ' ')}`,
      })),
    );
  }
  const { contents } = document;
  if (!isMap(contents))
    fail(file, [{ line: 1, text: 'holds no keys; see cluster-configs/single.yaml for all of them' }]);
  const raw: unknown = document.toJS({ maxAliasCount: 100 });
  const place = (problem: ConfigProblem): Placed => ({
    line: lineOf(document, lines, problem.path),
    text: `${shownPath(problem.path)}: ${problem.text}`,
  });
  const parsed = configSchema.safeParse(raw);
  const problems = parsed.success ? [] : problemsOf(parsed.error);
  problems.push(...checkTogether(wellFormedParts(raw)));
  if (problems.length > 0 || !parsed.success) fail(file, problems.map(place));
  return { config: parsed.data, warnings: shownProblems(file, warningsOf(parsed.data).map(place)) };
}

function fail(file: string, problems: readonly Placed[]): never {
  throw new ConfigError(shownProblems(file, problems));
}

function shownProblems(file: string, problems: readonly Placed[]): string[] {
  return problems.toSorted((a, b) => a.line - b.line).map(({ line, text }) => `${file}:${line}: ${text}`);
}

function problemsOf(error: z.ZodError): ConfigProblem[] {
  return error.issues.flatMap((issue): ConfigProblem[] => {
    const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ path: [...path, key], text: unknownKey(key, keyNamesBelow(path)) }));
    }
    // Only groups of keys are checked by zod itself.
    if (issue.code === 'invalid_type' && issue.expected === 'object') {
      const names = keyNamesBelow(path).join(', ');
      return [{ path, text: `is not a group of keys; write ${names} below it` }];
    }
    return [{ path, text: issue.message }];
  });
}

function unknownKey(key: string, allowed: readonly string[]): string {
  const nearest = allowed
    .map((name) => ({ name, distance: editDistance(key.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const isNear = nearest !== undefined && nearest.distance <= Math.max(2, Math.floor(nearest.name.length / 3));
  const instead = isNear ? `did you mean ${nearest.name}?` : `write one of ${allowed.join(', ')}`;
  return `is no key of the configuration; ${instead}`;
}

/** Levenshtein's distance: single characters put in, taken out or replaced. */
function editDistance(from: string, to: string): number {
  const compared = from.slice(0, 64);
  let previous = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= compared.length; i++) {
    const current = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (compared[i - 1] === to[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}

/** What of the file can be compared with each other: every key that has no problem of its own. */
function wellFormedParts(raw: unknown): PartialConfig {
  const { shape } = configSchema;
  const { memberId, insecure, initialMembers, listen, raft } = raw as Readonly<Record<string, unknown>>;
  const top = partsOf(configSchema.pick({ memberId: true, insecure: true }), { memberId, insecure });
  const members: readonly unknown[] = Array.isArray(initialMembers) ? initialMembers : [];
  return {
    ...top,
    initialMembers: members.map((member) => partsOf(shape.initialMembers.def.element, member)),
    listen: partsOf(shape.listen, listen),
    raft: partsOf(shape.raft.def.innerType, raft ?? {}),
  };
}

/** The keys of a group that are well formed, each by itself. */
function partsOf<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  raw: unknown,
): { [Key in keyof Shape]?: z.output<Shape[Key]> } {
  const parts: { [Key in keyof Shape]?: z.output<Shape[Key]> } = {};
  if (typeof raw !== 'object' || raw === null) return parts;
  for (const key of Object.keys(schema.shape) as (keyof Shape & string)[]) {
    const result = (schema.shape[key] as z.ZodType).safeParse((raw as Record<string, unknown>)[key]);
    if (result.success) parts[key] = result.data as z.output<Shape[typeof key]>;
  }
  return parts;
}

/** `initialMembers[1].peer` */
function shownPath(path: Path): string {
  let shown = '';
  for (const part of path) {
    if (typeof part === 'number') shown += `[${part}]`;
    else shown += shown === '' ? part : `.${part}`;
  }
  return shown;
}

/** The line of the key that the path leads to, or of the nearest one above it that is in the file. */
function lineOf(document: Document, lines: LineCounter, path: Path): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const part of path) {
    if (!isCollection(node)) break;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
      if (!isPair(pair)) break;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else {
      const item: unknown = typeof part === 'number' ? node.items[part] : undefined;
      if (item === undefined) break;
      offset = (item as Node).range?.[0] ?? offset;
      node = item;
    }
  }
  return lines.linePos(offset).line;
}
