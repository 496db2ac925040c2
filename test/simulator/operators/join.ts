import { RollcallError } from '../../../src/base/errors.ts';
import type { RecordedMembership } from '../../../src/replica/cluster-admin.ts';
import type { SimCluster, SimMember } from '../cluster/sim-cluster.ts';
import type { Life } from '../cluster/sim-member.ts';
import { inTime, isFinal } from './orders.ts';

const againMs = 300;

/** What `serve --join` does: asks whoever answers to take this member in, until somebody has. */
export async function askToJoin(
  cluster: SimCluster,
  member: SimMember,
  life: Life,
  peerAddress: string,
): Promise<RecordedMembership> {
  const order = { kind: 'add', peerAddress, autoPromote: member.joins === 'voter' } as const;
  for (;;) {
    let failure: RollcallError | undefined;
    let taken: RecordedMembership | undefined;
    try {
      const admin = cluster.anyServing(member.id)?.life?.replica?.admin;
      taken = admin === undefined ? undefined : await inTime(cluster.world, admin.changeMembership(order, false));
    } catch (error) {
      if (!(error instanceof RollcallError)) throw error;
      failure = error;
    }
    // Its own process goes on by its own clock: not while it stands still, and never where it has ended.
    await new Promise<void>((resolve) => void life.clock.setTimer(taken === undefined ? againMs : 1, resolve));
    if (taken !== undefined) return taken;
    if (failure !== undefined && isFinal(failure)) throw failure;
  }
}
