import { assert, must } from '../base/assert.ts';
import type { CoreState } from './core-state.ts';
import type { Progress } from './progress.ts';
import type { Entry, MemberId } from './types.ts';

/** Leader: tells every peer that it lives, how far is committed and which read round is the newest. */
export function sendHeartbeats(core: CoreState): void {
  core.heartbeatElapsedTicks = 0;
  for (const [peer, progress] of core.progress) {
    // No more than what the follower surely holds: what lies above may differ from this log.
    const commit = Math.min(progress.match, core.log.commit);
    core.send({ kind: 'heartbeat', to: peer, term: core.term, commit, round: core.rounds.newest });
  }
}

/** Leader: whether sendAppends would send anything. */
export function hasAppendsToSend(core: CoreState): boolean {
  for (const progress of core.progress.values()) {
    if (progress.open && progress.next <= core.log.lastIndex) return true;
    if (progress.emptyAppendDue(core.log.commit)) return true;
  }
  return false;
}

/**
 * Leader: sends each peer what its window has room for. Called once per ready(), so that all that was proposed since
 * the last one travels together.
 */
export function sendAppends(core: CoreState): void {
  for (const [peer, progress] of core.progress) {
    while (progress.open && progress.next <= core.log.lastIndex) {
      if (!sendAppend(core, peer, progress)) break;
    }
    if (progress.emptyAppendDue(core.log.commit)) sendAppend(core, peer, progress);
  }
}

/**
 * Leader: commits what a majority holds durably, this member included only as far as its own disk is. Only an entry of
 * the own term is committed by counting; older ones come with it (5.4.2, figure 8).
 */
export function advanceCommit(core: CoreState): void {
  const agreed = core.quorum.agreed((voter) => {
    return voter === core.id ? core.durability.durableIndex : (core.progress.get(voter)?.match ?? 0);
  });
  if (agreed <= core.log.commit) return;
  const prefix = must(core.log.prefixAt(agreed), `prefix at ${agreed}`);
  if (prefix.term !== core.term) return;
  core.log.commitTo(agreed);
}

/** Sends one append, or asks for a snapshot where the entries before it are gone. Returns whether it was an append. */
function sendAppend(core: CoreState, peer: MemberId, progress: Progress): boolean {
  const prevIndex = progress.next - 1;
  const prev = core.log.prefixAt(prevIndex);
  if (prev === undefined) {
    assert(prevIndex < core.log.base.index, () => `no entry at ${prevIndex} of a log to ${core.log.lastIndex}`);
    progress.becomeSnapshot();
    core.snapshotsWanted.push(peer);
    return false;
  }
  // With a full window only an empty append goes out: it is refused if messages were lost.
  const entries = progress.open ? core.log.bounded(progress.next, core.log.lastIndex, core.config.appendBytesMax) : [];
  const commit = core.log.commit;
  core.send({
    kind: 'append',
    to: peer,
    term: core.term,
    prevIndex,
    prevTerm: prev.term,
    prevHash: prev.hash,
    entries,
    commit,
  });
  progress.sent(entries.length, dataBytes(entries), commit);
  return true;
}

function dataBytes(entries: readonly Entry[]): number {
  return entries.reduce((sum, entry) => sum + entry.data.length, 0);
}
