import type { Message } from '../../../src/raft/types.ts';
import { noBudget } from './budget.ts';
import type { Budget } from './budget.ts';
import { among, sent, votes } from './script.ts';
import type { Script } from './script.ts';
import type { Situation } from './situations.ts';

const fiveBudget: Budget = { ...noBudget, campaigns: 1, doubts: 1, crashes: 1, repeats: 1 };

/** Figure 8 of the paper, (a): S1 (here a) leads and has its entry on b alone. */
function stageA(script: Script): void {
  script.elect('a');
  script.propose('a');
  script.lose((message) => message.to !== 'b');
  script.persist('a');
  script.deliver(sent('append', 'a', 'b'));
  script.persist('b');
  script.lose();
}

/** (b): a has crashed; e is elected by c and d and has another entry at that index on its own disk. */
function stageB(script: Script): void {
  stageA(script);
  script.crash('a');
  script.doubt('c', 'd');
  electOnly(script, 'e', 'c', 'd');
  script.lose();
}

/** (c): e has crashed; a is elected by b and c, and has brought its old entry to c, hence to a majority. */
function stageC(script: Script): void {
  stageB(script);
  script.crash('e');
  script.campaign('a');
  script.settle(votes('a', 'b', 'c'));
  // b heard the leader a before, which is over by its boot; a behind the term of c asks again in a higher one.
  for (let more = 0; more < 2 && script.cluster.host('a').core.role !== 'leader'; more++) {
    script.campaign('a');
    script.settle(votes('a', 'b', 'c'));
  }
  script.lose((message) => !['b', 'c'].includes(message.to));
  script.deliver(sent('append', 'a', 'b'));
  script.persist('b');
  for (let more = 0; more < 6 && lastOnDisk(script, 'c') < 2; more++) {
    script.deliver((message) => among('a', 'c')(message));
    script.persist('c');
  }
}

function electOnly(script: Script, id: string, ...by: readonly string[]): void {
  script.campaign(id);
  script.settle(votes(id, ...by));
  script.persist(id);
}

function lastOnDisk(script: Script, id: string): number {
  const { base, entries } = script.cluster.host(id).disk;
  return base.index + entries.length;
}

export const figureEight: readonly Situation[] = [
  {
    name: 'figure-8-a',
    about: 'Figure 8 of the paper: a leads and has its entry on the disks of itself and b alone.',
    members: 5,
    script: stageA,
    budget: fiveBudget,
  },
  {
    name: 'figure-8-b',
    about: 'a has crashed, and e leads with another entry at the same index, on its own disk alone.',
    members: 5,
    script: stageB,
    budget: { ...fiveBudget, doubts: 0 },
  },
  {
    name: 'figure-8-c',
    about: 'e has crashed, a leads again and has brought its old entry to a majority: it is not committed by that.',
    members: 5,
    script: stageC,
    budget: { ...fiveBudget, doubts: 0 },
  },
  {
    name: 'figure-8-d',
    about: 'a has crashed once more, and e asks for votes: it may win, and then the entry on a majority goes.',
    members: 5,
    script(script) {
      stageC(script);
      script.settle((message) => message.kind === 'append-reply');
      script.crash('a');
      script.doubt('c');
      script.lose();
      script.campaign('e');
    },
    budget: { ...fiveBudget, crashes: 0, campaigns: 2 },
  },
];

export const fiveMembers: readonly Situation[] = [
  {
    name: 'two-partitions',
    about: 'An old leader with one follower writes on, while the other three have a leader that has committed.',
    members: 5,
    script(script) {
      script.elect('a');
      script.propose('a');
      script.settleAmong('a', 'b');
      script.lose();
      script.doubt('c', 'd', 'e');
      script.elect('c', 'd', 'e');
      script.lose();
      script.propose('c');
      script.settleAmong('c', 'd');
      script.lose();
      // The cut ends here.
      script.beat('c');
      script.beat('a');
    },
    budget: { ...fiveBudget, doubts: 1 },
  },
  {
    name: 'acknowledgement-of-an-old-term',
    about: 'A member leads again; a late acknowledgement to its first term names an entry that was replaced since.',
    members: 5,
    script(script) {
      script.elect('a');
      script.propose('a');
      script.deliver(sent('append', 'a', 'b'));
      script.persist('a', 'b');
      script.lose((message) => message.kind !== 'append-reply');
      script.doubt('c', 'd');
      electOnly(script, 'e', 'c', 'd');
      script.deliver(sent('append', 'e', 'b'));
      script.persist('b');
      const isLate = ({ kind, term }: Message): boolean => kind === 'append-reply' && term === 1;
      script.lose((message) => !isLate(message));
      script.beat('e');
      script.deliver(sent('heartbeat', 'e', 'a'));
      script.lose((message) => !isLate(message));
      electOnly(script, 'a', 'c', 'd');
    },
    budget: fiveBudget,
  },
  {
    name: 'a-b-a',
    about: 'An entry was replaced, the first one is to come back in a third term, and all writes are still under way.',
    members: 5,
    script(script) {
      script.elect('a');
      script.slowDisks.add('c');
      script.propose('a');
      script.persist('a');
      script.deliver(sent('append', 'a', 'c'));
      script.lose();
      script.doubt('b', 'd');
      electOnly(script, 'e', 'b', 'd');
      script.deliver(sent('append', 'e', 'c'));
      script.lose();
      // a learns of the term of e, and is elected by those who hold nothing of e.
      script.beat('e');
      script.deliver(sent('heartbeat', 'e', 'a'));
      script.lose();
      electOnly(script, 'a', 'b', 'd');
      // The refusal that tells where the logs part waits for the third term to be on disk.
      script.settle((message) => among('a', 'c')(message) && message.kind !== 'heartbeat');
    },
    budget: fiveBudget,
  },
];
