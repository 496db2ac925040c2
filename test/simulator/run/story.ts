import { isMembershipEntry, membershipText, readMembershipEntry } from '../checkers/membership-entry.ts';
import type { Action, Observer, Operation, Outcome, SimEvent, WatchStep } from '../types.ts';

/** Tells a run in lines that a person can follow: faults, elections, what clients did, how processes ended. */
export class Story implements Observer {
  readonly name = 'story';
  readonly #now: () => number;
  readonly #line: (line: string) => void;
  readonly #leaders = new Map<string, string>();

  constructor(now: () => number, line: (line: string) => void) {
    this.#now = now;
    this.#line = line;
  }

  see(event: SimEvent): void {
    const text = this.#textOf(event);
    if (text !== undefined) this.#line(`${(this.#now() / 1_000).toFixed(3).padStart(9)} s  ${text}`);
  }

  #textOf(event: SimEvent): string | undefined {
    if (event.kind === 'role') return this.#role(event);
    if (event.kind === 'returned') {
      const { client, number } = event.operation;
      return `   ${client} #${number} -> ${returnText(event.operation, this.#now())}`;
    }
    // Each text takes the event of its own kind.
    const text = texts[event.kind] as ((event: SimEvent) => string | undefined) | undefined;
    return text?.(event);
  }

  #role(event: Extract<SimEvent, { kind: 'role' }>): string | undefined {
    const text = `${event.role} of term ${event.term}, leader ${event.leader === '' ? 'unknown' : event.leader}`;
    if (this.#leaders.get(event.member) === text) return undefined;
    this.#leaders.set(event.member, text);
    return `${event.member}  is ${text}`;
  }
}

/** A snapshot may name hundreds. */
const toldEventsMax = 5;

const downs = { crash: 'loses power', kill: 'is killed', stop: 'has ended in order' };

/** The line of each kind of event; kinds without one are not told. */
const texts: {
  readonly [Kind in SimEvent['kind']]?: (event: Extract<SimEvent, { kind: Kind }>) => string | undefined;
} = {
  phase: ({ phase }) => `---- ${phase}`,
  started: ({ member, life }) => `${member}  starts its life ${life}`,
  down: ({ member, how, reason }) => `${member}  ${how === 'ended' ? `ends by itself: ${reason}` : downs[how]}`,
  recovered: recoveredText,
  committed: committedText,
  replica: replicaText,
  loaded: ({ member, index }) => (index === 0 ? undefined : `${member}  has state of index ${index}`),
  fault: ({ number, name, text }) => `!! fault ${number} ${name}: ${text}`,
  mended: ({ number, name }) => `   fault ${number} ${name} is over`,
  invoked: ({ operation: { client, number, action } }) => `   ${client} #${number} ${actionText(action)}`,
  watched: ({ step }) => (step.kind === 'progress' ? undefined : watchText(step)),
  'watch-opened': ({ client, watch, since }) => `   ${client} watch ${watch} opens from ${since}`,
  'watch-ended': ({ watch, reason }) => `   watch ${watch} ends ${reason}`,
  'client-gone': ({ client }) => `   ${client} is gone`,
  note: ({ text }) => `   ${text}`,
  detail: ({ text }) => `   ${text}`,
};

function committedText({ member, entry }: Extract<SimEvent, { kind: 'committed' }>): string | undefined {
  if (!isMembershipEntry(entry.data)) return undefined;
  return `${member}  commits entry ${entry.index}: ${membershipText(readMembershipEntry(entry.data))}`;
}

function recoveredText({ member, term, boot, baseIndex, entries }: Extract<SimEvent, { kind: 'recovered' }>): string {
  return `${member}  finds term ${term}, boot ${boot}, log ${baseIndex}+${entries.length}`;
}

function watchText(step: WatchStep): string {
  const { client, watch, service, prefix, tag, kind, coalesced, from, to, events, member } = step;
  const of = `${service === '' ? `${prefix}*` : service}${tag === '' ? '' : ` tagged ${tag}`}`;
  const shown = events.slice(0, toldEventsMax).map((one) => `${one.kind} ${one.revision} ${keyOf(one)}`);
  if (events.length > shown.length) shown.push(`${events.length - shown.length} more`);
  const told = shown.length === 0 ? 'nothing' : shown.join(', ');
  const what = coalesced ? 'coalesced' : kind;
  return `   ${client} watch ${watch} of ${of}: ${what} (${from}, ${to}] from ${member}: ${told}`;
}

function keyOf(event: WatchStep['events'][number]): string {
  return event.kind === 'put' ? event.instance.key : event.key;
}

function replicaText({ member, event }: Extract<SimEvent, { kind: 'replica' }>): string | undefined {
  if (event.kind === 'unreachable') return `${member}  has lost ${event.peer}: ${event.reason}`;
  if (event.kind === 'forming') return `${member}  forms, and waits for ${event.waitingFor}`;
  if (event.kind === 'leading') return `${member}  leads term ${event.term} with ${event.leases} leases`;
  if (event.kind === 'snapshot-installed') return `${member}  has installed a snapshot at index ${event.index}`;
  if (untold.has(event.kind)) return undefined;
  const { kind, ...rest } = event;
  return `${member}  ${kind} ${fieldsText(rest)}`;
}

function fieldsText(fields: object): string {
  const shown = Object.entries(fields).map(([name, value]: [string, unknown]) => {
    return `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`;
  });
  return shown.join(' ');
}

/** Told by other events already, or too often to be read. */
const untold: ReadonlySet<string> = new Set(['connected', 'flushed', 'hashes-compared', 'role', 'recovered']);

function actionText(action: Action): string {
  const { kind, ...rest } = action;
  const fields = Object.entries(rest).filter(([, value]) => value !== false && value !== 0 && value !== '');
  return `${kind} ${fields.map(([name, value]) => `${name}=${String(value)}`).join(' ')}`;
}

function returnText(operation: Operation, nowMs: number): string {
  const outcome = operation.outcome as Outcome;
  const took = `${Math.round(nowMs - operation.startMs)} ms`;
  if (outcome.kind !== 'ok') return `${outcome.kind} ${outcome.reason} (${took})`;
  const { kind: _, instances, ...rest } = outcome;
  const fields = Object.entries(rest).map(([name, value]) => {
    // As the interface says it: nobody can tell how old the answer is.
    return `${name}=${name === 'ageMs' && value === Number.MAX_SAFE_INTEGER ? 'unknown' : String(value)}`;
  });
  if (instances !== undefined) fields.push(`instances=${instances.length}`);
  return `ok ${fields.join(' ')} (${took})`;
}
