import type { ConfirmedRead, MemberId, Message, ReadContext } from '../../../src/raft/types.ts';
import type { Output } from './host.ts';
import { hashAt, lastOf, termAt } from './view.ts';
import type { Run, View } from './view.ts';

/**
 * What one move at one member broke of the promises that can be judged there alone: nothing goes back (I6), indexes in
 * order (I7), a leader changes nothing in its log (I2) and commits by counting only what is of its term (I9), nothing
 * is sent that a crash could take back (I8). Undefined where nothing was broken.
 */
export function localBreach(before: View, after: View, output: Output): string | undefined {
  return (
    diskBreach(before, after) ??
    (before.boot === after.boot ? processBreach(before, after) : undefined) ??
    orderBreach(after) ??
    sentBreach(after, output.messages)
  );
}

function diskBreach(before: View, after: View): string | undefined {
  if (after.diskTerm < before.diskTerm) return `I6: the term on its disk fell to ${after.diskTerm}`;
  if (after.diskTerm === before.diskTerm && before.diskVote !== '' && after.diskVote !== before.diskVote) {
    return `I6: voted for ${before.diskVote} and for ${after.diskVote || 'nobody'} in term ${after.diskTerm}`;
  }
  if (after.disk.base < before.disk.base) return `I6: the log on its disk begins at ${after.disk.base} again`;
  return undefined;
}

function processBreach(before: View, after: View): string | undefined {
  if (after.term < before.term) return `I6: its term fell from ${before.term} to ${after.term}`;
  if (after.term === before.term && before.vote !== '' && after.vote !== before.vote) {
    return `I6: voted for ${before.vote} and for ${after.vote || 'nobody'} in term ${after.term}`;
  }
  if (after.commit < before.commit) return `I6: its commit index fell from ${before.commit} to ${after.commit}`;
  if (after.applied < before.applied) return `I6: its applied index fell from ${before.applied} to ${after.applied}`;
  if (before.role !== 'leader' || after.role !== 'leader' || after.term !== before.term) return undefined;
  const last = lastOf(before.log);
  if (after.log.base <= last && hashAt(after.log, last) !== hashAt(before.log, last)) {
    return `I2: a leader changed its own log below entry ${last}`;
  }
  const term = termAt(after.log, after.commit);
  if (after.commit > before.commit && term !== after.term) {
    return `I9: committed entry ${after.commit} of term ${term} by counting in term ${after.term}`;
  }
  return undefined;
}

function orderBreach({ log, applied, commit }: View): string | undefined {
  const last = lastOf(log);
  if (log.base <= applied && applied <= commit && commit <= last) return undefined;
  return `I7: base ${log.base}, applied ${applied}, commit ${commit}, last ${last}`;
}

function sentBreach(after: View, messages: readonly Message[]): string | undefined {
  for (const message of messages) {
    const breach = messageBreach(after, message);
    if (breach !== undefined) return `I8: ${breach}`;
  }
  return undefined;
}

function messageBreach(after: View, message: Message): string | undefined {
  const { diskTerm, diskVote, disk, log } = after;
  const onlyAsked =
    (message.kind === 'vote-request' && message.preVote) ||
    (message.kind === 'vote-reply' && message.preVote && message.granted);
  if (!onlyAsked && message.term > diskTerm) {
    return `a ${message.kind} of term ${message.term} left while its disk knew term ${diskTerm}`;
  }
  const gives = message.kind === 'vote-reply' && message.granted;
  if ((gives || message.kind === 'vote-request') && !message.preVote) {
    const candidate = gives ? message.to : message.from;
    if (diskTerm !== message.term || diskVote !== candidate) {
      return `its vote for ${candidate} in term ${message.term} left before it was on disk`;
    }
  }
  if (message.kind === 'append-reply' && message.accepted) {
    const match = message.matchIndex;
    const isOnDisk = match < disk.base || match < log.base || hashAt(disk, match) === hashAt(log, match);
    if (match > lastOf(disk) || !isOnDisk) return `entries up to ${match} were acknowledged before they were on disk`;
  }
  if ((message.kind === 'append' || message.kind === 'heartbeat') && message.commit > after.commit) {
    return `commit index ${message.commit} was told, its own is ${after.commit}`;
  }
  return undefined;
}

