import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { HostPort } from './config-fields.ts';
import { formatHostPort } from './config-fields.ts';
import { ConfigError, parseConfig } from './config-load.ts';
import type { CheckedConfig } from './config-schema.ts';

/** One of the members that a cluster is formed of; addresses as `host:port`. */
export interface ConfiguredMember {
  readonly id: string;
  readonly peerAddress: string;
  readonly clientAddress: string;
}

/** The settings of one member, complete and checked; cluster-configs/ says what each means. */
export interface MemberConfig {
  readonly memberId: string;
  /** Absolute. */
  readonly dataDirectory: string;
  readonly initialMembers: readonly ConfiguredMember[];
  readonly listen: { readonly client: HostPort; readonly peer: HostPort; readonly http: HostPort };
  /** This member's own, from `initialMembers`. */
  readonly peerAddress: string;
  readonly clientAddress: string;
  /** Members of a running cluster, as clients reach them, which take this one in; none: it forms one. */
  readonly join: readonly string[];
  /** It joins as a learner that stays one. */
  readonly learner: boolean;
  readonly insecure: boolean;
  readonly stopGraceMs: number;
  readonly consensusThread: boolean;
  readonly raft: CheckedConfig['raft'];
  readonly limits: CheckedConfig['limits'];
  readonly log: CheckedConfig['log'];
  readonly storage: CheckedConfig['storage'];
  /** Allowed and rarely meant; for the log. */
  readonly warnings: readonly string[];
}

/** A file that is larger is no configuration. */
const fileBytesMax = 1024 * 1024;

/**
 * Reads and checks a member's configuration; touches no other file.
 *
 * @param workingDirectory What a relative `dataDirectory` is relative to.
 * @throws ConfigError with every problem at once, also where the file cannot be read.
 */
export async function loadConfig(file: string, workingDirectory: string): Promise<MemberConfig> {
  return memberConfigOf(await readText(file, workingDirectory), file, workingDirectory);
}

/** The same from the text of a file. */
export function memberConfigOf(text: string, file: string, workingDirectory: string): MemberConfig {
  const { config, warnings } = parseConfig(text, file);
  const initialMembers = config.initialMembers.map(({ id, peer, client }) => ({
    id,
    peerAddress: formatHostPort(peer),
    clientAddress: formatHostPort(client),
  }));
  const own = initialMembers.find(({ id }) => id === config.memberId);
  if (own === undefined) throw new ConfigError([`${file}:1: memberId: is not in initialMembers`]);
  return {
    ...config,
    initialMembers,
    dataDirectory: resolve(workingDirectory, config.dataDirectory),
    peerAddress: own.peerAddress,
    clientAddress: own.clientAddress,
    join: config.join.map(formatHostPort),
    warnings,
  };
}

async function readText(file: string, workingDirectory: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(resolve(workingDirectory, file));
  } catch (error) {
    throw new ConfigError([`${file}: ${whyUnreadable(error)}`]);
  }
  if (bytes.length > fileBytesMax) {
    throw new ConfigError([`${file}: has ${bytes.length} bytes, a configuration has at most ${fileBytesMax}`]);
  }
  return bytes.toString('utf8');
}

function whyUnreadable(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file; copy cluster-configs/single.yaml to begin with';
  if (code === 'EISDIR') return 'is a directory; name the file in it';
  if (code === 'EACCES') return 'may not be read by this user; change its permissions';
  return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
}
