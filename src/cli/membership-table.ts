import type { ClusterMember, Membership } from '../client/types.ts';
import type { CliContext } from './context.ts';

const header = ['ID', 'KIND', 'PEER ADDRESS', 'DIRECTORY'];
/** Of the 32 digits; enough to tell two apart. */
const directoryDigitsShown = 12;

/** @param what A line for people above the table: what was done. */
export async function showMembership({ output }: CliContext, membership: Membership, what?: string): Promise<void> {
  const { clusterId, index, joint, members, removedIds } = membership;
  if (output.format === 'json') {
    await output.json('rollcall.cluster-members.v1', { clusterId, index, joint, members, removedIds });
    return;
  }
  if (what !== undefined) await output.lines([what]);
  await output.table(
    header,
    members.map((member) => [
      member.memberId,
      kindText(member),
      member.peerAddress,
      member.directoryId.slice(0, directoryDigitsShown),
    ]),
  );
  if (joint) output.message('a change is under way: the former and the coming voters decide together');
  if (removedIds.length > 0) output.message(`removed, and never used again: ${removedIds.join(', ')}`);
}

function kindText({ kind, autoPromote }: ClusterMember): string {
  if (kind === 'outgoing') return 'voter (leaving)';
  return autoPromote ? `${kind} (votes once it has caught up)` : kind;
}

/** Counts those that will vote when all is done that is under way. */
export function warnOfEven({ output }: CliContext, { members }: Membership): void {
  const voters = members.filter(({ kind }) => kind === 'voter').length;
  const coming = members.filter(({ kind, autoPromote }) => kind === 'learner' && autoPromote).length;
  const count = voters + coming;
  if (count === 0 || count % 2 === 1) return;
  const survived = count / 2 - 1;
  const when = coming === 0 ? '' : ' once all have caught up';
  output.message(
    `warning: ${count} voters${when}, an even number: they survive the loss of ${survived}, as ${count - 1} would. ` +
      'Bring in one more, or take one out: `rollcall cluster remove ID`',
  );
}
