import type { RaftCore } from '../../../src/raft/raft-core.ts';
import type { Message } from '../../../src/raft/types.ts';
import { noBudget } from './budget.ts';
import type { Budget } from './budget.ts';
import { among, Script, sent, votes } from './script.ts';
import { figureEight, fiveMembers } from './situations-five.ts';
import { memberships } from './situations-membership.ts';

/** A place from which to search: what it is, how to get there, and what may still happen. */
export interface Situation {
  readonly name: string;
  /** One sentence. */
  readonly about: string;
  readonly members: number;
  readonly script: (script: Script) => void;
  readonly budget: Budget;
}

/** Enough for two elections, a restart and a write, unless a situation is about something else. */
export const usualBudget: Budget = {
  campaigns: 2,
  doubts: 2,
  beats: 1,
  repeats: 1,
  crashes: 1,
  proposals: 1,
  reads: 0,
  compacts: 0,
  breaks: 0,
  changes: 0,
  transfers: 0,
  suspicions: 0,
};

const readBudget: Budget = {
  ...noBudget,
  campaigns: 1,
  doubts: 1,
  beats: 1,
  repeats: 1,
  crashes: 1,
  reads: 1,
  proposals: 1,
};

/** `a` leads, everybody follows, its first entry is committed and known to be. */
function leaderA(script: Script): void {
  script.elect('a');
}

const elections: readonly Situation[] = [
  {
    name: 'first-start',
    about: 'Three members that were never started before.',
    members: 3,
    script: () => {},
    budget: { ...usualBudget, campaigns: 3, crashes: 1 },
  },
  {
    name: 'split-vote',
    about: 'Two candidates of one term have their own votes on disk; the third member has not heard of either.',
    members: 3,
    script(script) {
      script.campaign('a');
      script.campaign('b');
      script.settle((message) => message.kind === 'vote-request' && message.preVote && message.to === 'c');
      script.settle((message) => message.kind === 'vote-reply' && message.preVote);
    },
    budget: { ...usualBudget, campaigns: 1, crashes: 2, doubts: 0 },
  },
  {
    name: 'vote-not-synced',
    about: 'A vote is given and not yet on disk while the request of a rival of the same term arrives.',
    members: 3,
    script(script) {
      script.slowDisks.add('c');
      script.campaign('a');
      script.campaign('b');
      script.settle((message) => message.to === 'c' || (message.kind === 'vote-reply' && message.preVote));
    },
    budget: { ...noBudget, campaigns: 1, crashes: 2, repeats: 2 },
  },
  {
    name: 'pre-vote-against-a-live-leader',
    about: 'A member that lost touch asks for votes while the leader is heard by the other.',
    members: 3,
    script(script) {
      leaderA(script);
      script.propose('a');
      script.settleAmong('a', 'b');
      script.campaign('c');
    },
    budget: { ...usualBudget, crashes: 0, campaigns: 1 },
  },
  {
    name: 'candidate-behind-a-commit',
    about: 'A candidate got its pre-votes before an entry was committed that it lacks; now it asks for votes.',
    members: 3,
    script(script) {
      leaderA(script);
      script.doubt('b');
      script.campaign('c');
      script.deliver(sent('vote-request', 'c', 'b'));
      script.propose('a');
      script.settle((message) => among('a', 'b')(message));
      script.doubt('b');
      script.settle(sent('vote-reply', 'b', 'c'));
      script.lose((message) => message.kind === 'append');
    },
    budget: { ...noBudget, campaigns: 1, doubts: 1, crashes: 1 },
  },
  {
    name: 'longer-log-of-an-old-term',
    about: 'A member asks for votes whose log is the longest, of a term that is over, and lacks what was committed.',
    members: 3,
    script(script) {
      leaderA(script);
      script.propose('a', 3);
      script.lose();
      script.persist('a');
      script.doubt('b', 'c');
      script.elect('b', 'c');
      script.lose();
      script.beat('b');
      script.deliver(sent('heartbeat', 'b', 'a'));
      script.persist('a');
      script.lose();
      script.doubt('c');
      script.campaign('a');
    },
    budget: { ...noBudget, doubts: 1, campaigns: 1, repeats: 1 },
  },
  {
    name: 'deposed-leader-writes-on',
    about: 'A leader has not heard that another was elected, and takes writes.',
    members: 3,
    script(script) {
      leaderA(script);
      script.doubt('b', 'c');
      script.elect('b', 'c');
      script.propose('a');
      script.propose('b');
    },
    budget: { ...usualBudget, proposals: 0, campaigns: 1, doubts: 1 },
  },
  {
    name: 'new-leader-over-an-old-tail',
    about:
      'A leader was just elected and holds an entry of the last term of which nobody knows whether it is committed.',
    members: 3,
    script(script) {
      leaderA(script);
      script.propose('a');
      script.deliver(sent('append', 'a', 'b'));
      script.persist('a', 'b');
      script.doubt('b', 'c');
      script.lose();
      script.campaign('b');
      script.settle(votes('b', 'c'));
    },
    budget: { ...usualBudget, reads: 1, proposals: 0, campaigns: 1, doubts: 0 },
  },
];