/** What has to be remembered of the past to judge the present. Replaced, never changed. */
export interface Ghost {
  /** Who led each term. */
  readonly leaders: ReadonlyMap<number, MemberId>;
  /** By index - 1: what was committed there, and by the leader of which term. */
  readonly commits: readonly { readonly hash: number; readonly term: number }[];
  /** Who decides by the newest committed membership; empty before anything is committed. */
  readonly voters: readonly MemberId[];
  /** Reads that were asked for and not answered, each with the greatest index that was committed by then. */
  readonly reads: ReadonlyMap<string, number>;
}

export const noGhost: Ghost = { leaders: new Map(), commits: [], voters: [], reads: new Map() };

/** Text that is equal for equal ghosts. */
export function ghostKey(ghost: Ghost): string {
  const commits = ghost.commits.map(({ hash, term }) => `${hash}@${term}`).join(' ');
  return `${pairs(ghost.leaders)};${commits};${ghost.voters.join()};${pairs(ghost.reads)}`;
}

function pairs(map: ReadonlyMap<number | string, number | string>): string {
  return [...map]
    .map(([key, held]) => `${key}=${held}`)
    .sort()
    .join(' ');
}

/** What a move at one member did to the cluster. */
export interface Change {
  readonly before: View;
  readonly after: View;
  readonly output: Output;
  /** All members as they are after it. */
  readonly views: readonly View[];
}

export interface Judgement {
  readonly ghost: Ghost;
  readonly breach?: string;
}

/** Judges what can be seen only from all members together, and remembers what later judgements need. */
export function judge(ghost: Ghost, change: Change): Judgement {
  const { before, after, output, views } = change;
  let next = ghost;
  if (after.role === 'leader' && (before.role !== 'leader' || before.term !== after.term)) {
    const judged = judgeElection(next, after);
    if (judged.breach !== undefined) return judged;
    next = judged.ghost;
  }
  const known = next.commits.length;
  const judged = judgeCommit(next, after);
  if (judged.breach !== undefined) return judged;
  next = judged.ghost;
  const diskChanged = !isSame(before.disk, after.disk);
  const breach =
    // What a move leaves as it was needs no second look.
    (diskChanged || !isSame(before.log, after.log) ? matchingBreach(after, views) : undefined) ??
    (diskChanged || next.commits.length > known ? durableBreach(next, views) : undefined) ??
    (diskChanged || after.role === 'leader' ? acknowledgedBreach(after, views) : undefined);
  if (breach !== undefined) return { ghost: next, breach };
  const answered = output.confirmed.length + output.voided.length > 0;
  const forgotten = before.boot !== after.boot && next.reads.size > 0;
  return output.asked.length > 0 || answered || forgotten ? judgeReads(next, change) : { ghost: next };
}

/** One leader a term (I1), and it holds all that was committed in earlier terms (I4). */
function judgeElection(ghost: Ghost, { id, term, log, hasVote, membership }: View): Judgement {
  if (!hasVote) return { ghost, breach: `C3: ${id} leads term ${term} and has no vote among ${membership}` };
  const known = ghost.leaders.get(term);
  if (known !== undefined && known !== id) return { ghost, breach: `I1: ${known} and ${id} both led term ${term}` };
  for (let index = ghost.commits.length; index >= 1; index--) {
    const committed = ghost.commits[index - 1];
    if (committed === undefined || committed.term >= term) continue;
    if (index >= log.base && hashAt(log, index) !== committed.hash) {
      return { ghost, breach: `I4: leader ${id} of term ${term} lacks entry ${index}, committed in ${committed.term}` };
    }
    break;
  }
  return { ghost: { ...ghost, leaders: new Map(ghost.leaders).set(term, id) } };
}

/** One entry for each index that anybody ever held for committed (I5). */
function judgeCommit(ghost: Ghost, { id, term, log, commit, voters }: View): Judgement {
  const { commits } = ghost;
  const shared = Math.min(commit, commits.length);
  const own = hashAt(log, shared);
  if (shared > 0 && own !== undefined && own !== commits[shared - 1]?.hash) {
    return { ghost, breach: `I5: ${id} holds for committed at ${shared} another entry than was committed there` };
  }
  if (commit <= commits.length) return { ghost };
  const more = [...commits];
  for (let index = commits.length + 1; index <= commit; index++) {
    const hash = hashAt(log, index);
    if (hash === undefined) return { ghost, breach: `I5: ${id} commits ${commit} and lacks entry ${index}` };
    more.push({ hash, term });
  }
  if (voters.length === 0) return { ghost, breach: `C6: ${id} commits ${commit}, and nobody is left to vote` };
  return { ghost: { ...ghost, commits: more, voters } };
}

