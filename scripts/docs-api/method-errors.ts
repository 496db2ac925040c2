import type { Reason } from '../../src/base/errors.ts';

/** Errors that a call of any method may end with. */
export const anyCall: readonly Reason[] = [
  'MALFORMED_MESSAGE',
  'INVALID_FIELD',
  'OVERLOADED',
  'NOT_SERVING',
  'MEMBER_FENCED',
  'DEADLINE',
  'CANCELLED',
  'UNKNOWN_METHOD',
  'INTERNAL',
];

/** What a method may end with besides those of any call. */
export interface MethodErrors {
  readonly reasons: readonly Reason[];
  /** How they come, where that is not by the status of the call. */
  readonly note?: string;
}

const write: readonly Reason[] = ['NO_LEADER', 'NOT_PROPOSED', 'OUTCOME_UNKNOWN'];
const repeatable: readonly Reason[] = [...write, 'REQUEST_ID_REUSED'];
const read: readonly Reason[] = ['NO_LEADER', 'MEMBER_BEHIND'];
const pagedRead: readonly Reason[] = [...read, 'OUT_OF_HISTORY'];

const change: readonly Reason[] = ['MEMBERSHIP_REFUSED', 'QUORUM_AT_RISK', 'CHANGE_UNDER_WAY', ...write];

/** By the method's name as in `Registry.Register`. The generator refuses a method that is missing here. */
export const methodErrors: Readonly<Record<string, MethodErrors>> = {
  'Registry.Register': {
    reasons: ['ALREADY_REGISTERED', 'SUPERSEDED', 'UNKNOWN_INSTANCE', 'UNKNOWN_LEASE', ...repeatable],
  },
  'Registry.BatchRegister': {
    reasons: ['ALREADY_REGISTERED', 'SUPERSEDED', 'UNKNOWN_INSTANCE', 'UNKNOWN_LEASE', ...repeatable],
    note: 'One item that is refused refuses the batch; `BadRequest` names it, as in `items[3].if_absent`.',
  },
  'Registry.Update': { reasons: ['SUPERSEDED', 'UNKNOWN_INSTANCE', ...repeatable] },
  'Registry.Deregister': { reasons: ['SUPERSEDED', ...repeatable] },
  'Registry.GrantLease': { reasons: repeatable },
  'Registry.RevokeLease': { reasons: repeatable },
  'Registry.KeepAlive': {
    reasons: [],
    note: 'A renewal that no leader confirms is no error of the stream: its result says UNAVAILABLE.',
  },
  'Registry.Session': {
    reasons: ['UNKNOWN_SESSION', 'SESSION_TAKEN', 'SUPERSEDED', ...repeatable],
    note:
      'An operation that is refused does not end the stream: its result says REFUSED, with SUPERSEDED or ' +
      'UNKNOWN_INSTANCE as `error_reason`. Nor does a ping that no leader confirms: `renewed` is then false.',
  },
  'Registry.Discover': { reasons: pagedRead },
  'Registry.ListServices': { reasons: pagedRead },
  'Registry.Watch': {
    reasons: read,
    note:
      'What is wrong with one watch ends that watch and not the stream: its ENDED response has `error_reason` and ' +
      '`error_message`. The call itself ends with an error where a message cannot be read, the member stops, or its ' +
      'answers are not read.',
  },
  'Cluster.Status': { reasons: [], note: 'Answered also where the member serves nothing else.' },
  'Cluster.ListMembers': { reasons: [] },
  'Cluster.AddMember': { reasons: change },
  'Cluster.PromoteMember': { reasons: change },
  'Cluster.RemoveMember': { reasons: change },
  'Cluster.ReplaceMember': { reasons: change },
  'Cluster.TransferLeadership': {
    reasons: ['MEMBERSHIP_REFUSED', 'CHANGE_UNDER_WAY', 'TRANSFER_FAILED', ...write],
  },
};
