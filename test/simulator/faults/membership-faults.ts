import type { SimMember } from '../cluster/sim-cluster.ts';
import { Operator } from '../operators/orders.ts';
import type { BegunFault, FaultContext, FaultKind } from './fault-kinds.ts';

/** Members and those that wait to be taken in. */
const membersMax = 7;
const membersUsual = 5;
/** No operator wants fewer voters. */
const votersMin = 3;
/** Of the members that clients know from the beginning, so many stay: a minority of them may be away. */
const firstMin = 2;

function orderMs(context: FaultContext): number {
  const [member] = context.cluster.awake;
  return 4_000 + context.below(8_000) + 4 * (member?.life?.replica?.electionTimeoutMs ?? 0);
}

/** Runs the work of an operator; what it has not done when its time is over, it leaves. */
function begun(context: FaultContext, text: string, work: (operator: Operator) => Promise<unknown>): BegunFault {
  const forMs = orderMs(context);
  const operator = new Operator(context, forMs);
  return {
    text: `${text}, for ${forMs} ms at most`,
    forMs,
    until: work(operator),
    mend: () => {
      operator.isOver = true;
    },
  };
}

const hasFormed = ({ cluster }: FaultContext): boolean =>
  cluster.members.every(({ formed, joins }) => formed || joins !== 'no');

/** Most clusters stay smaller: a run costs as much as it has members. */
const isFull = (context: FaultContext): boolean => {
  const { length } = context.cluster.members;
  return length >= membersMax || (length >= membersUsual && !context.chance(4));
};

/** Whom an operator may want to take out. */
function removable({ cluster }: FaultContext): readonly SimMember[] {
  const first = cluster.belonging.filter(({ id }) => cluster.firstIds.includes(id) && !cluster.leaving.has(id));
  return cluster.belonging.filter(({ id }) => {
    if (cluster.leaving.has(id)) return false;
    return !cluster.firstIds.includes(id) || first.length > firstMin;
  });
}

const votersLeft = ({ cluster }: FaultContext): number =>
  cluster.membership.voters.filter((id) => !cluster.leaving.has(id)).length;

/** Marks it as leaving until the order is over, and a while longer where nobody knows how it ends. */
async function takesOut(context: FaultContext, member: SimMember, order: () => Promise<boolean>): Promise<boolean> {
  const { cluster, world } = context;
  cluster.leaving.add(member.id);
  const isDone = await order();
  if (!isDone) world.setTimer(10_000, () => cluster.leaving.delete(member.id));
  return isDone;
}

function removes(context: FaultContext, operator: Operator, member: SimMember): Promise<boolean> {
  const order = { kind: 'remove', memberId: member.id } as const;
  return takesOut(context, member, () =>
    operator.gives(`remove ${member.id}`, (admin) => admin.changeMembership(order, false)),
  );
}

const transfer: FaultKind = {
  name: 'order-transfer',
  area: 'membership',
  weight: 7,
  begin: (context) => {
    const { cluster } = context;
    if (!hasFormed(context) || cluster.leader === undefined) return undefined;
    const times = 1 + context.below(3);
    return begun(context, `leadership is to be handed over ${times} times`, async (operator) => {
      for (let i = 0; i < times && operator.hasTime; i++) {
        const [to] = context.sample(cluster.voters, 1);
        const id = to === undefined || context.chance(3) ? '' : to.id;
        await operator.gives(`hand over to ${id === '' ? 'any' : id}`, (admin) => admin.transferLeadership(id));
      }
    });
  },
};

/** A leader hands over, and it or whom it hands over to dies in the midst of it. */
const transferDies: FaultKind = {
  name: 'order-transfer-dies',
  area: 'membership',
  weight: 4,
  begin: (context) => {
    const { cluster, world } = context;
    const { leader } = cluster;
    const [to] = context.sample(
      cluster.voters.filter((one) => one !== leader),
      1,
    );
    if (!hasFormed(context) || leader === undefined || to === undefined) return undefined;
    const victim = context.chance(2) ? leader : to;
    const power = context.chance(2);
    const afterMs = 1 + context.below(30);
    world.setTimer(afterMs, () => cluster.kill(victim, power));
    const text = `leadership is to be handed over to ${to.id}; ${afterMs} ms later ${victim.id} dies`;
    return begun(context, text, (operator) => {
      return operator.gives(`hand over to ${to.id}`, (admin) => admin.transferLeadership(to.id));
    });
  },
};

