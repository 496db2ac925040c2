import type { Command } from 'commander';
import { clientLimits } from '../client/limits.ts';
import type { Asked, ClusterView } from './cluster-status.ts';
import { peerOf, surveyCluster } from './cluster-status.ts';
import type { CliContext, CliIo } from './context.ts';
import { contextOf, withClient } from './context.ts';
import { CliError, exitCodes } from './exit-codes.ts';
import { formatDuration } from './values.ts';

const examples = `
Examples:
  rollcall cluster status
  rollcall cluster status --server 10.0.0.1:7400 --output json`;

/** Of the 32 digits; enough to see that two differ. */
const hashDigitsShown = 12;
const header = ['ID', 'ROLE', 'TERM', 'COMMIT', 'APPLIED', 'REVISION', 'STATE HASH', 'HEARD', 'VERSION', 'ADDRESS'];

export function addClusterCommand(program: Command, io: CliIo, done: (exitCode: number) => void): void {
  const cluster = program
    .command('cluster')
    .summary('look after the members')
    .description('Looks after the members.')
    .addHelpText('after', examples);
  cluster
    .command('status')
    .summary('what each member knows')
    .description(
      'Asks every given server, and the members that these name. HEARD: since the leader heard of it. ' +
        'Ends with 5 where no leader with a majority answers.',
    )
    .addHelpText('after', examples)
    .action(async (_flags: object, command: Command) => {
      const context = contextOf(command, io);
      const { servers, serversGiven } = context;
      // It answers at once, also without a leader, or it hangs.
      const timeoutMs = Math.min(context.timeoutMs, clientLimits.attemptTimeoutMs);
      const view = await withClient(context, (client) => surveyCluster(client, servers, serversGiven, timeoutMs));
      await show(context, view);
      judge(context, view);
      done(exitCodes.ok);
    });
}

async function show({ output }: CliContext, view: ClusterView): Promise<void> {
  const { asked, leader, clusterIds } = view;
  if (output.format === 'json') {
    const members = asked.map(({ address, report, error }) => ({ address, error: error ?? null, ...report }));
    await output.json('rollcall.cluster-status.v1', {
      leader: leader?.memberId ?? null,
      term: leader?.term ?? null,
      clusterIds,
      members,
    });
    return;
  }
  if (asked.length === 0) return;
  await output.table(
    header,
    asked.map((each) => row(each, view)),
  );
  for (const { address, error } of asked) {
    if (error !== undefined) output.message(error.startsWith(address) ? error : `${address}: ${error}`);
  }
  for (const { report } of asked) {
    if (report?.role === 'forming') output.message(`member ${report.memberId} waits for ${report.waitingFor}`);
  }
}

function row({ address, report }: Asked, view: ClusterView): string[] {
  if (report === undefined) return ['?', 'silent', '', '', '', '', '', '', '', address];
  const peer = peerOf(view, report.memberId);
  const heard = report.memberId === view.leader?.memberId ? '' : formatDuration(peer?.lastContactMs ?? 0);
  return [
    report.memberId,
    report.fenced ? `${report.role} (fenced)` : report.role,
    String(report.term),
    String(report.commitIndex),
    String(report.appliedIndex),
    String(report.revision),
    report.stateHash.slice(0, hashDigitsShown),
    view.leader === undefined || peer === undefined ? '' : heard,
    report.version,
    address,
  ];
}

function judge({ output, servers }: CliContext, { asked, leader, clusterIds }: ClusterView): void {
  if (clusterIds.length > 1) output.message(`these are ${clusterIds.length} clusters: ${clusterIds.join(', ')}`);
  if (leader !== undefined) return;
  if (asked.every(({ report }) => report === undefined)) {
    const hint = 'name running members with --server host:port,host:port, or start one to try: `rollcall dev`';
    const message = `no member answers at ${servers.join(', ')}`;
    throw new CliError(exitCodes.unavailable, message, hint, { reason: 'UNREACHABLE' });
  }
  const forming = asked.some(({ report }) => report?.role === 'forming');
  const hint = forming
    ? 'start the members that are waited for'
    : 'start the silent members; a majority of them must hear each other';
  throw new CliError(exitCodes.unavailable, 'no leader with a majority answers', hint, { reason: 'NO_LEADER' });
}
