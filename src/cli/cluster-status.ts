import type { RollcallClient } from '../client/client.ts';
import { ClientError } from '../client/client-error.ts';
import { clientLimits } from '../client/limits.ts';
import type { MemberReport, PeerReport } from '../client/types.ts';

/** One address and what came of asking it. */
export interface Asked {
  readonly address: string;
  /** The user named it, or a member did. */
  readonly expected: boolean;
  readonly report: MemberReport | undefined;
  readonly error: string | undefined;
}

export interface ClusterView {
  readonly asked: readonly Asked[];
  /** A leader that hears a majority; undefined where none does. */
  readonly leader: MemberReport | undefined;
  /** More than one: the addresses belong to different clusters. */
  readonly clusterIds: readonly string[];
}

/**
 * Asks each address, and then the members that the answers name, once each.
 *
 * @param given The user named `addresses`: where nobody answers is worth telling.
 */
export async function surveyCluster(
  client: RollcallClient,
  addresses: readonly string[],
  given: boolean,
  timeoutMs: number,
): Promise<ClusterView> {
  const asked = new Map<string, Asked>();
  let next = addresses.map((address) => ({ address, expected: given }));
  while (next.length > 0) {
    for (const each of await Promise.all(next.map((one) => ask(client, one, timeoutMs)))) asked.set(each.address, each);
    next = namedBy([...asked.values()])
      .filter((address) => asked.get(address)?.expected !== true)
      .slice(0, clientLimits.addressesMax - asked.size)
      .flatMap((address) => {
        const before = asked.get(address);
        if (before === undefined) return [{ address, expected: true }];
        asked.set(address, { ...before, expected: true });
        return [];
      });
  }
  const all = onceEach([...asked.values()]);
  const reports = all.flatMap(({ report }) => (report === undefined ? [] : [report]));
  return {
    asked: all,
    leader: leaderOf(reports),
    clusterIds: [...new Set(reports.map(({ clusterId }) => clusterId).filter((id) => id !== ''))],
  };
}

/** What the leader, or else any member, knows of another one. */
export function peerOf({ asked, leader }: ClusterView, memberId: string): PeerReport | undefined {
  const reports = leader === undefined ? asked.map(({ report }) => report) : [leader];
  for (const report of reports) {
    const peer = report?.members.find((member) => member.memberId === memberId);
    if (peer !== undefined) return peer;
  }
  return undefined;
}

async function ask(
  client: RollcallClient,
  { address, expected }: { readonly address: string; readonly expected: boolean },
  timeoutMs: number,
): Promise<Asked> {
  try {
    return { address, expected, report: await client.statusOf(address, { timeoutMs }), error: undefined };
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    return { address, expected, report: undefined, error: error.message };
  }
}

function namedBy(asked: readonly Asked[]): string[] {
  const named = asked.flatMap(({ report }) => report?.members.map(({ clientAddress }) => clientAddress) ?? []);
  return [...new Set(named)].filter((address) => address !== '');
}

/** One row a member, however many of its addresses were asked; and of those that did not answer, the expected ones. */
function onceEach(asked: readonly Asked[]): Asked[] {
  const rows = new Map<string, Asked>();
  for (const each of asked) {
    const { report, address, expected } = each;
    if (report === undefined && !expected) continue;
    const key = report === undefined ? `address ${address}` : `member ${report.clusterId}/${report.memberId}`;
    if (!rows.has(key)) rows.set(key, each);
  }
  return [...rows.values()].sort((a, b) => (rowOrder(a) < rowOrder(b) ? -1 : 1));
}

function rowOrder({ report, address }: Asked): string {
  return `${report?.clusterId ?? '~'} ${report?.memberId ?? '~'} ${address}`;
}

/** A leader that was deposed and has not noticed has a lower term, or hears no majority. */
function leaderOf(reports: readonly MemberReport[]): MemberReport | undefined {
  return reports
    .filter(({ role, fenced, members }) => {
      const heard = members.filter(({ reachable }) => reachable).length;
      return role === 'leader' && !fenced && heard * 2 > members.length;
    })
    .sort((a, b) => b.term - a.term)[0];
}
