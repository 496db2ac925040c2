import { cpus, totalmem } from 'node:os';
import type { KillResult, RoundResult } from './kill-run.ts';

/** The figures of one run as Markdown. */
export function renderReport(result: KillResult, command: string): string {
  const kinds = [...new Set(result.rounds.map(({ kind }) => kind))];
  const rows = kinds.map((kind) =>
    row(
      kind,
      result.rounds.filter((round) => round.kind === kind),
    ),
  );
  const { watch } = result;
  const machine = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;
  const verdict = result.breaches.length === 0 ? 'no breach' : `${result.breaches.length} BREACHES`;
  return [
    '# Killing members under load',
    '',
    `Three member processes on one machine (${machine}).`,
    'Clients write through all members, watchers check every batch. Each round ends members with SIGKILL at a random',
    'moment under load (`pause`: stops the leader for 1.5 to 3 s; `term`: SIGTERM) and starts them again. Then writing',
    'pauses, all members must reach the same applied index with',
    'the same state hash, every id whose last write was acknowledged is looked up on every member, and every watcher',
    'must hold the same set.',
    '',
    `    ${command}`,
    '',
    `| ${headings.join(' | ')} |`,
    `|${'---|'.repeat(headings.length)}`,
    ...rows,
    '',
    '| in all | |',
    '|---|---|',
    `| result | ${verdict}${result.complete ? '' : ', not all rounds done'} |`,
    `| acknowledged writes | ${result.acknowledged} |`,
    `| attempts repeated with the same request id | ${result.retries} |`,
    `| writes that had no answer within 15 s | ${result.unknown} |`,
    `| watch batches / events checked | ${watch.batches} / ${watch.events} |`,
    `| batches coalesced for slow reading | ${watch.coalesced} |`,
    `| watches resumed / answered by a reset | ${watch.resumes} / ${watch.resets} |`,
    `| duration | ${Math.round(result.seconds)} s |`,
    ...result.breaches.map((breach) => `- BREACH: ${breach}`),
    '',
  ].join('\n');
}

const headings = [
  'killed',
  'rounds',
  'writes/s before, median (least)',
  'gap between acknowledged writes, ms: p50 / p99 / most',
  'equal on all members after the restart, ms: p50 / most',
  'ids checked a round',
];

function row(kind: string, rounds: readonly RoundResult[]): string {
  const sorted = (pick: (round: RoundResult) => number): number[] => rounds.map(pick).toSorted((a, b) => a - b);
  const rates = sorted((round) => round.writesPerSecond);
  const gaps = sorted((round) => round.gapMs);
  const converged = sorted((round) => round.convergedMs);
  const cells = [
    kind,
    rounds.length,
    `${at(rates, 0.5)} (${at(rates, 0)})`,
    `${at(gaps, 0.5)} / ${at(gaps, 0.99)} / ${at(gaps, 1)}`,
    `${at(converged, 0.5)} / ${at(converged, 1)}`,
    at(
      sorted((round) => round.checkedIds),
      0.5,
    ),
  ];
  return `| ${cells.join(' | ')} |`;
}

function at(sorted: readonly number[], quantile: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] ?? 0;
}
