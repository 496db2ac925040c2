import type { Command } from 'commander';
import { clientLimits } from '../client/limits.ts';
import type { Asked, ClusterView } from './cluster-status.ts';
import { kindOf, lagOf, peerOf, surveyCluster } from './cluster-status.ts';
import type { CliContext, CliIo } from './context.ts';
import { contextOf, withClient } from './context.ts';
import { CliError, exitCodes } from './exit-codes.ts';
import { formatBytes, formatDuration } from './values.ts';

const examples = `
Examples:
  rollcall cluster status
  rollcall cluster status --server 10.0.0.1:7400 --output json`;

/** Of the 32 digits; enough to see that two differ. */
const hashDigitsShown = 12;
const columns = ['ID', 'ROLE', 'TERM', 'COMMIT', 'APPLIED', 'LAG', 'REVISION', 'STATE HASH', 'HEARD', 'DISK FREE'];
const header = [...columns, 'VERSION', 'ADDRESS'];

export function addStatusCommand(cluster: Command, io: CliIo, done: (exitCode: number) => void): void {
  cluster
    .command('status')
    .summary('what each member knows')
    .description(
      'Asks every given server, and the members that these name. LAG: entries that are committed and that the member ' +
        'has not applied. HEARD: since the leader heard of it. Ends with 5 where no leader with a majority answers.',
    )
    .addHelpText('after', examples)
    .action(async (_flags: object, command: Command) => {
      const context = contextOf(command, io);
      const { servers, serversGiven } = context;
      const timeoutMs = surveyTimeoutMs(context);
      const view = await withClient(context, (client) => surveyCluster(client, servers, serversGiven, timeoutMs));
      await show(context, view);
      judge(context, view);
      done(exitCodes.ok);
    });
}

/** A member answers at once, also without a leader, or it hangs. */
export function surveyTimeoutMs({ timeoutMs }: CliContext): number {
  return Math.min(timeoutMs, clientLimits.attemptTimeoutMs);
}

async function show({ output }: CliContext, view: ClusterView): Promise<void> {
  const { asked, leader, clusterIds } = view;
  if (output.format === 'json') {
    const members = asked.map((each) => {
      const { address, memberId, report, error = null } = each;
      const own = memberId === undefined ? {} : { memberId };
      return { address, error, ...own, kind: kindOf(view, each), lag: lagOf(view, each) ?? null, ...report };
    });
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
  for (const { address, memberId, error } of asked) {
    if (error === undefined) continue;
    const who = address === '' ? `member ${memberId}` : address;
    output.message(error.startsWith(who) ? error : `${who}: ${error}`);
  }
  for (const { report } of asked) {
    if (report?.role === 'forming') output.message(`member ${report.memberId} waits for ${report.waitingFor}`);
  }
}

function row(asked: Asked, view: ClusterView): string[] {
  const { address, memberId, report } = asked;
  const lag = lagOf(view, asked);
  const shownLag = lag === undefined ? '' : String(lag);
  const heard = heardText(asked, view);
  if (report === undefined) return [memberId ?? '?', 'silent', '', '', '', shownLag, '', '', heard, '', '', address];
  return [
    report.memberId,
    roleText(asked, view),
    String(report.term),
    String(report.commitIndex),
    String(report.appliedIndex),
    shownLag,
    String(report.revision),
    report.stateHash.slice(0, hashDigitsShown),
    heard,
    formatBytes(report.diskFreeBytes),
    report.version,
    address,
  ];
}

/** `leader`, `follower`, `learner`, `follower (leaving)`, `leader (fenced)`, `silent`. */
export function roleText(asked: Asked, view: ClusterView): string {
  const { report } = asked;
  if (report === undefined) return 'silent';
  const kind = kindOf(view, asked);
  const role = kind === 'learner' && report.role === 'follower' ? 'learner' : report.role;
  const notes = [...(report.fenced ? ['fenced'] : []), ...(kind === 'outgoing' ? ['leaving'] : [])];
  return notes.length === 0 ? role : `${role} (${notes.join(', ')})`;
}

/** Since the leader heard of it. */
export function heardText({ memberId }: Asked, view: ClusterView): string {
  const { leader } = view;
  if (leader === undefined || memberId === undefined || memberId === leader.memberId) return '';
  const peer = peerOf(view, memberId);
  return peer === undefined ? '' : formatDuration(peer.lastContactMs);
}

/** @throws CliError 5 where no leader with a majority answers. */
export function judge({ output, servers }: CliContext, { asked, leader, clusterIds }: ClusterView): void {
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