const disks: readonly Situation[] = [
  {
    name: 'leader-behind-its-disk',
    about: 'A leader has sent entries that are not on its own disk, and a follower has acknowledged them.',
    members: 3,
    script(script) {
      leaderA(script);
      script.slowDisks.add('a');
      script.propose('a', 2);
      script.deliver(sent('append', 'a', 'b'));
      script.persist('b');
    },
    budget: { ...usualBudget, proposals: 0, crashes: 2, doubts: 1 },
  },
  {
    name: 'restart-before-sync',
    about: 'Followers have taken entries and not written them; anybody may crash before that.',
    members: 3,
    script(script) {
      leaderA(script);
      for (const id of ['a', 'b', 'c']) script.slowDisks.add(id);
      script.propose('a');
      script.deliver(sent('append', 'a', 'b'));
      script.deliver(sent('append', 'a', 'c'));
    },
    budget: { ...usualBudget, proposals: 0, crashes: 3, campaigns: 1, doubts: 1 },
  },
  {
    name: 'replaced-while-written',
    about: 'An entry is being written when another leader replaces it: the report of the first write comes late.',
    members: 3,
    script(script) {
      leaderA(script);
      script.slowDisks.add('a').add('c');
      script.propose('a');
      script.deliver(sent('append', 'a', 'c'));
      script.lose();
      // Its own entry was not on its disk, so it may vote for one that lacks it.
      script.crash('a');
      script.slowDisks.delete('a');
      script.doubt('b');
      script.campaign('b');
      // b learns that a has started anew, and asks again.
      script.settleAmong('a', 'b');
      script.campaign('b');
      script.settle(votes('a', 'b'));
      script.deliver(sent('append', 'b', 'c'));
    },
    budget: { ...usualBudget, crashes: 1, campaigns: 1 },
  },
  {
    name: 'rejoiner-with-a-longer-log',
    about: 'A member comes back with more entries than anybody, none of them committed.',
    members: 3,
    script(script) {
      leaderA(script);
      script.propose('a', 3);
      script.lose();
      script.persist('a');
      script.doubt('b', 'c');
      script.elect('b', 'c');
      script.lose();
      script.crash('a');
      script.beat('b');
    },
    budget: { ...usualBudget, campaigns: 1, doubts: 1 },
  },
  {
    name: 'conflict-under-way',
    about: 'A longer log of an old term is being cut back, and the leader that does it may go.',
    members: 3,
    script(script) {
      leaderA(script);
      script.propose('a', 2);
      script.lose();
      script.persist('a');
      script.doubt('b', 'c');
      script.elect('b', 'c');
      script.lose();
      script.slowDisks.add('a');
      script.beat('b');
      script.settleAmong('a', 'b');
      script.propose('b');
    },
    budget: { ...usualBudget, proposals: 0, campaigns: 2, doubts: 2 },
  },
];

const snapshots: readonly Situation[] = [
  {
    name: 'snapshot-on-its-way',
    about: 'A leader has dropped the log that a follower needs; its snapshot is on the wire.',
    members: 3,
    script(script) {
      laggingC(script);
      script.snapshot('a', 'c');
    },
    budget: { ...usualBudget, compacts: 1, doubts: 1 },
  },
  {
    name: 'snapshot-over-a-stale-tail',
    about: 'A snapshot arrives at a member whose log holds other entries at the same indexes.',
    members: 3,
    script(script) {
      leaderA(script);
      script.propose('a', 2);
      script.lose();
      script.persist('a');
      script.doubt('b', 'c');
      script.elect('b', 'c');
      script.lose();
      script.propose('b');
      script.settleAmong('b', 'c');
      script.lose();
      script.compact('b');
      script.crash('a');
      script.beat('b');
      script.settle((message) => among('a', 'b')(message) && message.kind !== 'snapshot');
      script.slowDisks.add('a');
      script.snapshot('b', 'a');
      script.deliver(sent('snapshot', 'b', 'a'));
    },
    budget: { ...usualBudget, crashes: 2, doubts: 1 },
  },
  {
    name: 'compacted-members',
    about: 'Everybody has dropped a part of the log, not the same part, and a write is under way.',
    members: 3,
    script(script) {
      leaderA(script);
      script.compact('b');
      script.propose('a', 2);
      script.settle();
      script.compact('a');
      script.propose('a');
    },
    budget: { ...usualBudget, compacts: 2, breaks: 1 },
  },
];