/** Leadership goes to a member that has only just come back, and lacks what was committed without it. */
const transferToLate: FaultKind = {
  name: 'order-transfer-late',
  area: 'membership',
  weight: 5,
  begin: (context) => {
    const { cluster } = context;
    const [to] = context.sample(
      cluster.voters.filter((one) => one !== cluster.leader && one.life !== undefined && !one.held),
      1,
    );
    if (!hasFormed(context) || cluster.leader === undefined || to === undefined) return undefined;
    const awayMs = 100 + context.below(3_000);
    cluster.kill(to, false, false);
    cluster.restartLater(to, awayMs);
    const text = `${to.id} is killed; when it is back in ${awayMs} ms leadership is to be handed over to it`;
    return begun(context, text, async (operator) => {
      if (!(await operator.until(() => to.life?.replica?.phase === 'serving'))) return;
      await operator.gives(`hand over to ${to.id}`, (admin) => admin.transferLeadership(to.id));
    });
  },
};

function joins(name: string, as: 'voter' | 'learner', weight: number): FaultKind {
  return {
    name,
    area: 'membership',
    weight,
    begin: (context) => {
      const { cluster, world } = context;
      if (!hasFormed(context) || isFull(context)) return undefined;
      const member = cluster.join(as);
      // It may die at any moment of joining, and be started again as it was.
      const diesMs = context.chance(3) ? 1 + context.between(0, 3_000) : 0;
      if (diesMs > 0) {
        const power = context.chance(2);
        world.setTimer(diesMs, () => cluster.kill(member, power));
      }
      const dies = diesMs > 0 ? ` and dies ${diesMs} ms later` : '';
      return begun(context, `${member.id} joins as a ${as}${dies}`, async (operator) => {
        await operator.until(() => cluster.membership.voters.includes(member.id));
      });
    },
  };
}

const promotes: FaultKind = {
  name: 'order-promote',
  area: 'membership',
  weight: 8,
  begin: (context) => {
    const { cluster } = context;
    const [id] = context.sample(
      cluster.membership.learners.filter((one) => !cluster.leaving.has(one)),
      1,
    );
    if (id === undefined) return undefined;
    const dies = context.chance(3);
    if (dies) {
      const { leader } = cluster;
      if (leader !== undefined)
        cluster.arm(leader, 'afterConfAppend', 1 + context.below(4), () => cluster.kill(leader, true));
    }
    return begun(context, `${id} is to be promoted${dies ? ', and the leader dies of it' : ''}`, (operator) => {
      return operator.gives(`promote ${id}`, (admin) => {
        return admin.changeMembership({ kind: 'promote', memberId: id }, false);
      });
    });
  },
};

const remove: FaultKind = {
  name: 'order-remove',
  area: 'membership',
  weight: 8,
  begin: (context) => {
    const { cluster } = context;
    const found = removable(context).filter((one) => !cluster.voters.includes(one) || votersLeft(context) > votersMin);
    const member = context.victim(found);
    if (!hasFormed(context) || member === undefined) return undefined;
    // One that is dead already is taken out as well.
    const isDead = context.chance(4);
    if (isDead) cluster.kill(member, false);
    const what = isDead ? ', which is dead,' : member === cluster.leader ? ', which leads,' : '';
    return begun(context, `${member.id}${what} is to be taken out`, (operator) => removes(context, operator, member));
  },
};

/** A member dies for good, another takes its place. */
const replace: FaultKind = {
  name: 'order-replace',
  area: 'membership',
  weight: 9,
  begin: (context) => {
    const { cluster } = context;
    const victim = context.victim(removable(context).filter((one) => cluster.membership.voters.includes(one.id)));
    if (!hasFormed(context) || victim === undefined || isFull(context)) return undefined;
    // One replacement at a time: of those that do not come back a majority must be left.
    if (cluster.leaving.size > 0 || cluster.members.some(({ held }) => held)) return undefined;
    const isDead = context.chance(2);
    if (isDead) {
      victim.held = true;
      cluster.kill(victim, context.chance(2), false);
    }
    const by = cluster.join('learner');
    const order = { kind: 'replace', memberId: victim.id, by: by.id } as const;
    const text = `${by.id} is to take the place of ${victim.id}${isDead ? ', which is dead' : ''}`;
    return begun(context, text, async (operator) => {
      const isDone = await takesOut(context, victim, async () => {
        if (!(await operator.until(() => cluster.membership.learners.includes(by.id)))) return false;
        return operator.gives(`replace ${victim.id} by ${by.id}`, (admin) => admin.changeMembership(order, false));
      });
      if (!isDead) return;
      // Its machine is thrown away, or comes back one day and is told.
      if (isDone && context.chance(2)) cluster.retire(victim);
      else {
        victim.held = false;
        cluster.start(victim);
      }
    });
  },
};

