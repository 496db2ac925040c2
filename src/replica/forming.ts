import { must } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { membersOf, votersOnly } from '../raft/membership.ts';
import type { MembershipRecord } from '../storage/entry-log.ts';
import type { Identity, IdentityFile, InitialMember } from '../storage/identity.ts';
import type { FormState } from '../transport/types.ts';
import type { ConsensusPort } from './consensus-port.ts';

const askEveryMs = 100;
const askTimeoutMs = 1_000;

export interface FormingOptions {
  readonly identityFile: IdentityFile;
  readonly consensus: Pick<ConsensusPort, 'askForm'>;
  readonly clock: Clock;
  readonly random: Random;
  /** Sorted by id, this member among them. */
  readonly initialMembers: readonly InitialMember[];
  /** Makes the empty log with this membership, before the identity says formed. May be called again after a crash. */
  readonly prepare: (membership: MembershipRecord) => Promise<void>;
  /** The identity on disk is another: those that ask are to hear of it. */
  readonly onChanged: () => void;
  /** Told whenever it changes whom or what the member waits for. */
  readonly onWaiting: (text: string) => void;
  readonly isStopping: () => boolean;
}

export interface Formed {
  readonly identity: Identity;
  readonly membership: MembershipRecord;
}

/**
 * Forms a cluster out of members with empty directories (design section 4, Identity). Only when every listed member
 * answers with the same list does the lowest id draw the cluster id; each syncs it as forming, and none may vote before
 * it has seen that all have. Resolves with undefined where the member is stopped meanwhile; rejects with a StorageError
 * of kind 'refused' where this directory has no place in the cluster it found.
 */
export async function form(options: FormingOptions): Promise<Formed | undefined> {
  let waiting = '';
  for (;;) {
    if (options.isStopping()) return undefined;
    const own = must(options.identityFile.current, 'identity of a forming member');
    const answers = await askAll(options, own);
    refuseForeign(own, answers);
    const step = nextStep(options, own, answers);
    if (step.kind === 'write') {
      await options.identityFile.write(step.identity);
      options.onChanged();
      continue;
    }
    if (step.kind === 'formed') {
      await options.prepare(step.membership);
      const identity: Identity = { ...own, phase: 'formed' };
      await options.identityFile.write(identity);
      options.onChanged();
      return { identity, membership: step.membership };
    }
    if (step.waitingFor !== waiting) {
      waiting = step.waitingFor;
      options.onWaiting(waiting);
    }
    await pause(options.clock);
  }
}

/** What a member says of itself to those that ask. */
export function formStateOf(identity: Identity, membership: MembershipRecord | undefined): FormState {
  return {
    memberId: identity.memberId,
    directoryId: identity.directoryId,
    phase: identity.phase,
    clusterId: identity.clusterId,
    initialMembers: identity.initialMembers,
    members: membership === undefined ? [] : membersOf(membership),
  };
}

type Step =
  | { readonly kind: 'write'; readonly identity: Identity }
  | { readonly kind: 'formed'; readonly membership: MembershipRecord }
  | { readonly kind: 'wait'; readonly waitingFor: string };

type Answers = ReadonlyMap<string, FormState | undefined>;

