import type { CoreState } from './core-state.ts';
import { contextsPerMessageMax } from './read-forwards.ts';
import { sendHeartbeats } from './replication.ts';
import type { MemberId, ReadContext, ReadIndexReply, ReadIndexRequest } from './types.ts';

/** A read of this member. Without a leader, or with too many reads waiting, it is void at once. */
export function requestRead(core: CoreState, context: ReadContext): void {
  if (core.role !== 'leader' && core.leader === '') {
    core.voidedReads.push(context);
    return;
  }
  const added = core.role === 'leader' ? core.rounds.add(context) : core.forwards.add(context);
  if (added === 'full') core.voidedReads.push(context);
}

/** Leader: a peer asks for the read index. What there is no room for is void; what is pending already is a repeat. */
export function takeReadRequest(core: CoreState, request: ReadIndexRequest): void {
  voidReads(
    core,
    request.contexts.filter((context) => core.rounds.add(context) === 'full'),
  );
}

/** Follower: the leader has answered reads of this member. What is not waited for is a late or repeated answer. */
export function takeReadReply(core: CoreState, reply: ReadIndexReply): void {
  for (const context of reply.contexts) {
    if (!core.forwards.answered(context)) continue;
    if (reply.index === 0) core.voidedReads.push(context);
    else core.confirmedReads.push({ context, index: reply.index });
  }
}

/** Leader: whether startReadRound would start one. */
export function canStartReadRound(core: CoreState): boolean {
  // Before an own entry is committed the commit index may lie below what an earlier leader has acknowledged (section
  // 8).
  return core.ownTermCommitted && core.rounds.canStart;
}

/** Leader: puts all waiting reads into a new round and sends its heartbeats. */
export function startReadRound(core: CoreState): void {
  if (canStartReadRound(core)) beat(core);
}

/** Leader: the heartbeats that are due. What waits for a round goes with them. */
export function beat(core: CoreState): void {
  if (core.ownTermCommitted && core.rounds.canJoin) core.rounds.start(core.log.commit);
  sendHeartbeats(core);
  // A single voter is its own quorum.
  confirmReadRounds(core);
}

/** Leader: answers the reads of every round that a quorum has answered; this member counts for all of them. */
export function confirmReadRounds(core: CoreState): void {
  if (core.rounds.underWay === 0) return;
  const answered = core.quorum.agreed((voter) => {
    return voter === core.id ? core.rounds.newest : (core.progress.get(voter)?.roundAcked ?? 0);
  });
  const confirmed = core.rounds.confirm(answered);
  const byIndex = new Map<number, ReadContext[]>();
  for (const { context, index } of confirmed) {
    if (context.member === core.id) core.confirmedReads.push({ context, index });
    else addTo(byIndex, index, context);
  }
  for (const [index, contexts] of byIndex) replyTo(core, contexts, index);
}

/** Follower: sends the reads that are queued to the leader. */
export function forwardReads(core: CoreState): void {
  if (core.leader === '' || !core.forwards.hasQueued) return;
  for (const contexts of core.forwards.send(core.ticks)) {
    core.send({ kind: 'read-index', to: core.leader, term: core.term, contexts });
  }
}

/** Notes own reads as void and tells peers that wait for the others that they must ask anew. */
export function voidReads(core: CoreState, contexts: readonly ReadContext[]): void {
  const theirs = contexts.filter((context) => context.member !== core.id);
  core.voidedReads.push(...contexts.filter((context) => context.member === core.id));
  replyTo(core, theirs, 0);
}

function replyTo(core: CoreState, contexts: readonly ReadContext[], index: number): void {
  const byMember = new Map<MemberId, ReadContext[]>();
  for (const context of contexts) addTo(byMember, context.member, context);
  for (const [member, theirs] of byMember) {
    for (let start = 0; start < theirs.length; start += contextsPerMessageMax) {
      const batch = theirs.slice(start, start + contextsPerMessageMax);
      core.send({ kind: 'read-index-reply', to: member, term: core.term, contexts: batch, index });
    }
  }
}

function addTo<K>(groups: Map<K, ReadContext[]>, key: K, context: ReadContext): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, [context]);
  else group.push(context);
}
