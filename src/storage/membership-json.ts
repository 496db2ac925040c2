import {
  isDirectoryId,
  isMemberAddress,
  isMemberId,
  membershipProblem,
  sortedById,
  type LearnerRecord,
  type MemberRecord,
} from '../raft/membership.ts';
import type { MembershipRecord } from './entry-log.ts';
import { recordOf } from './strict-json.ts';

/** More than any membership has in one list, before anything in it is looked at. */
const elementsMax = 1_000;

const fields = ['voters', 'outgoing', 'learners', 'learnersNext', 'removedIds'] as const;

/** The membership in a fixed order of fields, for JSON. One of voters alone has the form that the first version had. */
export function membershipJson(membership: MembershipRecord): unknown {
  const { voters, outgoing, learners, learnersNext, removedIds } = membership;
  if (outgoing.length + learners.length + learnersNext.length + removedIds.length === 0) {
    return { voters: voters.map(memberJson) };
  }
  return {
    voters: voters.map(memberJson),
    outgoing: outgoing.map(memberJson),
    learners: learners.map(learnerJson),
    learnersNext: learnersNext.map(learnerJson),
    removedIds,
  };
}

/** `value`, parsed JSON, as a membership; undefined where a field is missing, unknown or out of range. */
export function membershipOf(value: unknown): MembershipRecord | undefined {
  const short = recordOf(value, ['voters']);
  const record = short === undefined ? recordOf(value, fields) : { ...nothing, voters: short.voters };
  const voters = listOf(record?.voters, memberOf);
  const outgoing = listOf(record?.outgoing, memberOf);
  const learners = listOf(record?.learners, learnerOf);
  const learnersNext = listOf(record?.learnersNext, learnerOf);
  const removedIds = listOf(record?.removedIds, idOf);
  if (voters === undefined || outgoing === undefined || removedIds === undefined) return undefined;
  if (learners === undefined || learnersNext === undefined) return undefined;
  // The first version wrote its voters in the order of the configuration.
  const inOrder = short === undefined ? voters : sortedById(voters);
  const membership = { voters: inOrder, outgoing, learners, learnersNext, removedIds };
  return membershipProblem(membership) === undefined ? membership : undefined;
}

const nothing = { outgoing: [], learners: [], learnersNext: [], removedIds: [] };

function memberJson({ id, directoryId, peerAddress }: MemberRecord): unknown {
  return { id, directoryId, peerAddress };
}

function learnerJson({ id, directoryId, peerAddress, autoPromote }: LearnerRecord): unknown {
  return { id, directoryId, peerAddress, autoPromote };
}

function listOf<T>(value: unknown, elementOf: (element: unknown) => T | undefined): T[] | undefined {
  if (!Array.isArray(value) || value.length > elementsMax) return undefined;
  const list: T[] = [];
  for (const element of value) {
    const read = elementOf(element);
    if (read === undefined) return undefined;
    list.push(read);
  }
  return list;
}

function memberOf(value: unknown): MemberRecord | undefined {
  return recordIn(recordOf(value, ['id', 'directoryId', 'peerAddress']));
}

function learnerOf(value: unknown): LearnerRecord | undefined {
  const record = recordOf(value, ['id', 'directoryId', 'peerAddress', 'autoPromote']);
  const member = recordIn(record);
  const autoPromote = record?.autoPromote;
  if (member === undefined || typeof autoPromote !== 'boolean') return undefined;
  return { ...member, autoPromote };
}

type Fields = Readonly<Record<'id' | 'directoryId' | 'peerAddress', unknown>>;

function recordIn(record: Fields | undefined): MemberRecord | undefined {
  if (record === undefined) return undefined;
  const { id, directoryId, peerAddress } = record;
  if (typeof id !== 'string' || typeof directoryId !== 'string' || typeof peerAddress !== 'string') return undefined;
  if (!isMemberId(id) || !isDirectoryId(directoryId) || !isMemberAddress(peerAddress)) return undefined;
  return { id, directoryId, peerAddress };
}

function idOf(value: unknown): string | undefined {
  return typeof value === 'string' && isMemberId(value) ? value : undefined;
}
