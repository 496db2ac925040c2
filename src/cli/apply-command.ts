import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import type { RollcallClient } from '../client/client.ts';
import { ClientError } from '../client/client-error.ts';
import type { BatchRegistered } from '../client/types.ts';
import { applyBounds } from './apply-bounds.ts';
import type { Declared } from './apply-file.ts';
import type { CliContext, CliIo } from './context.ts';
import { contextOf, withClient } from './context.ts';
import { CliError, cliErrorOf, exitCodes } from './exit-codes.ts';
import type { JsonFields } from './json-documents.ts';
import { counted } from './render.ts';
import { collecting } from './values.ts';

const examples = `
A file holds one or many documents of YAML or JSON. Each is one instance, or has
a list of them below "instances":

  instances:
    - service: db
      id: db-1
      endpoints: [sql=postgres://10.0.0.9:5432]
      metadata: { role: primary }
    - service: db
      id: db-2
      endpoints:
        - { name: sql, protocol: postgres, address: 10.0.0.10, port: 5432 }
      version: 16.4.0
      weight: 50
      tags: [replica]
      region: eu-1
      zone: eu-1a

Fields: namespace (default: --namespace), service, id, endpoints, version,
weight, tags, metadata, region, zone, status.

Examples:
  rollcall apply -f databases.yaml
  rollcall apply -f databases.yaml -f queues.json --dry-run
  ./inventory.sh | rollcall apply -f - --output json`;

export function addApplyCommand(program: Command, io: CliIo, done: (exitCode: number) => void): void {
  const apply = program
    .command('apply')
    .summary('register what files declare, to stay')
    .description(
      'Registers the instances that files declare, so that they stay until they are deregistered. What is there with ' +
        'the same content already is left alone. Batches of at most 1,000 are registered whole or not at all.',
    )
    .requiredOption(
      '-f, --file <file>',
      'file of YAML or JSON, - for standard input; may be repeated',
      collecting(String),
    )
    .option('--dry-run', 'check, and print what would be sent')
    .addHelpText('after', examples)
    .action(async ({ file: files, dryRun }: { readonly file: readonly string[]; readonly dryRun?: true }) => {
      const context = contextOf(apply, io);
      const batches = batchesOf(await readDeclared(files, context));
      if (dryRun === true) {
        const plan = batches.map((batch) => batch.map(({ instance }) => instance));
        await context.output.json('rollcall.apply-request.v1', { dryRun: true, batches: plan });
      } else {
        await withClient(context, (client) => applyAll(client, context, batches));
      }
      done(exitCodes.ok);
    });
}

async function readDeclared(files: readonly string[], { io, namespace }: CliContext): Promise<Declared[]> {
  if (files.filter((file) => file === '-').length > 1) {
    const hint = 'give it once; one text may hold many documents';
    throw new CliError(exitCodes.usage, 'standard input is given twice', hint, { field: 'file' });
  }
  // It brings a checker of fields along, which no other command needs.
  const { checkUnique, parseDeclared } = await import('./apply-file.ts');
  const declared: Declared[] = [];
  let bytes = 0;
  for (const file of files) {
    const content = await contentOf(file, io, applyBounds.bytesMax - bytes);
    bytes += Buffer.byteLength(content);
    declared.push(...parseDeclared(content, file, namespace));
  }
  checkUnique(declared);
  return declared;
}

async function contentOf(file: string, io: CliIo, bytesMax: number): Promise<string> {
  if (file === '-') return readAll(io.stdin(), bytesMax);
  const path = resolve(io.workingDirectory, file);
  try {
    if ((await stat(path)).size > bytesMax) throw tooLarge();
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(exitCodes.usage, `${file} ${whyUnread(error)}`, 'name a file that can be read', {
      field: 'file',
    });
  }
}

function whyUnread(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'is not there';
  if (code === 'EACCES') return 'may not be read by this user';
  if (code === 'EISDIR') return 'is a directory';
  return `cannot be read: ${message}`;
}

