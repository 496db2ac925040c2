import type { Directory } from '../cluster/machine-disk.ts';
import type { SimMember } from '../cluster/sim-cluster.ts';
import { mayLose } from './disk-faults.ts';
import type { BegunFault, FaultContext, FaultKind } from './fault-kinds.ts';

/** Runs a member on another directory for a while, and then on its own again. */
function onOther(
  context: FaultContext,
  member: SimMember,
  other: Directory | undefined,
  forMs: number,
  text: string,
): BegunFault {
  const { cluster } = context;
  cluster.kill(member, false, false);
  const own = member.disk.replace(other);
  member.suffered.add('data');
  member.foreign = true;
  cluster.start(member);
  return {
    text,
    forMs,
    mend: () => {
      cluster.kill(member, false, false);
      member.disk.replace(own);
      member.suffered.delete('data');
      member.foreign = false;
      cluster.start(member);
    },
  };
}

/** Before its cluster has formed, a member whose directory was lost takes part with a new one. */
function formed({ cluster }: FaultContext): readonly SimMember[] {
  return cluster.members.every((member) => member.formed) ? cluster.running : [];
}

const emptied: FaultKind = {
  name: 'emptied-directory',
  area: 'directory',
  weight: 3,
  begin: (context) => {
    const member = context.victim(formed(context));
    if (member === undefined || !mayLose(context, member)) return undefined;
    const forMs = context.between(1_500, 8_000);
    return onOther(context, member, undefined, forMs, `${member.id} runs on an empty directory for ${forMs} ms`);
  },
};

const swapped: FaultKind = {
  name: 'swapped-directory',
  area: 'directory',
  weight: 2,
  begin: (context) => {
    const [member, other] = context.sample(formed(context), 2);
    if (member === undefined || other === undefined || !mayLose(context, member)) return undefined;
    const forMs = context.between(1_000, 4_000);
    const text = `${member.id} runs on a copy of the directory of ${other.id} for ${forMs} ms`;
    return onOther(context, member, other.disk.copy(), forMs, text);
  },
};

interface Copy {
  readonly directory: Directory;
  /** Of the start in which it was taken. */
  readonly boot: number;
  /** The log was durable up to there. */
  readonly durableIndex: number;
}

const copies = new WeakMap<SimMember, Copy>();

const copied: FaultKind = {
  name: 'copy-directory',
  area: 'directory',
  weight: 3,
  begin: (context) => {
    const member = context.victim(context.cluster.running);
    const { boot = 0, durableIndex = 0 } = member?.life?.replica?.status() ?? {};
    if (member === undefined || boot === 0 || copies.has(member)) return undefined;
    copies.set(member, { directory: member.disk.copy(), boot, durableIndex });
    return { text: `the directory of ${member.id} is copied in its start ${boot}` };
  },
};

/**
 * A member runs on an old copy of its directory: where every other member has heard a start of it whose number the
 * copy does not get beyond, or where the leader knows that it had acknowledged more. It must not outlast any of them,
 * nor that leader's time: whoever starts anew, or leads anew, knows nothing of it. Nor is it started twice: each start
 * brings it nearer to a number that nobody has heard.
 */
const old: FaultKind = {
  name: 'old-directory',
  area: 'directory',
  weight: 6,
  begin: (context) => {
    const { cluster } = context;
    const known = cluster.members.filter((member) => {
      const copy = copies.get(member);
      const boot = member.life?.replica?.status().boot ?? 0;
      if (copy === undefined) return false;
      return (boot > copy.boot && heardByAll(context, member, boot)) || isMissed(context, member, copy);
    });
    const member = context.victim(known);
    const copy = member === undefined ? undefined : copies.get(member);
    if (member === undefined || copy === undefined || !mayLose(context, member)) return undefined;
    const { leader } = cluster;
    if (context.active.size > 0 || leader === undefined || leader === member) return undefined;
    copies.delete(member);
    const forMs = context.between(500, 2_000);
    const { members } = cluster;
    const others = members.filter((one) => one !== member).map(({ life }) => life);
    const text = `${member.id} runs on a copy of its directory of start ${copy.boot} for ${forMs} ms`;
    const begun = onOther(context, member, copy.directory, forMs, text);
    member.held = true;
    const watch = (): void => {
      if (member.life === undefined || !member.suffered.has('data')) return;
      // Whoever starts anew has heard nothing: the copy must be gone before.
      const isGone =
        members !== cluster.members || others.some((life) => life?.isOver !== false) || !cluster.leads(leader);
      if (isGone) cluster.kill(member, false, false);
      else context.world.setTimer(1, watch);
    };
    watch();
    return {
      ...begun,
      mend: () => {
        member.held = false;
        begun.mend?.();
        startAbove(context, member, copy.boot + 1);
      },
    };
  },
};

/**
 * Those that have heard the copy first refuse the right directory while its start has the same number, and say what to
 * do: its operator starts it once more.
 */
function startAbove(context: FaultContext, member: SimMember, copyBoot: number): void {
  const { cluster, world } = context;
  const look = (): void => {
    // It is on yet another directory, and gets its own back behind this.
    if (member.suffered.has('data')) return;
    const boot = member.life?.replica?.status().boot ?? 0;
    if (boot > copyBoot) return;
    if (boot > 0) {
      context.detail(`${member.id} has the number ${boot} of its copy, and is started again`);
      cluster.kill(member, false, false);
      cluster.start(member);
    }
    world.setTimer(10, look);
  };
  look();
}

function heardByAll({ cluster }: FaultContext, member: SimMember, boot: number): boolean {
  return cluster.members.every((other) => {
    if (other === member) return true;
    const peer = other.life?.replica?.status().peers.find(({ memberId }) => memberId === member.id);
    return peer?.boot === boot && peer.connected;
  });
}

/** The leader has heard from the member in its term that it holds more than the copy does. */
function isMissed({ cluster }: FaultContext, member: SimMember, copy: Copy): boolean {
  const status = cluster.leader?.life?.replica?.status();
  const peer = status?.peers.find(({ memberId }) => memberId === member.id);
  return peer !== undefined && peer.connected && peer.matchIndex > copy.durableIndex;
}

/** The state of a member is not what the others have: as after an error of memory. */
const oddState: FaultKind = {
  name: 'odd-state',
  area: 'directory',
  weight: 4,
  begin: (context) => {
    const { cluster } = context;
    // Hashes of those that vote are compared.
    const member = context.victim(cluster.awake.filter(({ id }) => cluster.membership.voters.includes(id)));
    const life = member?.life;
    if (member === undefined || life === undefined || !mayLose(context, member)) return undefined;
    life.isOdd = true;
    member.suffered.add('odd');
    const forMs = context.between(8_000, 20_000);
    return {
      text: `the state of ${member.id} hashes to another value than that of the others for ${forMs} ms`,
      forMs,
      mend: () => {
        // A fenced member is started anew by its operator.
        if (member.life === life) cluster.kill(member, false);
        member.suffered.delete('odd');
      },
    };
  },
};

export const directoryFaults: readonly FaultKind[] = [emptied, swapped, copied, old, oddState];
