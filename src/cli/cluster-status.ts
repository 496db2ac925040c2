import type { RollcallClient } from '../client/client.ts';
import { ClientError } from '../client/client-error.ts';
import { clientLimits } from '../client/limits.ts';
import type { MemberKind, MemberReport, PeerReport } from '../client/types.ts';

/** One address and what came of asking it. */
export interface Asked {
  /** '': a member that another one names without an address for clients. */
  readonly address: string;
  /** Of the member that answered, or that others say is there; undefined where nobody knows. */
  readonly memberId: string | undefined;
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
  const answers = onceEach([...asked.values()]);
  const reports = reportsOf(answers);
  const leader = leaderOf(reports);
  const witness = leader ?? furthest(reports);
  const order = rowOrder(witness?.clusterId ?? '');
  return {
    asked: withSilent(answers, witness).sort((a, b) => (order(a) < order(b) ? -1 : 1)),
    leader,
    clusterIds: [...new Set(reports.map(({ clusterId }) => clusterId).filter((id) => id !== ''))],
  };
}

/** What answered. */
export function reportsOf(asked: readonly Asked[]): MemberReport[] {
  return asked.flatMap(({ report }) => (report === undefined ? [] : [report]));
}

/** Who knows most of the registry. */
export function furthest(reports: readonly MemberReport[]): MemberReport | undefined {
  return reports.toSorted((a, b) => b.appliedIndex - a.appliedIndex)[0];
}

/** Whether a member votes, as the leader, or else any member, says. */
export function kindOf(view: ClusterView, { memberId, report }: Asked): MemberKind {
  if (memberId === undefined) return 'unknown';
  const own = report?.members.find((member) => member.memberId === memberId);
  return (peerOf(view, memberId) ?? own)?.kind ?? 'unknown';
}

/**
 * Entries that are committed and that the state of a member does not have, or of a silent one its log; undefined where
 * nobody knows.
 */
export function lagOf(view: ClusterView, { memberId, report }: Asked): number | undefined {
  const committed = Math.max(0, ...reportsOf(view.asked).map(({ commitIndex }) => commitIndex));
  if (report !== undefined) return report.role === 'forming' ? undefined : Math.max(0, committed - report.appliedIndex);
  const peer = view.leader?.members.find((member) => member.memberId === memberId);
  // The leader has not met it in this term: it does not know.
  return peer === undefined || peer.matchIndex === 0 ? undefined : Math.max(0, committed - peer.matchIndex);
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
    const report = await client.statusOf(address, { timeoutMs });
    return { address, memberId: report.memberId, expected, report, error: undefined };
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    return { address, memberId: undefined, expected, report: undefined, error: error.message };
  }
}

/** Gives those that did not answer their names, as `witness` knows them, and adds those whose address nobody has. */
function withSilent(asked: readonly Asked[], witness: MemberReport | undefined): Asked[] {
  const named = asked.map((each) => {
    if (each.report !== undefined) return each;
    const peer = witness?.members.find(({ clientAddress }) => clientAddress === each.address);
    return { ...each, memberId: peer?.memberId };
  });
  const known = new Set(named.map(({ memberId }) => memberId));
  const unasked = (witness?.members ?? []).filter(({ memberId }) => !known.has(memberId));
  const error = 'no member that answers knows its address for clients';
  return [
    ...named,
    ...unasked.map(({ memberId }) => ({ address: '', memberId, expected: true, report: undefined, error })),
  ];
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
  return [...rows.values()];
}

/** By cluster and name, what has none last; one that is silent stands with those that name it. */
function rowOrder(clusterOfSilent: string): (asked: Asked) => string {
  return ({ report, memberId, address }) =>
    memberId === undefined ? `~ ${address}` : `${report?.clusterId ?? clusterOfSilent} ${memberId} ${address}`;
}

/** A leader that was deposed and has not noticed has a lower term, or hears no majority. */
function leaderOf(reports: readonly MemberReport[]): MemberReport | undefined {
  return reports
    .filter(({ role, fenced, members }) => {
      const voters = members.filter(({ kind }) => kind === 'voter' || kind === 'unknown');
      const heard = voters.filter(({ reachable }) => reachable).length;
      return role === 'leader' && !fenced && heard * 2 > voters.length;
    })
    .sort((a, b) => b.term - a.term)[0];
}
