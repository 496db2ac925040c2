import { assert, must } from '../base/assert.ts';
import { StorageError } from '../base/errors.ts';
import { decodeCheckedJson, encodeCheckedJson } from './checked-json.ts';
import type { Disk } from './disk.ts';
import type { Identity, IdentityFile, InitialMember } from './identity.ts';
import { removeTemporary, replaceFile } from './replace-file.ts';
import { isHex, recordOf } from './strict-json.ts';

/** The file below the disk's root. */
export const identityPath = 'identity.json';

const membersMax = 100;
const nameCharactersMax = 256;
const advice =
  'Nothing was changed on disk, and the directory is not taken for an empty one. Bring the file back as it was, or ' +
  'replace this member by a new one with an empty directory';

const phases = ['empty', 'forming', 'formed'] as const;

/**
 * Reads the identity of this directory; what is read is durable when this resolves.
 *
 * @throws StorageError 'damaged' where there is a file but not a whole one: it is never taken for an empty directory.
 */
export async function openIdentity(disk: Disk): Promise<StoredIdentity> {
  // The rename that made the file may not be durable yet.
  await disk.syncDirectory('');
  await removeTemporary(disk, identityPath);
  const content = await disk.read(identityPath);
  if (content === undefined) return new StoredIdentity(disk, undefined);
  const identity = identityOf(decodeCheckedJson(identityPath, content, advice));
  if (identity === undefined) {
    throw new StorageError('damaged', identityPath, `holds no identity of format 1. ${advice}`);
  }
  return new StoredIdentity(disk, identity);
}

/** Who the directory is, on disk; see `openIdentity`. */
export class StoredIdentity implements IdentityFile {
  readonly #disk: Disk;
  #current: Identity | undefined;
  #writing = false;

  constructor(disk: Disk, current: Identity | undefined) {
    this.#disk = disk;
    this.#current = current;
  }

  get current(): Identity | undefined {
    return this.#current;
  }

  async write(identity: Identity): Promise<void> {
    assert(!this.#writing, 'two writes of the identity at a time');
    assertFollows(identity, this.#current);
    this.#writing = true;
    try {
      const content = encodeIdentity(identity);
      const readBack = must(identityOf(decodeCheckedJson(identityPath, content, advice)), 'identity, read back');
      await replaceFile(this.#disk, identityPath, content);
      this.#current = readBack;
    } finally {
      this.#writing = false;
    }
  }
}

/**
 * Throws StorageError 'refused' unless the directory is this member's and, where `clusterId` is given, of this cluster.
 */
export function checkIdentity(
  identity: Identity,
  expected: { readonly memberId: string; readonly clusterId?: string },
): void {
  if (identity.memberId !== expected.memberId) {
    throw new StorageError(
      'refused',
      identityPath,
      `the directory belongs to member ${identity.memberId}, not to ${expected.memberId}. Start ` +
        `${identity.memberId} with it, or give ${expected.memberId} a directory of its own`,
    );
  }
  const { clusterId } = expected;
  if (clusterId === undefined || identity.clusterId === clusterId) return;
  const belongs = identity.clusterId === '' ? 'to no cluster yet' : `to cluster ${identity.clusterId}`;
  throw new StorageError(
    'refused',
    identityPath,
    `the directory of member ${identity.memberId} belongs ${belongs}, not to ${clusterId}. Give the member the ` +
      `directory that it had in that cluster, or an empty one and a new name`,
  );
}

function encodeIdentity(identity: Identity): Buffer {
  const { format, memberId, directoryId, clusterId, phase, initialMembers } = identity;
  const members = initialMembers.map(({ id, peerAddress }) => ({ id, peerAddress }));
  return encodeCheckedJson({ format, memberId, directoryId, clusterId, phase, initialMembers: members });
}

/** A directory keeps its member and its own id for ever, and its cluster once that has formed. */
function assertFollows(next: Identity, previous: Identity | undefined): void {
  if (previous === undefined) return;
  for (const name of ['memberId', 'directoryId'] as const) {
    assert(next[name] === previous[name], () => `${name} changes from ${previous[name]} to ${next[name]}`);
  }
  if (previous.phase !== 'formed') return;
  assert(next.phase === 'formed' && next.clusterId === previous.clusterId, () => {
    return `a formed identity of cluster ${previous.clusterId} becomes ${next.phase} of cluster ${next.clusterId}`;
  });
}

function identityOf(value: unknown): Identity | undefined {
  const names = ['format', 'memberId', 'directoryId', 'clusterId', 'phase', 'initialMembers'] as const;
  const record = recordOf(value, names);
  if (record === undefined || record.format !== 1) return undefined;
  const { memberId, directoryId, clusterId } = record;
  const phase = phases.find((one) => one === record.phase);
  const initialMembers = membersOf(record.initialMembers);
  if (!isName(memberId) || !isHex(directoryId, 32) || phase === undefined || initialMembers === undefined) {
    return undefined;
  }
  // The cluster id is known exactly from `forming` on.
  if (phase === 'empty') {
    return clusterId === '' ? { format: 1, memberId, directoryId, clusterId, phase, initialMembers } : undefined;
  }
  if (!isHex(clusterId, 32)) return undefined;
  return { format: 1, memberId, directoryId, clusterId, phase, initialMembers };
}

function membersOf(value: unknown): readonly InitialMember[] | undefined {
  if (!Array.isArray(value) || value.length > membersMax) return undefined;
  const members: InitialMember[] = [];
  for (const one of value) {
    const record = recordOf(one, ['id', 'peerAddress']);
    if (record === undefined || !isName(record.id) || !isName(record.peerAddress)) return undefined;
    const before = members.at(-1);
    if (before !== undefined && before.id >= record.id) return undefined;
    members.push({ id: record.id, peerAddress: record.peerAddress });
  }
  return members;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= nameCharactersMax;
}
