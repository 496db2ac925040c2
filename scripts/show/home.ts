import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Document, parseDocument } from 'yaml';
import { type MemberPlan, planMembers } from '../cluster/process-cluster.ts';

/** Where a run keeps what outlives it, and the members it starts. */
export interface Home {
  readonly directory: string;
  readonly logDirectory: string;
  /** Where the members run. */
  readonly workingDirectory: string;
  /** See run-record.ts. */
  readonly recordFile: string;
  readonly plans: readonly MemberPlan[];
}

const root = join(import.meta.dirname, '../..');
const shippedConfigurations = join(root, 'cluster-configs/three-members');
export const memberIds = ['a', 'b', 'c'] as const;

/** `.rollcall/` of the repository, with the configurations that are shipped. */
export function defaultHome(): Home {
  return homeIn(join(root, '.rollcall'), root, shippedConfigurations);
}

/**
 * A directory of the user's own. Its configurations are copies of those that are shipped, made anew each time, with
 * ports that were free the first time: the data remembers the members' addresses.
 */
export async function homeAt(directory: string): Promise<Home> {
  const absolute = resolve(directory);
  mkdirSync(absolute, { recursive: true });
  const copies = memberIds.map((id) => join(absolute, `${id}.yaml`));
  const plans = copies.every((file) => existsSync(file)) ? copies.map(readPlan) : await planMembers(copies.length);
  for (const plan of plans) writeFileSync(join(absolute, `${plan.id}.yaml`), configurationOf(plan, plans, absolute));
  return homeIn(absolute, absolute, absolute);
}

/** Keeps each log of the run before as `<id>.previous.log`, so that the logs of this one begin empty. */
export function rotateLogs(home: Home): void {
  for (const { id } of home.plans) {
    const file = join(home.logDirectory, `${id}.log`);
    if (!existsSync(file)) continue;
    const previous = join(home.logDirectory, `${id}.previous.log`);
    rmSync(previous, { force: true });
    renameSync(file, previous);
  }
}

function homeIn(directory: string, workingDirectory: string, configurations: string): Home {
  return {
    directory,
    logDirectory: join(directory, 'logs'),
    workingDirectory,
    recordFile: join(directory, 'show.json'),
    plans: memberIds.map((id) => readPlan(join(configurations, `${id}.yaml`))),
  };
}

function readPlan(file: string): MemberPlan {
  const configuration = readConfiguration(file);
  const id: unknown = configuration.get('memberId');
  if (typeof id !== 'string') throw new Error(`${file}: no memberId`);
  const port = (use: string): number => portOf(configuration.getIn(['listen', use]), `${file}: listen.${use}`);
  return { id, client: port('client'), peer: port('peer'), http: port('http'), configuration: file };
}

function portOf(address: unknown, what: string): number {
  const port = typeof address === 'string' ? Number(/^127\.0\.0\.1:(\d+)$/.exec(address)?.[1]) : Number.NaN;
  if (!Number.isInteger(port)) throw new Error(`${what} is ${String(address)}, expected 127.0.0.1:<port>`);
  return port;
}

/** The text of the configuration that is shipped, with other addresses and another directory. */
function configurationOf(own: MemberPlan, plans: readonly MemberPlan[], directory: string): string {
  const configuration = readConfiguration(join(shippedConfigurations, `${own.id}.yaml`));
  configuration.set('dataDirectory', join(directory, own.id));
  configuration.set(
    'initialMembers',
    plans.map(({ id, client, peer }) => ({ id, peer: `127.0.0.1:${peer}`, client: `127.0.0.1:${client}` })),
  );
  for (const use of ['client', 'peer', 'http'] as const) {
    configuration.setIn(['listen', use], `127.0.0.1:${own[use]}`);
  }
  return String(configuration);
}

function readConfiguration(file: string): Document {
  const document = parseDocument(readFileSync(file, 'utf8'));
  const [error] = document.errors;
  if (error !== undefined) throw new Error(`${file}: ${error.message}`);
  return document;
}
