// What of docs/reference/cli.md and json.md is printed by the program itself.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { must } from '../../src/base/assert.ts';
import type { CommandModel } from '../../src/cli/completion-model.ts';
import { allCommands, modelOf } from '../../src/cli/completion-model.ts';
import { jsonDocuments } from '../../src/cli/json-documents.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { cli, testIo } from './run-cli.ts';

export const folder = join(import.meta.dirname, '../../docs/reference');

/** Everything behind it is printed; everything before is written by people. */
const mark = /^<!-- From here on .+ -->\n/m;

/** The page with its printed part as it must be. */
export function withPrinted(page: string, printed: string): string {
  const text = readFileSync(join(folder, page), 'utf8');
  const found = must(mark.exec(text), `the mark in ${page}`);
  return `${text.slice(0, found.index + found[0].length)}\n${printed}`;
}

export function commands(): CommandModel[] {
  const program = buildProgram(testIo(), { command: undefined, quietErrors: true, done: () => {} });
  // The help of help is that of the others.
  return allCommands(modelOf(program)).filter(({ path }) => path !== 'help');
}

export async function helpOf({ path }: CommandModel): Promise<string> {
  const words = path === '' ? [] : path.split(' ');
  const { stdout } = await cli(...words, '--help');
  return stdout;
}

export async function printedCommands(): Promise<string> {
  const parts: string[] = [];
  for (const command of commands()) {
    const title = command.path === '' ? 'rollcall' : `rollcall ${command.path}`;
    parts.push(`## \`${title}\`\n\n\`\`\`text\n${(await helpOf(command)).trimEnd()}\n\`\`\`\n`);
  }
  return parts.join('\n');
}

interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string;
  readonly description?: string;
  readonly const?: unknown;
  readonly enum?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | false;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
}

/** A table for each document, then one for each part that they have in common. */
export function printedDocuments(): string {
  const documents: string[] = [];
  const parts = new Map<string, JsonSchema>();
  for (const [name, schema] of Object.entries(jsonDocuments)) {
    const { $defs = {}, ...described } = z.toJSONSchema(schema) as JsonSchema;
    documents.push(tableOf(name, described));
    for (const [id, part] of Object.entries($defs)) parts.set(id, part);
  }
  const shared = [...parts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, part]) => tableOf(id, part));
  return `## Documents\n\n${documents.join('\n')}\n## Parts\n\n${shared.join('\n')}`;
}

function tableOf(name: string, schema: JsonSchema): string {
  const title = `### \`${name}\`\n`;
  if (schema.anyOf !== undefined) return `${title}\nOne of ${schema.anyOf.map(typeOf).join(', ')}.\n`;
  const rows = Object.entries(schema.properties ?? {}).map(([field, value]) => {
    const absent = schema.required?.includes(field) === true ? '' : ' (may be absent)';
    return `| \`${field}\` | ${typeOf(value)}${absent} | ${value.description ?? partMeaning(value)} |`;
  });
  return `${title}\n| field | type | meaning |\n|---|---|---|\n${rows.join('\n')}\n`;
}

function typeOf(schema: JsonSchema): string {
  if (schema.$ref !== undefined) return partLink(schema.$ref);
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.type === 'array') return `list of ${typeOf(must(schema.items, 'the items of a list'))}`;
  if (schema.type === 'object') return 'map of text to text';
  if (schema.type === 'string') return 'text';
  if (schema.type === 'integer') return 'whole number';
  return must(schema.type, 'a type');
}

/** What has a table of its own says there what it is. */
function partMeaning({ $ref }: JsonSchema): string {
  must($ref, 'a description');
  return '';
}

function partLink(reference: string): string {
  const id = must(reference.split('/').at(-1), 'the name of a part');
  return `[${id}](#${id})`;
}
