import { createHash } from 'node:crypto';
import { must, unreachable } from '../../../src/base/assert.ts';
import type { MemberId, Message } from '../../../src/raft/types.ts';
import { coreStopped, messageKey } from './cluster.ts';
import { fingerprintOf } from './glass-core.ts';
import type { Host, Input, Output } from './host.ts';
import { localBreach } from './invariants.ts';
import { viewOf } from './view.ts';
import type { View } from './view.ts';

/** Number of a state of one member, core, disk and host together; equal for equal states. */
export type LocalNumber = number;
/** Number of a message; equal for equal messages. */
export type MessageNumber = number;
/** An input as one number: its kind in the bits from 20 on, and what it is about. */
export type InputCode = number;

const kinds = [
  'deliver',
  'ticks',
  'persist',
  'crash',
  'propose',
  'read',
  'compact',
  'unreachable',
  'snapshot',
  'stall',
  'change',
  'transfer',
  'suspect',
] as const satisfies readonly Input['kind'][];

const argumentBits = 20;
export const messagesMax = 2 ** argumentBits;

/** What an input makes of a member in one state. The same every time, so it is worked out once. */
export interface Outcome {
  readonly to: LocalNumber;
  readonly sent: readonly MessageNumber[];
  readonly output: Output;
  readonly breach?: string;
}

/**
 * The states that single members were found in. A core does the same whenever it is given the same input in the same
 * state, so the real core is run once for each such pair, and the search over whole clusters is a walk through tables.
 */
export class Locals {
  readonly ids: readonly MemberId[];
  readonly #hosts: Host[] = [];
  readonly #views: View[] = [];
  readonly #outcomes: Map<InputCode, Outcome>[] = [];
  readonly #numbers = new Map<string, LocalNumber>();
  readonly #messages: Message[] = [];
  readonly #targets: number[] = [];
  readonly #messageNumbers = new Map<string, MessageNumber>();
  #runs = 0;

  constructor(ids: readonly MemberId[]) {
    this.ids = ids;
  }

  /** How many times the core was run. */
  get runs(): number {
    return this.#runs;
  }

  get count(): number {
    return this.#hosts.length;
  }

  get messageCount(): number {
    return this.#messages.length;
  }

  view(local: LocalNumber): View {
    return must(this.#views[local], `view ${local}`);
  }

  /** Not to be changed. */
  host(local: LocalNumber): Host {
    return must(this.#hosts[local], `host ${local}`);
  }

  message(number: MessageNumber): Message {
    return must(this.#messages[number], `message ${number}`);
  }

  /** Place of the addressee among the members. */
  targetOf(number: MessageNumber): number {
    return must(this.#targets[number], `message ${number}`);
  }

  outcome(local: LocalNumber, code: InputCode): Outcome {
    const outcomes = must(this.#outcomes[local], `state ${local}`);
    let outcome = outcomes.get(code);
    if (outcome === undefined) {
      outcome = this.#run(local, code);
      outcomes.set(code, outcome);
    }
    return outcome;
  }

  /** Number of the state that the host is in. Keeps the host: it must not be changed from now on. */
  numberOf(host: Host): LocalNumber {
    const key = createHash('sha256').update(hostKey(host)).digest('base64');
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#hosts.length;
    this.#numbers.set(key, number);
    this.#hosts.push(host);
    this.#views.push(viewOf(host));
    this.#outcomes.push(new Map());
    return number;
  }

  messageNumberOf(message: Message): MessageNumber {
    const key = messageKey(message);
    const known = this.#messageNumbers.get(key);
    if (known !== undefined) return known;
    const number = this.#messages.length;
    if (number >= messagesMax) throw new Error(`more than ${messagesMax} different messages`);
    this.#messageNumbers.set(key, number);
    this.#messages.push(message);
    this.#targets.push(this.ids.indexOf(message.to));
    return number;
  }

  codeOf(input: Input): InputCode {
    return kinds.indexOf(input.kind) * messagesMax + this.#argumentOf(input);
  }

  inputOf(code: InputCode): Input {
    const argument = code % messagesMax;
    const kind = must(kinds[Math.floor(code / messagesMax)], `input ${code}`);
    switch (kind) {
      case 'deliver':
        return { kind, message: this.message(argument) };
      case 'ticks':
        return { kind, count: argument };
      case 'crash':
        return { kind, written: argument };
      case 'propose':
        return { kind, label: argument };
      case 'unreachable':
      case 'snapshot':
        return { kind, peer: must(this.ids[argument], `member ${argument}`) };
      case 'transfer':
        return { kind, to: must(this.ids[argument], `member ${argument}`) };
      case 'change':
        return { kind, number: argument };
      case 'persist':
      case 'read':
      case 'compact':
      case 'stall':
      case 'suspect':
        return { kind };
      default:
        return unreachable(kind);
    }
  }

  #argumentOf(input: Input): number {
    switch (input.kind) {
      case 'deliver':
        return this.messageNumberOf(input.message);
      case 'ticks':
        return input.count;
      case 'crash':
        return input.written;
      case 'propose':
        return input.label;
      case 'unreachable':
      case 'snapshot':
        return this.ids.indexOf(input.peer);
      case 'transfer':
        return this.ids.indexOf(input.to);
      case 'change':
        return input.number;
      case 'persist':
      case 'read':
      case 'compact':
      case 'stall':
      case 'suspect':
        return 0;
      default:
        return unreachable(input);
    }
  }

  #run(local: LocalNumber, code: InputCode): Outcome {
    this.#runs += 1;
    const host = this.host(local).copy();
    let output: Output;
    try {
      output = host.take(this.inputOf(code));
    } catch (error) {
      const none = { messages: [], asked: [], confirmed: [], voided: [], applied: [] };
      return { to: local, sent: [], output: none, breach: coreStopped(host.id, error) };
    }
    const to = this.numberOf(host);
    const sent = output.messages.map((message) => this.messageNumberOf(message));
    const breach = localBreach(this.view(local), this.view(to), output);
    return { to, sent, output, ...(breach === undefined ? {} : { breach: `${host.id}: ${breach}` }) };
  }
}

/** Everything that the future of a member depends on. Counters that only differences of matter are told as those. */
function hostKey(host: Host): string {
  const { id, core, disk, unwritten, appliedIndex, reads, wanted } = host;
  const { hardState, base, entries, commit, boot } = disk;
  const steps = unwritten.map((step) => {
    const { hardState: hard, snapshot } = step;
    const hashes = step.entries.map((entry) => `${entry.index}.${entry.hash}`);
    return `${hard?.term}.${hard?.vote},${snapshot?.index}.${snapshot?.hash},${hashes.join('.')},${step.commit}`;
  });
  // The hash of the last entry stands for the entries, that of the base for what was before.
  const log = `${base.index}.${base.hash}.${entries.length}.${entries.at(-1)?.hash}`;
  const onDisk = `${hardState.term}.${hardState.vote} ${log} ${commit} ${boot}`;
  return `${id} ${onDisk}|${steps.join(';')}|${appliedIndex} ${reads} ${wanted.join()}|${fingerprintOf(core)}`;
}
