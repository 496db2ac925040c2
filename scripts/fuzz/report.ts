import { cpus, totalmem } from 'node:os';
import type { FuzzRun } from './fuzz-run.ts';
import type { Probe } from './probe.ts';
import type { Tally } from './tally.ts';
import type { Vitals } from './vitals.ts';
import type { Watchman } from './watchman.ts';
import { mibOf } from './watchman.ts';

export interface ReportInput {
  readonly run: FuzzRun;
  readonly probe: Probe;
  readonly watchman: Watchman;
  readonly seconds: number;
  readonly breaches: readonly string[];
  readonly command: string;
}

/** The figures of one run as Markdown. */
export function renderReport({ run, probe, watchman, seconds, breaches, command }: ReportInput): string {
  const machine = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;
  const verdict = breaches.length === 0 ? 'no breach' : `${breaches.length} BREACHES`;
  return [
    `    ${command}`,
    '',
    '| in all | |',
    '|---|---|',
    `| result | ${verdict} |`,
    `| machine | ${machine} |`,
    `| requests / cases | ${run.requests} / ${run.cases} |`,
    `| duration, rate | ${Math.round(seconds)} s, ${Math.round(run.requests / seconds)} requests/s |`,
    `| rounds of the good client, slowest | ${probe.rounds}, ${Math.round(probe.slowestMs)} ms |`,
    `| kept connections that a member closed | ${run.lostConnections} |`,
    '',
    ...tallyTable('method', run.byMethod),
    ...tallyTable('kind of case', run.byKind),
    ...memoryTable(watchman),
    ...breaches.map((breach) => `- BREACH: ${breach}`),
    '',
  ].join('\n');
}

function tallyTable(heading: string, tally: Tally): string[] {
  const rows = tally.rows().map(({ row, total, columns }) => {
    const parts = columns.map(([name, count]) => `${name} ${count}`);
    return `| ${row} | ${total} | ${parts.join(', ')} |`;
  });
  return [`| ${heading} | requests | answered |`, '|---|---|---|', ...rows, ''];
}

function memoryTable(watchman: Watchman): string[] {
  const cell = (vitals: Vitals | undefined): string => {
    if (vitals === undefined) return '-';
    return [vitals.residentBytes, vitals.heapUsedBytes, vitals.externalBytes].map(mibOf).join('/');
  };
  const rows = watchman.rows().map(({ id, before, windows, after }) => {
    const files = `${before.sockets}/${after.sockets} of ${before.files}/${after.files}`;
    return `| ${[id, cell(before), ...windows.map(cell), cell(after), files].join(' | ')} |`;
  });
  const tenths = Array.from({ length: 10 }, (_, i) => `${i + 1}`);
  return [
    'MiB resident/heap/external, the least of each tenth of the run:',
    '',
    `| member | at first | ${tenths.join(' | ')} | at last | sockets at first/last of open files |`,
    `|${'---|'.repeat(14)}`,
    ...rows,
    '',
  ];
}
