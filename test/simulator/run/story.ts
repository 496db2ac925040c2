import type { Action, Observer, Operation, Outcome, SimEvent } from '../types.ts';

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
    switch (event.kind) {
      case 'phase':
        return `---- ${event.phase}`;
      case 'started':
        return `${event.member}  starts its life ${event.life}`;
      case 'down':
        return `${event.member}  ${event.how === 'ended' ? `ends by itself: ${event.reason}` : downs[event.how]}`;
      case 'recovered':
        return `${event.member}  finds term ${event.term}, boot ${event.boot}, log ${event.baseIndex}+${event.entries.length}`;
      case 'role':
        return this.#role(event);
      case 'replica':
        return replicaText(event);
      case 'loaded':
        return event.index === 0 ? undefined : `${event.member}  has state of index ${event.index}`;
      case 'fault':
        return `!! fault ${event.number} ${event.name}: ${event.text}`;
      case 'mended':
        return `   fault ${event.number} ${event.name} is over`;
      case 'invoked':
        return `   ${event.operation.client} #${event.operation.number} ${actionText(event.operation.action)}`;
      case 'returned':
        return `   ${event.operation.client} #${event.operation.number} -> ${returnText(event.operation, this.#now())}`;
      case 'watched': {
        const { step } = event;
        const what = step.coalesced ? 'coalesced' : step.kind;
        if (step.kind === 'progress') return undefined;
        return `   ${step.client} watch ${step.watch} ${what} (${step.from}, ${step.to}] ${step.events.length} events from ${step.member}`;
      }
      case 'watch-opened':
        return `   ${event.client} watch ${event.watch} opens from ${event.since}`;
      case 'watch-ended':
        return `   watch ${event.watch} ends ${event.reason}`;
      case 'client-gone':
        return `   ${event.client} is gone`;
      case 'note':
        return `   ${event.text}`;
      default:
        return undefined;
    }
  }

  #role(event: Extract<SimEvent, { kind: 'role' }>): string | undefined {
    const text = `${event.role} of term ${event.term}, leader ${event.leader === '' ? 'unknown' : event.leader}`;
    if (this.#leaders.get(event.member) === text) return undefined;
    this.#leaders.set(event.member, text);
    return `${event.member}  is ${text}`;
  }
}

const downs = { crash: 'loses power', kill: 'is killed', stop: 'has ended in order' };

function replicaText({ member, event }: Extract<SimEvent, { kind: 'replica' }>): string | undefined {
  switch (event.kind) {
    case 'connected':
    case 'flushed':
    case 'hashes-compared':
    case 'role':
    case 'recovered':
      return undefined;
    case 'unreachable':
      return `${member}  has lost ${event.peer}: ${event.reason}`;
    case 'forming':
      return `${member}  forms, and waits for ${event.waitingFor}`;
    case 'leading':
      return `${member}  leads term ${event.term} with ${event.leases} leases`;
    case 'snapshot-installed':
      return `${member}  has installed a snapshot at index ${event.index}`;
    default:
      return `${member}  ${event.kind} ${JSON.stringify(event)}`;
  }
}

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
  const fields = Object.entries(rest).map(([name, value]) => `${name}=${String(value)}`);
  if (instances !== undefined) fields.push(`instances=${instances.length}`);
  return `ok ${fields.join(' ')} (${took})`;
}
