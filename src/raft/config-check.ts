import { assert } from '../base/assert.ts';
import type { RaftConfig, RaftInitial } from './config.ts';
import { checkMembership } from './membership.ts';
import { peerNumberMax } from './message-check.ts';

/** Asserts the relations between settings that the core relies on. */
export function checkConfig(config: RaftConfig): void {
  const { heartbeatTicks, electionTicksMin, electionTicksMax } = config;
  assert(config.id !== '', 'a member has a name');
  assert(isCount(config.boot) && config.boot <= peerNumberMax, () => `boot number is ${config.boot}`);
  // A follower must miss more than one heartbeat before it doubts its leader, and timeouts must differ (section 5.2).
  assert(
    isCount(heartbeatTicks) && heartbeatTicks < electionTicksMin && electionTicksMin < electionTicksMax,
    () => `heartbeat ${heartbeatTicks}, election [${electionTicksMin}, ${electionTicksMax}) ticks`,
  );
  assert(isCount(electionTicksMin) && isCount(electionTicksMax), 'election ticks are whole numbers');
  assert(
    isCount(config.inflightMessagesMax) && isCount(config.inflightBytesMax),
    () => `window of ${config.inflightMessagesMax} messages and ${config.inflightBytesMax} bytes`,
  );
  assert(
    isCount(config.appendBytesMax) && isCount(config.applyBytesMax) && isCount(config.uncommittedBytesMax),
    () => `bytes: append ${config.appendBytesMax}, apply ${config.applyBytesMax}, log ${config.uncommittedBytesMax}`,
  );
  assert(
    isCount(config.readRoundsMax) && isCount(config.pendingReadsMax),
    () => `${config.readRoundsMax} rounds of reads, ${config.pendingReadsMax} reads`,
  );
}

/** Asserts that what was found on disk can be a state of this core; entries are checked where the log takes them. */
export function checkInitial(initial: RaftInitial): void {
  const { hardState, base, commit, applied } = initial;
  for (const value of [hardState.term, base.index, base.term, commit, applied]) {
    assert(Number.isSafeInteger(value) && value >= 0 && value <= peerNumberMax, () => `${value} in the initial state`);
  }
  checkMembership(initial.membership);
  assert(hardState.vote === '' || hardState.term > 0, () => `vote for ${hardState.vote} in term 0`);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}
