import { SeededRandom } from '../../src/base/random.ts';
import type { MemberId } from '../../src/raft/types.ts';
import { bytesOf, Network } from './network.ts';

/** Which members hear which: `links[from][to]`. A member always hears itself. */
export type Links = readonly (readonly boolean[])[];

/** Every graph of one-way links between so many members, one of each that differ only by the names of the members. */
export function linkGraphs(members: number): Links[] {
  const pairs = pairsOf(members);
  const orders = permutationsOf(Array.from({ length: members }, (_, at) => at));
  const seen = new Set<number>();
  const graphs: Links[] = [];
  for (let bits = 0; bits < 2 ** pairs.length; bits++) {
    if (seen.has(bits)) continue;
    const links = linksOf(members, bits);
    for (const order of orders)
      seen.add(bitsOf(pairs, (from, to) => links[order[from] ?? 0]?.[order[to] ?? 0] ?? false));
    graphs.push(links);
  }
  return graphs;
}

/** Members that hear, and are heard by, so many others that they make a majority with them. */
export function centresOf(links: Links): number[] {
  const everybody = links.map((_, at) => at);
  return everybody.filter((member) => {
    const both = everybody.filter((other) => member === other || (links[member]?.[other] && links[other]?.[member]));
    return both.length * 2 > everybody.length;
  });
}

export interface GraphRun {
  /** Ticks until the leader that stayed was elected; undefined where none did. */
  readonly ticks: number | undefined;
  /** Times that the term changed after that, within as long again. */
  readonly laterTerms: number;
}

/** Cuts all links that the graph has not from a cluster at rest under this leader, and waits. */
export function runGraph(links: Links, leader: number, ticksMax: number): GraphRun {
  const names = ['a', 'b', 'c', 'd', 'e'].slice(0, links.length);
  const net = new Network({ members: names, randomOf: (id) => new SeededRandom(1 + names.indexOf(id) + 8 * leader) });
  const nameOf = (at: number): MemberId => names[at] ?? '';
  net.elect(nameOf(leader));
  net.run(4);
  for (const [from, to] of pairsOf(links.length)) if (!links[from]?.[to]) net.cut(nameOf(from), nameOf(to));
  let since: number | undefined;
  let works = '';
  let laterTerms = 0;
  for (let tick = 1; tick <= 2 * ticksMax; tick++) {
    net.run(1);
    const now = working(net);
    if (now === works) continue;
    if (tick > ticksMax) laterTerms += 1;
    works = now;
    since = now === '' ? undefined : tick;
  }
  // What is written last is committed by who leads, or nobody leads.
  const before = net.checkers.greatestCommit;
  net.leader?.raft.propose(bytesOf('probe'));
  net.run(4);
  const stands = since !== undefined && since <= ticksMax && net.checkers.greatestCommit > before;
  return { ticks: stands ? since : undefined, laterTerms };
}

/** Who leads the highest term and confirms what it is asked, with that term; '' where nobody does. */
function working(net: Network): string {
  const { leader } = net;
  if (leader === undefined) return '';
  const { ownTermCommitted, term } = leader.raft.status();
  return ownTermCommitted ? `${leader.id} ${term}` : '';
}

function pairsOf(members: number): (readonly [number, number])[] {
  const all = Array.from({ length: members }, (_, at) => at);
  return all.flatMap((from) => all.filter((to) => to !== from).map((to) => [from, to] as const));
}

function linksOf(members: number, bits: number): Links {
  const pairs = pairsOf(members);
  const links = Array.from({ length: members }, (_, at) => Array.from({ length: members }, (_other, to) => at === to));
  pairs.forEach(([from, to], place) => {
    const row = links[from];
    if (row !== undefined) row[to] = (bits & (1 << place)) !== 0;
  });
  return links;
}

function bitsOf(pairs: readonly (readonly [number, number])[], hears: (from: number, to: number) => boolean): number {
  return pairs.reduce((bits, [from, to], place) => (hears(from, to) ? bits | (1 << place) : bits), 0);
}

function permutationsOf(items: readonly number[]): number[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item) =>
    permutationsOf(items.filter((other) => other !== item)).map((rest) => [item, ...rest]),
  );
}
