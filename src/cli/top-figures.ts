import type { MemberReport } from '../client/types.ts';
import type { Asked, ClusterView } from './cluster-status.ts';
import { furthest, lagOf, reportsOf } from './cluster-status.ts';
import { heardText, roleText } from './status-command.ts';
import { formatBytes, formatDuration } from './values.ts';

/** The cluster as it was found at a moment. */
export interface TopSample {
  /** By a clock that never goes back. */
  readonly atMs: number;
  readonly view: ClusterView;
}

export interface TopMember {
  readonly asked: Asked;
  /** Entries applied in a second; undefined where it did not answer twice. */
  readonly appliedPerSecond: number | undefined;
}

/** What changed from one moment to the next. */
export interface TopFigures {
  readonly view: ClusterView;
  readonly intervalMs: number;
  /** Who knows most of the registry; undefined where nobody answers. */
  readonly best: MemberReport | undefined;
  /** Revisions in a second: changes of the registry. */
  readonly writesPerSecond: number | undefined;
  /** Of all members that answer. */
  readonly watches: number;
  readonly sessionStreams: number;
  readonly members: readonly TopMember[];
}

/** Pure. A member that was restarted or restored between the two has no rate. */
export function topFigures(before: TopSample, now: TopSample): TopFigures {
  const intervalMs = now.atMs - before.atMs;
  const reports = reportsOf(now.view.asked);
  const earlier = reportsOf(before.view.asked);
  const best = furthest(reports);
  const first = furthest(earlier);
  const isSame = best?.clusterId === first?.clusterId;
  return {
    view: now.view,
    intervalMs,
    best,
    writesPerSecond: isSame ? rate(first?.revision, best?.revision, intervalMs) : undefined,
    watches: reports.reduce((sum, { watches }) => sum + watches, 0),
    sessionStreams: reports.reduce((sum, { sessionStreams }) => sum + sessionStreams, 0),
    members: now.view.asked.map((asked) => {
      const { report } = asked;
      const same = earlier.find(({ directoryId, boot }) => directoryId === report?.directoryId && boot === report.boot);
      return { asked, appliedPerSecond: rate(same?.appliedIndex, report?.appliedIndex, intervalMs) };
    }),
  };
}

function rate(from: number | undefined, to: number | undefined, ms: number): number | undefined {
  if (from === undefined || to === undefined || to < from || ms <= 0) return undefined;
  return ((to - from) * 1_000) / ms;
}

export const topHeader = [
  'ID',
  'ROLE',
  'APPLIED',
  'APPLIED/S',
  'LAG',
  'WATCHES',
  'STREAMS',
  'HEARD',
  'DISK FREE',
  'UP',
];

export function topRow({ asked, appliedPerSecond }: TopMember, view: ClusterView): string[] {
  const { report, memberId } = asked;
  const lag = lagOf(view, asked);
  const heard = heardText(asked, view);
  return [
    memberId ?? asked.address,
    roleText(asked, view),
    report === undefined ? '' : String(report.appliedIndex),
    rateText(appliedPerSecond),
    lag === undefined ? '' : String(lag),
    report === undefined ? '' : String(report.watches),
    report === undefined ? '' : String(report.sessionStreams),
    heard,
    report === undefined ? '' : formatBytes(report.diskFreeBytes),
    // Seconds are enough for people.
    report === undefined ? '' : formatDuration(Math.floor(report.uptimeMs / 1_000) * 1_000),
  ];
}

/** The lines above the table. */
export function topLines(figures: TopFigures): string[] {
  const { view, best, writesPerSecond, watches, sessionStreams } = figures;
  const { leader, asked } = view;
  const answering = reportsOf(asked).length;
  const who = leader === undefined ? 'no leader with a majority' : `leader ${leader.memberId} in term ${leader.term}`;
  return [
    `${who}; ${answering} of ${asked.length} members answer`,
    [
      `writes/s ${rateText(writesPerSecond) || '-'}`,
      `revision ${best?.revision ?? '-'}`,
      `instances ${best?.instances ?? '-'}`,
      `services ${best?.services ?? '-'}`,
    ].join('  '),
    [
      `sessions ${best?.sessions ?? '-'}`,
      `leases ${best?.leases ?? '-'}`,
      `watches ${watches}`,
      `session streams ${sessionStreams}`,
    ].join('  '),
  ];
}

/** Small rates with a decimal: `0.4`, `12`, `3456`. */
function rateText(perSecond: number | undefined): string {
  if (perSecond === undefined) return '';
  return perSecond > 0 && perSecond < 10 ? perSecond.toFixed(1) : String(Math.round(perSecond));
}
