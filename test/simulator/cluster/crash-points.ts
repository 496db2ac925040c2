import type { DiskStep } from '../../../src/storage/memory-disk.ts';

/**
 * Moments around durable and visible steps at which a process may die. They are hit from outside, by what a member is
 * given (disk, transport, log, state): src/ knows nothing of them.
 */
export const crashPoints = [
  'beforeAppend',
  'afterAppendBeforeSync',
  'afterLongAppendBeforeSync',
  'afterSyncBeforeAck',
  'beforeHardState',
  'betweenHardStateSlots',
  'afterHardStateBeforeVoteReply',
  'beforeLeaderSend',
  'beforeEntriesSend',
  'beforeFollowerReply',
  'beforeVoteRequest',
  'beforeApplyBatch',
  'beforeConfApply',
  'afterConfAppend',
  'midApplyBatch',
  'afterApplyBeforeReply',
  'beforeFlush',
  'afterFlush',
  'beforeSnapshotWrite',
  'midSnapshotWrite',
  'afterSnapshotBeforeRename',
  'afterRenameBeforeDirSync',
  'beforeLogCompact',
  'midLogCompact',
  'beforeSnapshotInstall',
  'midSnapshotInstall',
  'afterInstallBeforeLogReset',
  'beforeWatchSend',
  'beforeWatchCatchup',
  'beforeLeaseExpirePropose',
  'afterLeaderElectedBeforeNoop',
  'beforeReadIndexReply',
  'duringOpenScrub',
  'afterOpenBeforeBootRaised',
  'firstBootBeforeIdentity',
  'firstBootAfterIdentity',
  'beforeSegmentCreated',
  'afterSegmentCreated',
] as const;

export type CrashPoint = (typeof crashPoints)[number];

const isSegment = (path: string): boolean => path.endsWith('.seg');

/** What the disk is about to do, as a named moment. `pages`: how many of the file are not synced. */
export function pointBefore(step: DiskStep, path: string, pages: () => number): CrashPoint | undefined {
  if (isSegment(path)) {
    if (step === 'write') return 'beforeAppend';
    if (step === 'open') return 'beforeSegmentCreated';
    if (step === 'sync') return pages() > 1 ? 'afterLongAppendBeforeSync' : 'afterAppendBeforeSync';
    if (step === 'remove') return 'midLogCompact';
    if (step === 'read') return 'duringOpenScrub';
  }
  if (path.startsWith('hard-state')) return step === 'write' ? 'beforeHardState' : undefined;
  if (path.startsWith('identity')) {
    if (step === 'write') return 'firstBootBeforeIdentity';
    if (step === 'rename') return 'firstBootAfterIdentity';
  }
  if (path.startsWith('log/mark')) return step === 'write' ? 'beforeLogCompact' : undefined;
  if (path.startsWith('state')) {
    if (step === 'make-directory') return 'beforeSnapshotWrite';
    if (step === 'write' && path.endsWith('/CURRENT')) return 'midSnapshotWrite';
    if (step === 'rename') return 'afterSnapshotBeforeRename';
    if (step === 'sync-directory') return 'afterRenameBeforeDirSync';
    if (step === 'remove-tree') return 'afterInstallBeforeLogReset';
  }
  return undefined;
}

/** What the disk has just done. */
export function pointAfter(step: DiskStep, path: string): CrashPoint | undefined {
  if (isSegment(path)) {
    if (step === 'sync') return 'afterSyncBeforeAck';
    if (step === 'open') return 'afterSegmentCreated';
  }
  if (path.startsWith('hard-state')) {
    if (step === 'write') return 'betweenHardStateSlots';
    if (step === 'sync') return 'afterHardStateBeforeVoteReply';
    if (step === 'open') return 'afterOpenBeforeBootRaised';
  }
  if (path === 'state' && step === 'sync-directory') return 'afterInstallBeforeLogReset';
  return undefined;
}
