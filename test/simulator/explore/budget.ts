/**
 * How often each kind of move may still be made: what makes a search end. Delivery in any order, loss (a message that
 * is never delivered) and slow disks have no bound.
 */
export interface Budget {
  /** A member that does not lead hears nothing until it campaigns. */
  readonly campaigns: number;
  /** A follower hears nothing until it would vote for another. */
  readonly doubts: number;
  /** A leader sends heartbeats; two without an answer and it steps down. */
  readonly beats: number;
  /** A message is delivered and stays on the wire. */
  readonly repeats: number;
  readonly crashes: number;
  readonly proposals: number;
  readonly reads: number;
  readonly compacts: number;
  /** A leader is told that its stream to a peer broke. */
  readonly breaks: number;
  /** A leader is asked for a change of the membership. */
  readonly changes: number;
  /** A leader is asked to hand over. */
  readonly transfers: number;
  /** A follower is told that its leader is gone. */
  readonly suspicions: number;
}

export type BudgetName = keyof Budget;

/** Place and width in bits of each count in the packed number. */
const fields: Readonly<Record<BudgetName, readonly [number, number]>> = {
  campaigns: [0, 4],
  doubts: [4, 3],
  beats: [7, 4],
  repeats: [11, 3],
  crashes: [14, 3],
  proposals: [17, 3],
  reads: [20, 2],
  compacts: [22, 2],
  breaks: [24, 2],
  changes: [26, 2],
  transfers: [28, 1],
  suspicions: [29, 1],
};

const names = Object.keys(fields) as BudgetName[];

export const noBudget: Budget = {
  campaigns: 0,
  doubts: 0,
  beats: 0,
  repeats: 0,
  crashes: 0,
  proposals: 0,
  reads: 0,
  compacts: 0,
  breaks: 0,
  changes: 0,
  transfers: 0,
  suspicions: 0,
};

/** All counts in one number of 30 bits. Throws on a count that has no room. */
export function packed(budget: Budget): number {
  let all = 0;
  for (const name of names) {
    const [shift, bits] = fields[name];
    const count = budget[name];
    if (!Number.isInteger(count) || count < 0 || count >= 2 ** bits) throw new Error(`budget of ${count} ${name}`);
    all |= count << shift;
  }
  return all;
}

export function leftOf(all: number, name: BudgetName): number {
  const [shift, bits] = fields[name];
  return (all >> shift) & (2 ** bits - 1);
}

/** One less; only where there is one. */
export function spent(all: number, name: BudgetName): number {
  return all - (1 << fields[name][0]);
}

/** `campaigns=2 beats=1`, only what is not zero. */
export function budgetText(budget: Budget): string {
  return names
    .filter((name) => budget[name] > 0)
    .map((name) => `${name}=${budget[name]}`)
    .join(' ');
}

/** Reads budgetText() over what is given. Throws on a name that is none. */
export function readBudget(text: string, over: Budget): Budget {
  const counts: Record<BudgetName, number> = { ...over };
  for (const word of text.split(/[\s,]+/).filter((some) => some !== '')) {
    const [name, count] = word.split('=');
    const known = names.find((some) => some === name);
    if (known === undefined) throw new Error(`${word}: expected one of ${names.join(', ')} with =count`);
    counts[known] = Number(count);
  }
  packed(counts);
  return counts;
}
