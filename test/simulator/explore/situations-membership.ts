import { noBudget } from './budget.ts';
import type { Budget } from './budget.ts';
import { sent } from './script.ts';
import type { Script } from './script.ts';
import type { Situation } from './situations.ts';

const changeBudget: Budget = { ...noBudget, campaigns: 2, doubts: 1, beats: 1, crashes: 1, changes: 1 };

const demote = (id: string) => ({ kind: 'demote', id }) as const;
const promote = (id: string) => ({ kind: 'promote', id }) as const;
const remove = (id: string) => ({ kind: 'remove', id }) as const;

/** a leads, its opening entry is committed and everybody knows. */
function leaderA(script: Script): void {
  script.elect('a');
  script.settle();
  script.beat('a');
  script.settle();
}

export const memberships: readonly Situation[] = [
  {
    name: 'membership-change',
    about: 'A leader of three that is asked for any change, twice, while elections and losses go on.',
    members: 3,
    script: leaderA,
    budget: { ...changeBudget, changes: 2, crashes: 0 },
  },
  {
    name: 'joint-membership-on-its-way',
    about: 'The joint membership that makes a learner of the leader itself is on the disk of one follower.',
    members: 3,
    script(script) {
      leaderA(script);
      script.change('a', demote('a'));
      script.persist('a');
      script.deliver(sent('append', 'a', 'b'));
      script.persist('b');
    },
    budget: { ...changeBudget, proposals: 1, changes: 0 },
  },
  {
    name: 'joint-membership-committed',
    about: 'The joint membership that removes the leader is committed, and the leader alone holds what follows it.',
    members: 3,
    script(script) {
      leaderA(script);
      script.change('a', remove('a'));
      script.persist('a');
      script.deliver(sent('append', 'a', 'b'));
      script.persist('b');
      script.deliver(sent('append', 'a', 'c'));
      script.persist('c');
      script.deliver(sent('append-reply', 'b', 'a'));
      script.deliver(sent('append-reply', 'c', 'a'));
    },
    budget: { ...changeBudget, proposals: 1, changes: 0 },
  },
  {
    name: 'change-of-a-deposed-leader',
    about: 'A leader that is cut off has changed the membership on its own disk; another leads and may change it, too.',
    members: 3,
    script(script) {
      leaderA(script);
      script.change('a', remove('c'));
      script.persist('a');
      script.lose();
      script.doubt('c');
      script.elect('b', 'c');
      script.settleAmong('b', 'c');
    },
    budget: { ...changeBudget, crashes: 0 },
  },
  {
    name: 'exchange-of-voters',
    about:
      'In a cluster of four with a learner the leader exchanges a voter for it; the two halves hear of it unevenly.',
    members: 4,
    script(script) {
      leaderA(script);
      script.change('a', demote('d'));
      script.settle();
      script.beat('a');
      script.settle();
      script.change('a', demote('c'), promote('d'));
      script.persist('a');
      script.deliver(sent('append', 'a', 'd'));
      script.persist('d');
    },
    budget: { ...changeBudget, doubts: 2, changes: 0 },
  },
  {
    name: 'election-by-one-half',
    about:
      'Of four, b leads by the old half of an exchange that it has not heard of; a and d, most of the new half, have.',
    members: 4,
    script(script) {
      leaderA(script);
      script.change('a', demote('d'));
      script.settle();
      script.beat('a');
      script.settle();
      script.change('a', demote('c'), promote('d'));
      script.persist('a');
      script.deliver(sent('append', 'a', 'd'));
      script.persist('d');
      script.lose();
      script.doubt('c', 'd');
      script.elect('b', 'c');
      script.lose();
      script.crash('a');
      script.campaign('a');
    },
    budget: { ...noBudget, campaigns: 1 },
  },
  {
    name: 'handing-over',
    about: 'A leader hands over to a follower that lags behind its newest entry, and may be suspected meanwhile.',
    members: 3,
    script(script) {
      leaderA(script);
      script.propose('a');
      script.lose(sent('append', 'a', 'b'));
    },
    budget: { ...noBudget, transfers: 1, suspicions: 1, beats: 2, campaigns: 1, crashes: 1 },
  },
];
