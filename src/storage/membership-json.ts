import type { MemberRecord, MembershipRecord } from './entry-log.ts';
import { isHex, recordOf } from './strict-json.ts';

/** Voters in one membership; more than anyone runs, and a bound for what a file or a peer may say. */
const votersMax = 100;
const idCharactersMax = 256;

/** The membership in a fixed order of fields, for JSON. */
export function membershipJson(membership: MembershipRecord): unknown {
  const voters = membership.voters.map(({ id, directoryId, peerAddress }) => ({ id, directoryId, peerAddress }));
  return { voters };
}

/** `value`, parsed JSON, as a membership; undefined where a field is missing, unknown or out of range. */
export function membershipOf(value: unknown): MembershipRecord | undefined {
  const voters = recordOf(value, ['voters'])?.voters;
  if (!Array.isArray(voters) || voters.length > votersMax) return undefined;
  const members: MemberRecord[] = [];
  for (const voter of voters) {
    const member = memberOf(voter);
    if (member === undefined) return undefined;
    members.push(member);
  }
  return { voters: members };
}

function memberOf(value: unknown): MemberRecord | undefined {
  const record = recordOf(value, ['id', 'directoryId', 'peerAddress']);
  if (record === undefined) return undefined;
  const { id, directoryId, peerAddress } = record;
  if (!isName(id) || !isHex(directoryId, 32) || !isName(peerAddress)) return undefined;
  return { id, directoryId, peerAddress };
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= idCharactersMax;
}
