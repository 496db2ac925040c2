import { HistoryError } from './types.ts';

/**
 * One answer that says a revision, of any key or many. A batch, or a write of a session, is one. Refused writes and
 * those that changed nothing are reads here: they say the revision as of which they were decided.
 */
export interface RevisionOperation {
  readonly client: string;
  /** As in Operation. A change whose answer was lost may be here, its end Infinity, where its revision is known. */
  readonly start: number;
  readonly end: number;
  readonly revision: number;
  /**
   * change: made exactly this revision. read: linearizable, as of this revision. stale: of whatever age; it is only
   * never of a change that began later.
   */
  readonly kind: 'change' | 'read' | 'stale';
  /** Only shown. */
  readonly text: string;
}

export type RevisionRule =
  /** Two changes have one revision. */
  | 'unique'
  /** What began after an answer changed the registry at no higher revision. */
  | 'change-after'
  /** What began after an answer read an older revision. */
  | 'read-after'
  /** A client was shown an older revision than before. */
  | 'back';

export type RevisionVerdict =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly rule: RevisionRule;
      readonly first: RevisionOperation;
      readonly second: RevisionOperation;
      readonly text: string;
    };

export interface RevisionOptions {
  /**
   * Whether stale answers must not go back either for the client that got them, as with one that asks each time for the
   * revision it had (`min_revision`). Default: only the others.
   */
  readonly staleNeverBack?: boolean;
}

/**
 * Whether the revisions agree with real time, over all keys: strict serializability without a search. Sorts and looks
 * once at each operation; operations that touch at one instant overlap. Throws HistoryError where times or revision
 * of one cannot be. Pure.
 */
export function checkRevisionOrder(
  history: readonly RevisionOperation[],
  { staleNeverBack = false }: RevisionOptions = {},
): RevisionVerdict {
  for (const [index, operation] of history.entries()) checkOperation(index, operation);
  const isRevised = ({ kind }: RevisionOperation): boolean => kind !== 'stale' || staleNeverBack;
  const breach =
    twiceMade(history) ??
    realTimeBreach(history) ??
    // Between one client's answers nothing is changed by what another is shown: each is a history by itself.
    firstBreach(clientsOf(history.filter(isRevised)), backBreach);
  return breach ?? { ok: true };
}

type Breach = Extract<RevisionVerdict, { ok: false }>;

function checkOperation(index: number, { start, end, revision, kind }: RevisionOperation): void {
  if (!Number.isFinite(start)) throw new HistoryError(`operation ${index}: start is ${start}, not a finite number`);
  if (!(end >= start)) throw new HistoryError(`operation ${index}: end is ${end}, before its start ${start}`);
  if (!Number.isSafeInteger(revision) || revision < 0) {
    throw new HistoryError(`operation ${index}: revision is ${revision}, expected an integer from 0`);
  }
  if (end === Infinity && kind !== 'change') throw new HistoryError(`operation ${index}: a read that has not ended`);
}

function twiceMade(history: readonly RevisionOperation[]): Breach | undefined {
  const byRevision = new Map<number, RevisionOperation>();
  for (const operation of history) {
    if (operation.kind !== 'change') continue;
    const first = byRevision.get(operation.revision);
    if (first !== undefined) return breachOf('unique', first, operation);
    byRevision.set(operation.revision, operation);
  }
  return undefined;
}

function realTimeBreach(history: readonly RevisionOperation[]): Breach | undefined {
  return sweep(history, (highest, operation) => {
    if (operation.kind === 'change' && operation.revision <= highest.revision) return 'change-after';
    return operation.kind === 'read' && operation.revision < highest.revision ? 'read-after' : undefined;
  });
}

function backBreach(answers: readonly RevisionOperation[]): Breach | undefined {
  return sweep(answers, (highest, { revision }) => (revision < highest.revision ? 'back' : undefined));
}

/** Shows each operation, by its start, the highest revision that was answered before it began. */
function sweep(
  history: readonly RevisionOperation[],
  judge: (highest: RevisionOperation, operation: RevisionOperation) => RevisionRule | undefined,
): Breach | undefined {
  const byEnd = history.toSorted((one, other) => compare(one.end, other.end));
  let ended = 0;
  let highest: RevisionOperation | undefined;
  for (const operation of history.toSorted((one, other) => one.start - other.start)) {
    for (let next = byEnd[ended]; next !== undefined && next.end < operation.start; next = byEnd[++ended]) {
      if (highest === undefined || next.revision > highest.revision) highest = next;
    }
    const rule = highest === undefined ? undefined : judge(highest, operation);
    if (highest !== undefined && rule !== undefined) return breachOf(rule, highest, operation);
  }
  return undefined;
}

/** Also of Infinity and itself, whose difference is no number. */
function compare(one: number, other: number): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

function clientsOf(history: readonly RevisionOperation[]): readonly (readonly RevisionOperation[])[] {
  const clients = new Map<string, RevisionOperation[]>();
  for (const operation of history) {
    const operations = clients.get(operation.client);
    if (operations === undefined) clients.set(operation.client, [operation]);
    else operations.push(operation);
  }
  return [...clients.values()];
}

function firstBreach<Item>(items: readonly Item[], judge: (item: Item) => Breach | undefined): Breach | undefined {
  for (const item of items) {
    const breach = judge(item);
    if (breach !== undefined) return breach;
  }
  return undefined;
}

const ruleTexts: { readonly [Rule in RevisionRule]: string } = {
  unique: 'two changes have one revision',
  'change-after': 'a change that began after an answer has no higher revision',
  'read-after': 'a read that began after an answer is of an older revision',
  back: 'a client was shown an older revision than before',
};

function breachOf(rule: RevisionRule, first: RevisionOperation, second: RevisionOperation): Breach {
  const text = [`${ruleTexts[rule]}:`, `  ${line(first)}`, `  ${line(second)}`].join('\n');
  return { ok: false, rule, first, second, text };
}

function line({ client, start, end, revision, kind, text }: RevisionOperation): string {
  const until = end === Infinity ? 'never answered' : `${end}`;
  return `[${start} .. ${until}] ${client}: ${kind} at revision ${revision}: ${text}`;
}