/** One comes and one goes at once. */
const exchange: FaultKind = {
  name: 'order-exchange',
  area: 'membership',
  weight: 4,
  begin: (context) => {
    const { cluster } = context;
    const gone = context.victim(removable(context).filter((one) => cluster.membership.voters.includes(one.id)));
    if (!hasFormed(context) || isFull(context) || gone === undefined) return undefined;
    if (cluster.leaving.size > 0) return undefined;
    const comes = cluster.join('voter');
    return begun(context, `${comes.id} joins, and ${gone.id} is to be taken out at once`, async (operator) => {
      // Among three it is for the cluster to have another one first.
      const hasEnough = (): boolean => votersLeft(context) > votersMin;
      if (await operator.until(hasEnough)) await removes(context, operator, gone);
    });
  },
};

/** The same order from several operators at once. */
const repeated: FaultKind = {
  name: 'order-repeated',
  area: 'membership',
  weight: 3,
  begin: (context) => {
    const { cluster } = context;
    const member = context.victim(removable(context));
    if (!hasFormed(context) || member === undefined) return undefined;
    if (cluster.voters.includes(member) && votersLeft(context) <= votersMin) return undefined;
    return begun(context, `three operators want ${member.id} taken out`, async (operator) => {
      await Promise.all([1, 2, 3].map(() => removes(context, operator, member)));
    });
  },
};

/** In the midst of a change its leader dies, or is cut from others, as soon as the change has left it. */
const inTheMidst: FaultKind = {
  name: 'order-in-trouble',
  area: 'membership',
  weight: 10,
  begin: (context) => {
    const { cluster, world, number } = context;
    const { leader } = cluster;
    if (!hasFormed(context) || leader === undefined) return undefined;
    const ids = cluster.ids.filter((id) => id !== leader.id);
    const cutOff = context.sample(ids, 1 + context.below(ids.length));
    const how = context.pick(['is killed', 'loses power', 'is cut', 'is mute'] as const);
    const hits = 1 + context.below(3);
    const [reason, lastMs] = [`fault ${number}`, 300 + context.below(4_000)];
    const trouble = (): void => {
      const isJoint = cluster.latestMembership.outgoing.length > 0;
      context.note(`the leader ${how} in the midst of a change${isJoint ? ' that is joint' : ''}`);
      if (how === 'is killed' || how === 'loses power') {
        cluster.kill(leader, how === 'loses power');
        return;
      }
      const pairs = cutOff.flatMap((id) => {
        const out = [leader.id, id] as const;
        return how === 'is mute' ? [out] : [out, [id, leader.id] as const];
      });
      for (const [from, to] of pairs) cluster.links.cut(from, to, reason);
      world.setTimer(lastMs, () => {
        for (const [from, to] of pairs) cluster.links.heal(from, to, reason);
      });
    };
    const disarm = cluster.arm(leader, context.pick(['afterConfAppend', 'beforeConfApply'] as const), hits, trouble);
    const change = exchange.begin(context) ?? remove.begin(context) ?? joins('', 'voter', 0).begin(context);
    if (change === undefined) {
      disarm();
      return undefined;
    }
    return {
      ...change,
      text: `${change.text}; ${leader.id} ${how} in the midst of it`,
      mend: () => {
        disarm();
        change.mend?.();
      },
    };
  },
};

export const membershipFaults: readonly FaultKind[] = [
  transfer,
  transferDies,
  transferToLate,
  joins('join-voter', 'voter', 8),
  joins('join-learner', 'learner', 6),
  promotes,
  remove,
  replace,
  exchange,
  repeated,
  inTheMidst,
];