async function readAll(stream: Readable, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer | string>) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > bytesMax) throw tooLarge();
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function tooLarge(): CliError {
  const message = `the files have more than ${applyBounds.bytesMax / 1024 / 1024} MiB together`;
  return new CliError(exitCodes.usage, message, 'apply them one after the other', { field: 'file' });
}

/** In the order declared, each batch as large as one call may be. */
export function batchesOf(declared: readonly Declared[]): Declared[][] {
  const batches: Declared[][] = [];
  let bytes = 0;
  for (const each of declared) {
    const size = Buffer.byteLength(JSON.stringify(each.instance));
    const batch = batches.at(-1);
    bytes += size;
    if (batch !== undefined && batch.length < applyBounds.batchInstancesMax && bytes <= applyBounds.batchBytesMax) {
      batch.push(each);
    } else {
      batches.push([each]);
      bytes = size;
    }
  }
  return batches;
}

type Applied = JsonFields<'rollcall.apply.v1'>['instances'][number];
const outcomes = { registered: 'registered', replaced: 'replaced', kept: 'unchanged' } as const;

async function applyAll(client: RollcallClient, context: CliContext, batches: readonly Declared[][]): Promise<void> {
  const { output } = context;
  const applied: Applied[] = [];
  let member = '';
  let failure: CliError | undefined;
  for (const batch of batches) {
    try {
      const answer = await client.batchRegister({
        instances: batch.map(({ instance }) => ({ ...instance, keepEqual: true })),
        lifetime: { persistent: true },
      });
      ({ member } = answer.header);
      const told = outcomesOf(batch, answer);
      applied.push(...told);
      if (output.format === 'table') {
        await output.lines(
          told.map(({ outcome, service, id, incarnation }) => line(outcome, service, id, incarnation)),
        );
      }
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      failure = refusedBy(error, batch);
      break;
    }
  }
  const count = (wanted: Applied['outcome']): number => applied.filter(({ outcome }) => outcome === wanted).length;
  const registered = count('registered');
  const replaced = count('replaced');
  const unchanged = count('unchanged');
  if (output.format === 'json') {
    if (failure === undefined || applied.length > 0) {
      await output.json('rollcall.apply.v1', { registered, replaced, unchanged, instances: applied, member });
    }
  } else {
    const left = batches.flat().length - applied.length;
    const rest = left === 0 ? '' : `, ${counted(left, 'instance')} not applied`;
    output.message(`${registered} registered, ${replaced} replaced, ${unchanged} unchanged${rest}`);
  }
  if (failure !== undefined) throw failure;
}

function line(outcome: string, service: string, id: string, incarnation: number): string {
  return `${outcome.padEnd('registered'.length)}  ${service}/${id}: incarnation ${incarnation}`;
}

function outcomesOf(batch: readonly Declared[], { header, results }: BatchRegistered): Applied[] {
  return batch.map(({ instance, file }, i): Applied => {
    const { namespace, service, id } = instance;
    const { status, incarnation } = results[i] ?? { status: 'unrecognised', incarnation: 0 };
    const outcome = status === 'unrecognised' ? status : outcomes[status];
    return { file, namespace, service, id, outcome, incarnation, revision: header.revision };
  });
}

/** Members name the item of the batch; the user knows the place in the file. */
function refusedBy(error: ClientError, batch: readonly Declared[]): CliError {
  const told = cliErrorOf(error);
  const [whole = '', index = '', field = ''] = /^items\[(\d+)\](?:\.instance)?\.?(.*)$/.exec(error.field ?? '') ?? [];
  const declared = batch[Number(index)];
  if (whole === '' || declared === undefined) return told;
  const { file, line: at, path } = declared;
  const place = [path, field].filter((part) => part !== '').join('.');
  const text = told.message.replace(whole, '').replace(/^: /, '');
  const { hint, reason, code, mayHaveApplied } = told;
  const message = `${file}:${at}: ${place === '' ? '' : `${place}: `}${text}`;
  return new CliError(told.exitCode, message, hint, { reason, code, mayHaveApplied, field: place });
}
