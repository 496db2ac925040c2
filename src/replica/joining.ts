import { RollcallError, StorageError } from '../base/errors.ts';
import { noMembership } from '../raft/membership.ts';
import type { MemberId } from '../raft/types.ts';
import type { Identity, IdentityFile } from '../storage/identity.ts';
import type { PeerAddress } from '../transport/types.ts';
import type { RecordedMembership } from './cluster-admin.ts';
import type { ConsensusPort } from './consensus-port.ts';

/** How a member comes into a cluster that runs already. */
export interface JoinOptions {
  /**
   * Asks the cluster to take in the member that listens for peers at this address, until it has. Rejects with
   * RollcallError where it does not.
   */
  readonly ask: (peerAddress: string) => Promise<RecordedMembership>;
}

export interface Joined {
  readonly identity: Identity;
  /** Who may speak to this member until it knows its cluster from its own log. */
  readonly sponsors: readonly PeerAddress[];
}

export interface JoiningOptions {
  readonly join: JoinOptions;
  readonly peerAddress: string;
  readonly identityFile: IdentityFile;
  readonly consensus: ConsensusPort;
  /** Resolves when the member is to stop. */
  readonly stopped: Promise<void>;
}

/**
 * Makes an empty member one of a running cluster: the cluster takes it in as a learner, and it writes down whose it is.
 * Its log is empty and names no member: it learns them from the first leader that feeds it. May be done again after a
 * crash at any moment, since the cluster takes the same member in only once. undefined: it was stopped meanwhile.
 */
export async function joinCluster(own: Identity, options: JoiningOptions): Promise<Joined | undefined> {
  const membership = await askSponsors(own.memberId, options);
  if (membership === undefined) return undefined;
  const { identityFile, consensus, peerAddress } = options;
  // Whoever the cluster has found at the address, it was not this member.
  if (!membership.members.some(({ memberId }) => memberId === own.memberId)) throw notNamed(own, peerAddress);
  const sponsors = sponsorsOf(membership, own.memberId);
  if (own.phase === 'formed') {
    if (own.clusterId !== membership.clusterId) throw otherCluster(own, membership.clusterId);
    return { identity: own, sponsors };
  }
  // Before the identity says so: a formed member has a log.
  await consensus.create(noMembership);
  const identity: Identity = { ...own, clusterId: membership.clusterId, phase: 'formed', initialMembers: [] };
  await identityFile.write(identity);
  return { identity, sponsors };
}

async function askSponsors(
  memberId: MemberId,
  { join, peerAddress, stopped }: JoiningOptions,
): Promise<RecordedMembership | undefined> {
  try {
    return await Promise.race([join.ask(peerAddress), stopped.then(() => undefined)]);
  } catch (error) {
    if (!(error instanceof RollcallError)) throw error;
    throw new StorageError('refused', 'identity', `the cluster does not take member ${memberId} in: ${error.message}`, {
      cause: error,
    });
  }
}

function sponsorsOf({ members }: RecordedMembership, own: MemberId): PeerAddress[] {
  return members
    .filter(({ memberId }) => memberId !== own)
    .map(({ memberId, directoryId, peerAddress }) => ({ memberId, directoryId, address: peerAddress }));
}

/** A member that was taken in, was stopped before it heard of anybody, and is not told whom to ask. */
export function knowsNobody({ memberId, clusterId }: Identity): StorageError {
  const problem = `member ${memberId} has joined cluster ${clusterId} and has not heard of any of its members yet`;
  return new StorageError('refused', 'log', `${problem}. Start it with --join ADDRESS once more.`);
}

function notNamed({ memberId }: Identity, peerAddress: string): StorageError {
  const problem = `the cluster answers, and does not name member ${memberId} among its members`;
  const advice = `See to it that ${peerAddress} leads to this member from all others, and start it again`;
  return new StorageError('refused', 'identity', `${problem}. ${advice}.`);
}

function otherCluster(own: Identity, clusterId: string): StorageError {
  const problem = `this directory belongs to cluster ${own.clusterId}, --join leads to cluster ${clusterId}`;
  return new StorageError('refused', 'identity', `${problem}. Join with an empty directory.`);
}