/** a leads with b; c has missed what a has dropped from its log, and a wants to send it a snapshot. */
function laggingC(script: Script): void {
  leaderA(script);
  script.propose('a', 2);
  script.settleAmong('a', 'b');
  script.lose();
  script.compact('a');
  script.broken('a', 'c');
  script.crash('c');
  script.beat('a');
  script.settle((message) => message.kind !== 'snapshot');
}

const reads: readonly Situation[] = [
  {
    name: 'deposed-leader-reads',
    about: 'A leader has reads open when another is elected and commits.',
    members: 3,
    script(script) {
      leaderA(script);
      script.doubt('b', 'c');
      script.read('a');
      script.campaign('b');
      script.settleAmong('b', 'c');
    },
    budget: { ...readBudget, reads: 2, campaigns: 0, doubts: 0, crashes: 0, beats: 2, repeats: 2 },
  },
  {
    name: 'read-at-a-new-leader',
    about: 'A follower has sent a read to a leader whose own entry is not committed, though an older one is.',
    members: 3,
    script(script) {
      leaderA(script);
      script.propose('a');
      script.deliver(sent('append', 'a', 'c'));
      script.persist('a', 'c');
      script.deliver(sent('append-reply', 'c', 'a'));
      script.lose();
      script.doubt('b', 'c');
      script.campaign('c');
      script.settle(votes('b', 'c'));
      script.read('c');
      script.deliver(sent('append', 'c', 'b'));
      script.read('b');
    },
    budget: { ...readBudget, crashes: 0, doubts: 1 },
  },
  {
    name: 'read-beside-a-running-round',
    about: 'A read round is under way, its heartbeats answered in part, when a write and another read come.',
    members: 3,
    script(script) {
      leaderA(script);
      script.read('a');
      script.deliver(sent('heartbeat', 'a', 'b'));
      script.propose('a');
      script.deliver(sent('append', 'a', 'b'));
      script.persist('a', 'b');
      script.doubt('c');
    },
    budget: { ...readBudget, proposals: 0, reads: 1, crashes: 0 },
  },
];

const pasts: readonly Situation[] = [
  {
    name: 'answer-of-an-old-round',
    about:
      'A leader was deposed, led again and was deposed again; an answer to the first round of its first term is late.',
    members: 3,
    script(script) {
      leaderA(script);
      script.read('a');
      script.deliver(sent('heartbeat', 'a', 'b'));
      script.lose((message) => message.kind !== 'heartbeat-reply');
      const younger = (message: Message): boolean => message.term > 1;
      script.doubt('b', 'c');
      script.elect('b', 'c');
      script.beat('b');
      script.settle(younger);
      script.doubt('c');
      script.campaign('a');
      script.settle(younger);
      script.doubt('b', 'c');
      script.campaign('b');
      script.settle((message) => younger(message) && among('b', 'c')(message));
      script.lose(younger);
    },
    budget: { ...readBudget, crashes: 0, campaigns: 0 },
  },
  {
    name: 'lost-window',
    about: 'A leader has a full window of appends under way to both followers, and one stream breaks.',
    members: 3,
    script(script) {
      leaderA(script);
      script.propose('a', 3);
      script.lose(sent('append', 'a', 'c'));
      script.broken('a', 'c');
    },
    budget: { ...usualBudget, proposals: 0, breaks: 1, beats: 2, campaigns: 1, doubts: 1 },
  },
];

export const situations: readonly Situation[] = [
  ...elections,
  ...disks,
  ...snapshots,
  ...reads,
  ...pasts,
  ...figureEight,
  ...fiveMembers,
  ...memberships,
];

/** The cluster in the situation, and the words that lead there. */
export function setUp(Core: typeof RaftCore, situation: Situation): Script {
  const script = new Script(Core, situation.members);
  situation.script(script);
  return script;
}
