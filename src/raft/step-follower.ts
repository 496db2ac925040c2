import { assert, InvariantError, unreachable } from '../base/assert.ts';
import { extendPrefixHash } from '../base/hash.ts';
import type { CoreState } from './core-state.ts';
import type { Prefix } from './raft-log.ts';
import { campaignAtOnce } from './elections.ts';
import { takeReadReply, voidReads } from './reads.ts';
import { newLeaderKnown } from './transfer.ts';
import type { AppendRequest, Entry, Heartbeat, Message, SnapshotMessage, VoteRequest } from './types.ts';

/** A message of the own term for a follower. */
export function stepFollower(core: CoreState, message: Exclude<Message, VoteRequest>): void {
  switch (message.kind) {
    case 'append':
      if (hearLeader(core, message.from)) takeAppend(core, message);
      return;
    case 'heartbeat':
      if (hearLeader(core, message.from)) takeHeartbeat(core, message);
      return;
    case 'snapshot':
      if (hearLeader(core, message.from)) takeSnapshot(core, message);
      return;
    case 'timeout-now':
      if (hearLeader(core, message.from)) campaignAtOnce(core);
      return;
    case 'read-index':
      // The asker will learn of another leader, or of none.
      voidReads(core, message.contexts);
      return;
    case 'read-index-reply':
      if (message.from === core.leader) takeReadReply(core, message);
      else core.drop('unexpected');
      return;
    case 'vote-reply':
    case 'append-reply':
    case 'heartbeat-reply':
      core.drop('unexpected');
      return;
    default:
      unreachable(message);
  }
}

/** Acknowledges what has become durable since the last acknowledgement to the leader of this term. */
export function acknowledgeDurable(core: CoreState): void {
  const { durableHardVersion, durableIndex, hardVersion } = core.durability;
  if (core.role !== 'follower' || core.leader === '') return;
  // An answer could not leave yet, and the report that lets it go may cover more entries.
  if (durableHardVersion < hardVersion) return;
  const match = Math.min(core.verifiedIndex, durableIndex);
  if (match <= core.acknowledgedIndex || match < core.log.base.index) return;
  sendAccepted(core, match);
}

/** There is one leader per term; a second one is told nothing, and counted. */
function hearLeader(core: CoreState, leader: string): boolean {
  if (core.leader !== '' && core.leader !== leader) {
    core.drop('two-leaders');
    return false;
  }
  const isNews = core.leader === '';
  core.leader = leader;
  if (isNews) newLeaderKnown(core);
  core.suspects = false;
  core.electionElapsedTicks = 0;
  return true;
}

function takeHeartbeat(core: CoreState, heartbeat: Heartbeat): void {
  // Above what was compared with this leader's log the entries may be others.
  core.log.commitTo(Math.min(heartbeat.commit, core.verifiedIndex));
  core.send({ kind: 'heartbeat-reply', to: heartbeat.from, term: core.term, round: heartbeat.round });
}

/** The consistency check of section 5.3, on hashes of the whole prefix and not of terms alone. */
function takeAppend(core: CoreState, append: AppendRequest): void {
  const { log } = core;
  const last = append.prevIndex + append.entries.length;
  if (append.prevIndex < log.base.index) {
    takeAppendAcrossBase(core, append);
    return;
  }
  const prev = log.prefixAt(append.prevIndex);
  if (prev === undefined || prev.term !== append.prevTerm) {
    assert(
      append.prevIndex > log.commit,
      () => `committed entry ${append.prevIndex} has term ${prev?.term} here and ${append.prevTerm} at the leader`,
    );
    refuse(core, append);
    return;
  }
  compareHash(append.from, append.prevIndex, prev, append.prevHash);
  takeEntries(core, append.from, append.entries);
  verified(core, last);
  log.commitTo(Math.min(append.commit, last));
  acknowledge(core, last);
}

/** The message begins below the kept log, where everything is committed and hence equal. */
function takeAppendAcrossBase(core: CoreState, append: AppendRequest): void {
  const { log } = core;
  const atBase = append.entries[log.base.index - append.prevIndex - 1];
  if (atBase === undefined) {
    acknowledge(core, log.commit);
    return;
  }
  assert(
    atBase.term === log.base.term,
    () => `committed entry ${atBase.index} has term ${log.base.term} here and ${atBase.term} at the leader`,
  );
  takeAppend(core, {
    ...append,
    prevIndex: atBase.index,
    prevTerm: atBase.term,
    prevHash: atBase.hash,
    entries: append.entries.slice(atBase.index - append.prevIndex),
  });
}