/** Equal index and term, equal prefix (I3), in any two logs, in memory and on disk. */
function matchingBreach(after: View, views: readonly View[]): string | undefined {
  for (const other of views) {
    if (other.id === after.id) continue;
    const index = mismatch(after.log, other.log) ?? mismatch(after.disk, other.disk);
    if (index !== undefined)
      return `I3: ${after.id} and ${other.id} have unlike logs up to an entry ${index} of one term`;
  }
  return undefined;
}

function mismatch(left: Run, right: Run): number | undefined {
  const last = Math.min(lastOf(left), lastOf(right));
  for (let index = Math.max(left.base, right.base); index <= last; index++) {
    if (termAt(left, index) === termAt(right, index) && hashAt(left, index) !== hashAt(right, index)) return index;
  }
  return undefined;
}

/** Equal hashes of the whole prefix, equal logs. */
function isSame(left: Run, right: Run): boolean {
  return (
    left.base === right.base && left.hashes.length === right.hashes.length && left.hashes.at(-1) === right.hashes.at(-1)
  );
}

/** What is committed lies on the disks of a majority of those that decide now: no minority can lose it. */
function durableBreach(ghost: Ghost, views: readonly View[]): string | undefined {
  const index = ghost.commits.length;
  const committed = ghost.commits[index - 1];
  if (committed === undefined) return undefined;
  const holders = views.filter(({ disk }) => disk.base >= index || hashAt(disk, index) === committed.hash);
  const { voters } = ghost;
  const deciding = holders.filter(({ id }) => voters.includes(id));
  if (deciding.length * 2 > voters.length) return undefined;
  return `I10: entry ${index} is committed and on ${deciding.length} of the disks of ${voters.join(', ')}`;
}

/** What a leader holds for acknowledged by a peer is on the peer's disk, unless a later term has reached that. */
function acknowledgedBreach(after: View, views: readonly View[]): string | undefined {
  for (const leader of views) {
    if (leader.role !== 'leader') continue;
    for (const { id, match } of leader.matches) {
      if (match === 0 || (leader.id !== after.id && id !== after.id)) continue;
      const peer = views.find((view) => view.id === id);
      if (peer === undefined || peer.diskTerm > leader.term || match < peer.disk.base || match < leader.log.base)
        continue;
      if (hashAt(peer.disk, match) !== hashAt(leader.log, match)) {
        return `I8: leader ${leader.id} counts ${id} up to entry ${match}, which is not on its disk`;
      }
    }
  }
  return undefined;
}

/** A confirmed read sees all that was committed anywhere before it was asked for. */
function judgeReads(ghost: Ghost, { before, after, output }: Change): Judgement {
  const reads = new Map(ghost.reads);
  if (before.boot !== after.boot) {
    for (const key of reads.keys()) if (key.startsWith(`${after.id}/`)) reads.delete(key);
  }
  // Committed by this very move is committed no earlier than the question.
  for (const context of output.asked) reads.set(readKey(context), ghost.commits.length);
  for (const context of output.voided) reads.delete(readKey(context));
  for (const read of output.confirmed) {
    const breach = readBreach(reads, read);
    if (breach !== undefined) return { ghost, breach: `reads: ${after.id} ${breach}` };
    reads.delete(readKey(read.context));
  }
  return { ghost: { ...ghost, reads } };
}

function readBreach(reads: ReadonlyMap<string, number>, { context, index }: ConfirmedRead): string | undefined {
  const least = reads.get(readKey(context));
  if (least === undefined) return `was answered a read that it does not wait for, ${readKey(context)}`;
  if (index >= least) return undefined;
  return `may read ${readKey(context)} at ${index}, ${least} was committed before it asked`;
}

function readKey({ member, boot, counter }: ReadContext): string {
  return `${member}/${boot}/${counter}`;
}
