/*
 * Entries of the log that the core or the member itself reads, and not the state machine. The first byte tells them
 * from a batch of commands, which begins with its format number: from systemTagMin on it is a tag of those below.
 *
 *   membership    = 240 format voters outgoing learners learnersNext removedIds
 *   voters, outgoing         = count {id directoryId peerAddress}
 *   learners, learnersNext   = count {id directoryId peerAddress autoPromote}
 *   removedIds    = count {id}
 *   feature level = 241 level
 *
 * Counts and numbers are varints; texts have their length before them; a directory id is its 16 bytes.
 */
import { assert } from '../base/assert.ts';
import { decodeStrictly, expectFormat, readFlag } from '../base/strict-decode.ts';
import { WireError, type WireReader } from '../base/wire-reader.ts';
import { WireWriter } from '../base/wire-writer.ts';
import { checkMembership, membersMax, membershipProblem, removedIdsMax } from './membership.ts';
import type { LearnerRecord, MemberRecord, Membership } from './membership.ts';

/** No batch of commands begins with this byte or a greater one. */
export const systemTagMin = 0xf0;
const membershipTag = 0xf0;
const featureLevelTag = 0xf1;

const membershipFormat = 1;
/** Far above any version to come. */
export const featureLevelMax = 1_000_000;

/** One encoding at a time: each ends with `finish`. */
const writer = new WireWriter();

/** Whether the data of an entry is one of those of this file, or of a later version's. */
export function isSystemData(data: Uint8Array): boolean {
  return (data[0] ?? 0) >= systemTagMin;
}

export function isMembershipData(data: Uint8Array): boolean {
  return data[0] === membershipTag;
}

export function isFeatureLevelData(data: Uint8Array): boolean {
  return data[0] === featureLevelTag;
}

/** @throws InvariantError where it cannot be a membership. */
export function encodeMembership(membership: Membership): Uint8Array {
  checkMembership(membership);
  writer.byte(membershipTag).byte(membershipFormat);
  writeMembers(membership.voters);
  writeMembers(membership.outgoing);
  writeLearners(membership.learners);
  writeLearners(membership.learnersNext);
  writer.varint(membership.removedIds.length);
  for (const id of membership.removedIds) writer.sizedString(id);
  return writer.finish();
}

/** @throws InvariantError for anything that `encodeMembership` does not write: a member that skipped it would part. */
export function decodeMembership(data: Uint8Array): Membership {
  return decodeStrictly('membership entry', data, (reader) => {
    expectTag(reader, membershipTag);
    expectFormat(reader, membershipFormat);
    const membership: Membership = {
      voters: readList(reader, membersMax, readMember),
      outgoing: readList(reader, membersMax, readMember),
      learners: readList(reader, membersMax, readLearner),
      learnersNext: readList(reader, membersMax, readLearner),
      removedIds: readList(reader, removedIdsMax, (each) => each.sizedString()),
    };
    const problem = membershipProblem(membership);
    if (problem !== undefined) throw new WireError(problem, reader.offset);
    if (membership.voters.length === 0) throw new WireError('no voter', reader.offset);
    return membership;
  });
}

/** The entry by which members begin to write what is new since the level before. */
export function encodeFeatureLevel(level: number): Uint8Array {
  assert(isFeatureLevel(level), () => `feature level is ${level}`);
  return writer.byte(featureLevelTag).varint(level).finish();
}

/** @throws InvariantError for anything that `encodeFeatureLevel` does not write. */
export function decodeFeatureLevel(data: Uint8Array): number {
  return decodeStrictly('feature level entry', data, (reader) => {
    expectTag(reader, featureLevelTag);
    const level = reader.varint();
    if (!isFeatureLevel(level)) throw new WireError(`feature level is ${level}`, reader.offset);
    return level;
  });
}

function isFeatureLevel(level: number): boolean {
  return Number.isSafeInteger(level) && level >= 1 && level <= featureLevelMax;
}

function writeMembers(members: readonly MemberRecord[]): void {
  writer.varint(members.length);
  for (const member of members) writeMember(member);
}

function writeLearners(learners: readonly LearnerRecord[]): void {
  writer.varint(learners.length);
  for (const learner of learners) {
    writeMember(learner);
    writer.byte(learner.autoPromote ? 1 : 0);
  }
}

function writeMember({ id, directoryId, peerAddress }: MemberRecord): void {
  writer.sizedString(id).raw(Buffer.from(directoryId, 'hex')).sizedString(peerAddress);
}

function readList<T>(reader: WireReader, countMax: number, read: (reader: WireReader) => T): T[] {
  const count = reader.varint();
  if (count > countMax) throw new WireError(`${count} elements, at most ${countMax}`, reader.offset);
  const list: T[] = [];
  for (let at = 0; at < count; at++) list.push(read(reader));
  return list;
}

function readMember(reader: WireReader): MemberRecord {
  const id = reader.sizedString();
  const directory = Buffer.alloc(16);
  for (let at = 0; at < directory.length; at++) directory[at] = reader.byte();
  return { id, directoryId: directory.toString('hex'), peerAddress: reader.sizedString() };
}

function readLearner(reader: WireReader): LearnerRecord {
  const member = readMember(reader);
  return { ...member, autoPromote: readFlag(reader) };
}

function expectTag(reader: WireReader, expected: number): void {
  const found = reader.byte();
  if (found !== expected) throw new WireError(`tag ${found}, expected is ${expected}`, reader.offset - 1);
}