/**
 * Takes the entries that are not held yet. Entries that are held stay, even when the message ends before them: it may
 * be a late one (section 5.3, step 3 of AppendEntries in figure 2).
 */
function takeEntries(core: CoreState, leader: string, entries: readonly Entry[]): void {
  const { log } = core;
  let held = 0;
  for (const entry of entries) {
    const own = log.prefixAt(entry.index);
    if (own === undefined || own.term !== entry.term) break;
    compareHash(leader, entry.index, own, entry.hash);
    held += 1;
  }
  const first = entries[held];
  if (first === undefined) return;
  const fresh = entries.slice(held);
  verifyHashes(leader, log.prefixAt(first.index - 1), fresh);
  if (first.index <= log.lastIndex) {
    assert(
      // A leader never changes its own log either, so what was compared with it stays (leader append-only, 5.3).
      first.index > log.commit && first.index > core.verifiedIndex,
      () => `${leader} would replace entry ${first.index}; commit ${log.commit}, verified ${core.verifiedIndex}`,
    );
    core.durability.cutTo(first.index - 1);
  }
  core.replaceEntries(fresh);
}

/** Each entry must carry the hash of the prefix that it ends: nothing damaged on its way here is ever stored. */
function verifyHashes(leader: string, before: Prefix | undefined, entries: readonly Entry[]): void {
  assert(before !== undefined, 'entries follow one that is not held');
  let hash = before.hash;
  for (const entry of entries) {
    hash = extendPrefixHash(hash, entry.index, entry.term, entry.data);
    if (hash !== entry.hash) {
      throw new InvariantError(
        `entry ${entry.index} of term ${entry.term} from ${leader} has hash ${entry.hash}, its content gives ${hash}`,
      );
    }
  }
}

/** Equal index and term with another hash: the two logs have diverged, which Raft excludes. Stop before it spreads. */
function compareHash(leader: string, index: number, own: Prefix, theirs: string): void {
  if (own.hash === theirs) return;
  throw new InvariantError(
    `prefix up to entry ${index} of term ${own.term} has hash ${own.hash} here and ${theirs} at leader ${leader}`,
  );
}

function refuse(core: CoreState, append: AppendRequest): void {
  const hint = core.log.agreementBelow(append.prevIndex, append.prevTerm);
  core.send({
    kind: 'append-reply',
    to: append.from,
    term: core.term,
    accepted: false,
    matchIndex: 0,
    rejectedIndex: append.prevIndex,
    hintIndex: hint.index,
    hintTerm: hint.term,
  });
}

/** The host has the snapshot in a synced directory; the log restarts at it (section 7). */
function takeSnapshot(core: CoreState, message: SnapshotMessage): void {
  const { snapshot } = message;
  const { log } = core;
  if (snapshot.index <= log.commit) {
    acknowledge(core, log.commit);
    return;
  }
  const own = log.prefixAt(snapshot.index);
  if (own !== undefined && own.term === snapshot.term) {
    // The log holds all that the snapshot covers, so what follows it is kept (figure 13, step 6).
    compareHash(message.from, snapshot.index, own, snapshot.hash);
    verified(core, snapshot.index);
    log.commitTo(snapshot.index);
    acknowledge(core, snapshot.index);
    return;
  }
  core.restartLog(snapshot, message.membership);
  verified(core, snapshot.index);
}

function verified(core: CoreState, index: number): void {
  if (index > core.verifiedIndex) core.verifiedIndex = index;
}

/**
 * Accepts up to `index`, which equals the leader's log: at once if that is durable, otherwise acknowledgeDurable will
 * once it is. Until then the leader cannot count it, and it never leaves if the term ends first.
 */
function acknowledge(core: CoreState, index: number): void {
  verified(core, index);
  const match = Math.min(core.verifiedIndex, core.durability.durableIndex);
  if (index <= match) sendAccepted(core, match);
}

function sendAccepted(core: CoreState, match: number): void {
  core.acknowledgedIndex = Math.max(core.acknowledgedIndex, match);
  core.send({
    kind: 'append-reply',
    to: core.leader,
    term: core.term,
    accepted: true,
    matchIndex: match,
    rejectedIndex: 0,
    hintIndex: 0,
    hintTerm: 0,
  });
}
