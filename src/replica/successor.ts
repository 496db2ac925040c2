import { holds } from '../raft/membership.ts';
import type { RaftStatus } from '../raft/status.ts';
import type { MemberId } from '../raft/types.ts';

/** Who is to lead where nobody is named: of the voters that are there the one that holds most of the log. */
export function successorOf({ membership, peers }: RaftStatus): MemberId | undefined {
  const voters = peers.filter(({ id, recentlyActive }) => recentlyActive && holds(membership.voters, id));
  return voters.toSorted((one, other) => other.match - one.match)[0]?.id;
}