function nextStep(options: FormingOptions, own: Identity, answers: Answers): Step {
  const joining = [...answers].filter(([, answer]) => answer?.phase === 'joining').map(([id]) => id);
  if (joining.length > 0) return { kind: 'wait', waitingFor: joiningInstead(joining) };
  const silent = [...answers].filter(([, answer]) => answer === undefined).map(([id]) => id);
  if (silent.length > 0) return { kind: 'wait', waitingFor: `an answer from ${silent.join(', ')}` };
  const others = [...answers.values()].map((answer) => must(answer, 'answer of a member'));
  const differing = others.filter((answer) => listOf(answer.initialMembers) !== listOf(own.initialMembers));
  if (differing.length > 0) return { kind: 'wait', waitingFor: differingLists(own, differing) };
  const drawn = clusterIdInUse(own, others);
  if (drawn === '') {
    const lowest = must(options.initialMembers[0], 'first initial member').id;
    if (lowest !== own.memberId) return { kind: 'wait', waitingFor: `${lowest} to draw the cluster id` };
    const clusterId = Buffer.from(options.random.bytes('cluster-id', 16)).toString('hex');
    return { kind: 'write', identity: { ...own, phase: 'forming', clusterId } };
  }
  if (own.clusterId !== drawn) return { kind: 'write', identity: { ...own, phase: 'forming', clusterId: drawn } };
  const behind = others.filter((answer) => answer.phase === 'empty' || answer.clusterId !== drawn);
  if (behind.length > 0) {
    return { kind: 'wait', waitingFor: `${behind.map((answer) => answer.memberId).join(', ')} to take the cluster id` };
  }
  return { kind: 'formed', membership: membershipOf(options, own, others) };
}

/**
 * The cluster id to take: that of a formed member, else that of the forming member with the lowest id (none has voted,
 * so any would do as long as all take the same), else ''.
 */
function clusterIdInUse(own: Identity, others: readonly FormState[]): string {
  const all = [...others, own].filter((state) => state.clusterId !== '');
  const formed = all.find((state) => state.phase === 'formed');
  if (formed !== undefined) return formed.clusterId;
  all.sort((a, b) => (a.memberId < b.memberId ? -1 : 1));
  return all[0]?.clusterId ?? '';
}

function membershipOf(options: FormingOptions, own: Identity, others: readonly FormState[]): MembershipRecord {
  const directories = new Map(others.map((answer) => [answer.memberId, answer.directoryId]));
  directories.set(own.memberId, own.directoryId);
  return votersOnly(
    options.initialMembers.map(({ id, peerAddress }) => ({
      id,
      peerAddress,
      directoryId: must(directories.get(id), `directory id of ${id}`),
    })),
  );
}

/** A cluster that has formed without this directory does not take it: it would be a member that forgot its votes. */
function refuseForeign(own: Identity, answers: Answers): void {
  for (const answer of answers.values()) {
    if (answer?.phase !== 'formed') continue;
    const known = answer.members.find((member) => member.id === own.memberId);
    if (known?.directoryId === own.directoryId) continue;
    const what =
      known === undefined
        ? `cluster ${answer.clusterId} has formed without member ${own.memberId}`
        : `cluster ${answer.clusterId} knows member ${own.memberId} with directory ${known.directoryId}, ` +
          `this one is ${own.directoryId}: its directory was emptied or replaced`;
    throw new StorageError(
      'refused',
      'identity',
      `${what}. Bring the original data directory back, or start this member with the directory of a new cluster.`,
    );
  }
}

function differingLists(own: Identity, differing: readonly FormState[]): string {
  const theirs = differing.map((answer) => `${answer.memberId} lists ${listOf(answer.initialMembers)}`);
  return `the same member list everywhere: this member lists ${listOf(own.initialMembers)}; ${theirs.join('; ')}`;
}

function joiningInstead(ids: readonly string[]): string {
  const who = ids.join(', ');
  return `${who} to form the cluster with this member: started to join a running cluster, it never forms one`;
}

function listOf(members: readonly InitialMember[]): string {
  return members.map(({ id, peerAddress }) => `${id}=${peerAddress}`).join(',');
}

async function askAll(options: FormingOptions, own: Identity): Promise<Answers> {
  const state = formStateOf(own, undefined);
  const others = options.initialMembers.filter(({ id }) => id !== own.memberId);
  const answers = await Promise.all(
    others.map(async ({ id, peerAddress }): Promise<[string, FormState | undefined]> => {
      try {
        const answer = await options.consensus.askForm(peerAddress, state, askTimeoutMs);
        // Another member at this address is as good as none: its own answer would be counted twice.
        return [id, answer.memberId === id ? answer : undefined];
      } catch {
        return [id, undefined];
      }
    }),
  );
  return new Map(answers);
}

function pause(clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(askEveryMs, resolve);
  });
}
