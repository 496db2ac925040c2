import { rollcall } from '../gen/rollcall.js';
import { fromMembership } from './convert.ts';
import type { MethodName } from './methods.ts';
import type { AddMemberOptions, ChangeMemberOptions, Membership, ReplaceMemberOptions } from './types.ts';
import type { CallKind } from './unary-calls.ts';

const v1 = rollcall.v1;

/** What holds already is no error: a change may be sent again as long as there is time. */
const change: CallKind = { write: true };
/** A second one may hand over once more: only what was certainly not begun is tried again. */
const handOver: CallKind = { write: true, repeatsUnknown: false };
const read: CallKind = { write: false };

type Encoded = { finish(): Uint8Array };

/** Sends one call, with retries as its kind has them; rejects with ClientError. */
export type SendOrder = <A>(
  method: MethodName,
  request: Encoded,
  decode: (bytes: Uint8Array) => A,
  kind: CallKind,
) => Promise<A>;

/**
 * What operators order of a cluster, from any of its members. Each call rejects with ClientError: MEMBERSHIP_REFUSED
 * (the fact `problem` says why), QUORUM_AT_RISK where it is not forced, CHANGE_UNDER_WAY once the time of the call is
 * over, TRANSFER_FAILED, or what any write is refused with.
 */
export class ClusterOrders {
  readonly #send: SendOrder;

  constructor(send: SendOrder) {
    this.#send = send;
  }

  /** As the log of the asked member has it; also without a leader. */
  members(): Promise<Membership> {
    return this.#send('listMembers', v1.ListMembersRequest.encode({}), fromMembership, read);
  }

  /** Brings in the empty member that waits at an address, as a learner. */
  addMember(options: AddMemberOptions): Promise<Membership> {
    const { peerAddress, learnerOnly = false, force = false } = options;
    const request = v1.AddMemberRequest.encode({ peerAddress, learnerOnly, force });
    return this.#send('addMember', request, fromMembership, change);
  }

  /** Makes a learner a voter. */
  promoteMember({ memberId, force = false }: ChangeMemberOptions): Promise<Membership> {
    const request = v1.PromoteMemberRequest.encode({ memberId, force });
    return this.#send('promoteMember', request, fromMembership, change);
  }

  /** Takes a member out for good. */
  removeMember({ memberId, force = false }: ChangeMemberOptions): Promise<Membership> {
    const request = v1.RemoveMemberRequest.encode({ memberId, force });
    return this.#send('removeMember', request, fromMembership, change);
  }

  /** Puts a learner in the place of a voter, in one step. */
  replaceMember({ memberId, byMemberId, force = false }: ReplaceMemberOptions): Promise<Membership> {
    const request = v1.ReplaceMemberRequest.encode({ memberId, byMemberId, force });
    return this.#send('replaceMember', request, fromMembership, change);
  }

  /** Hands leadership to this voter; without one to the voter that is furthest. Resolves with who leads then. */
  transferLeadership(toMemberId = ''): Promise<string> {
    const request = v1.TransferLeadershipRequest.encode({ toMemberId });
    const decode = (bytes: Uint8Array): string => v1.TransferLeadershipResponse.decode(bytes).leaderId;
    return this.#send('transferLeadership', request, decode, handOver);
  }
}
