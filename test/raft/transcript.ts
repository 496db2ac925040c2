import type { Message } from '../../src/raft/types.ts';
import type { MembershipChange } from '../../src/raft/membership-plan.ts';
import { add, committed, demote, inForce, promote, remove } from './changes.ts';
import { contextText, entriesText, entryText, messageText, persistText } from './format.ts';
import type { Observer, Settings } from './member.ts';
import { Network } from './network.ts';

/** A command with what it printed, as in the files of testdata. Lines before the command that begin with # are kept. */
interface Block {
  readonly comments: readonly string[];
  readonly command: string;
  readonly printed: readonly string[];
}

/**
 * Runs a script and returns it with the results that the commands print now. A script is a list of blocks, an empty
 * line between them: comments, the command, a line `----`, and what it printed.
 */
export function playTranscript(text: string): string {
  const session = new Session();
  const blocks = parseBlocks(text).map((block) => ({ ...block, printed: session.run(block.command) }));
  return `${blocks.map(blockText).join('\n\n')}\n`;
}

function parseBlocks(text: string): Block[] {
  const blocks = text.split(/\n\s*\n/).map((block) => block.split('\n').filter((line) => line.trim() !== ''));
  return blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => {
      const at = lines.findIndex((line) => !line.startsWith('#'));
      const command = lines[at];
      if (command === undefined) throw new Error(`a block without a command: ${lines.join(' ')}`);
      return { comments: lines.slice(0, at), command, printed: [] };
    });
}

function blockText(block: Block): string {
  return [...block.comments, block.command, '----', ...block.printed].join('\n');
}

/** One cluster and the commands on it. */
class Session {
  #network: Network | undefined;
  #lines: string[] = [];
  /** Names of settings that `cluster` takes. */
  static readonly #settings: ReadonlySet<string> = new Set([
    'inflightMessagesMax',
    'inflightBytesMax',
    'appendBytesMax',
    'uncommittedBytesMax',
    'readRoundsMax',
    'pendingReadsMax',
  ]);

  run(line: string): string[] {
    const [name = '', ...words] = line.trim().split(/\s+/);
    const names = words.filter((word) => !word.includes('='));
    const options = new Map(words.filter((word) => word.includes('=')).map((word) => splitAt(word, '=')));
    this.#lines = [];
    if (name === 'cluster') this.#cluster(names, options);
    else this.#command(name, names, options);
    return this.#lines.length === 0 ? ['ok'] : this.#lines;
  }

  #cluster(members: readonly string[], options: ReadonlyMap<string, string>): void {
    const settings: Record<string, number> = {};
    for (const [key, value] of options) {
      if (!Session.#settings.has(key)) throw new Error(`no setting ${key}`);
      settings[key] = Number(value);
    }
    this.#network = new Network({ members, settings: settings as Settings, observer: this.#observer() });
    this.#network.collect();
    this.#lines = [];
  }

  get #net(): Network {
    if (this.#network === undefined) throw new Error('the first command is cluster');
    return this.#network;
  }

  #command(name: string, names: readonly string[], options: ReadonlyMap<string, string>): void {
    const net = this.#net;
    const [first = '', second = '', third = ''] = names;
    const commands: Record<string, () => void> = {
      tick: () => net.tick(first, Number(options.get('count') ?? 1)),
      forget: () => this.#quietly(() => net.tick(first, 10)),
      campaign: () => net.campaign(first),
      elect: () => this.#quietly(() => net.elect(first)),
      deliver: () => this.#deliver(options),
      settle: () => net.settle(matcher(options)),
      lose: () => this.#print(`lost ${net.lose(matcher(options))}`),
      wire: () => net.wire.forEach((message) => this.#print(messageText(message))),
      propose: () => this.#propose(first, second),
      read: () => this.#read(first),
      join: () => void net.join(first),
      change: () => this.#change(first, options),
      transfer: () => this.#transfer(first, second),
      suspect: () => this.#print(net.member(first).raft.suspectLeader() ? 'suspected' : 'no'),
      'suspect-quietly': () => this.#print(net.member(first).raft.suspectLeader(false) ? 'suspected' : 'no'),
      retry: () => this.#print(net.member(first).raft.retrySuspicion() ? 'asked again' : 'no'),
      members: () => this.#members(names),
      unreachable: () => net.member(first).raft.reportUnreachable(second),
      'restart-rounds': () => net.member(first).raft.restartRounds(),
      'hold-disk': () => this.#holdDisk(first, true),
      'free-disk': () => this.#holdDisk(first, false),
      write: () => net.member(first).write(Number(options.get('count') ?? 1)),
      crash: () => net.crash(first, Number(options.get('written') ?? 0)),
      restart: () => net.restart(first),
      isolate: () => net.isolate(...names),
      heal: () => net.heal(),
      compact: () => net.member(first).compact(Number(second)),
      snapshot: () => net.sendSnapshot(first, second, Number(third)),
      'snapshot-failed': () => net.member(first).raft.reportSnapshot(second, { ok: false }),
      log: () => this.#log(names),
      status: () => this.#status(names),
    };
    const command = commands[name];
    if (command === undefined) throw new Error(`no command ${name}`);
    command();
    if (!['wire', 'log', 'status', 'members'].includes(name)) net.collect();
    net.checkers.check(net.members);
  }

  #deliver(options: ReadonlyMap<string, string>): void {
    for (let count = Number(options.get('count') ?? 1); count > 0; count--) {
      const message = this.#net.deliverOne((sent) => {
        const matches = matcher(options)(sent);
        if (matches) this.#print(`deliver ${messageText(sent)}`);
        return matches;
      });
      if (message === undefined) this.#print('nothing to deliver');
    }
  }

  #propose(id: string, text: string): void {
    const result = this.#net.propose(id, text);
    this.#print(result.accepted ? `accepted at ${result.index}/${result.term}` : `refused: ${result.reason}`);
  }

  /** `add=d promote=b,c`: several changes at once. */
  #change(id: string, options: ReadonlyMap<string, string>): void {
    const changes: MembershipChange[] = [];
    const ids = (name: string): string[] => options.get(name)?.split(',') ?? [];
    for (const learner of ids('add')) changes.push(add(learner));
    for (const learner of ids('join')) changes.push(add(learner, true));
    for (const learner of ids('promote')) changes.push(promote(learner));
    for (const voter of ids('demote')) changes.push(demote(voter));
    for (const member of ids('remove')) changes.push(remove(member));
    const result = this.#net.change(id, changes);
    if (result.outcome === 'accepted') this.#print(`accepted at ${result.index}/${result.term}`);
    else if (result.outcome === 'unchanged') this.#print(`unchanged since ${result.index}`);
    else this.#print(`refused: ${[result.reason, ...result.ids].join(' ')}`);
  }

  #transfer(from: string, to: string): void {
    const result = this.#net.member(from).raft.transferLeadership(to);
    this.#print(result.accepted ? 'accepted' : `refused: ${result.reason}`);
  }

  #members(ids: readonly string[]): void {
    for (const id of ids.length === 0 ? this.#net.ids : ids) {
      this.#print(`${id} in force ${inForce(this.#net, id)}, committed ${committed(this.#net, id)}`);
      for (const { to, outcome } of this.#net.member(id).transfersEnded)
        this.#print(`  hand-over to ${to}: ${outcome}`);
    }
  }

  #read(id: string): void {
    const context = this.#net.member(id).read();
    this.#net.checkers.readAsked(context);
    this.#print(`asked ${contextText(context)}`);
  }

  #holdDisk(id: string, held: boolean): void {
    const member = this.#net.member(id);
    member.writesAtOnce = !held;
    if (!held) member.write();
  }

  #log(ids: readonly string[]): void {
    for (const id of ids.length === 0 ? this.#net.ids : ids) {
      const member = this.#net.member(id);
      if (member.core === undefined) {
        this.#print(`${id} crashed, on disk ${entriesText(member.disk.entries)}`);
        continue;
      }
      const { base, lastIndex, commit, durableIndex } = member.core.status();
      const entries = entriesText(member.core.entriesBetween(base.index + 1, lastIndex + 1));
      this.#print(`${id} base=${base.index}/${base.term} commit=${commit} durable=${durableIndex} ${entries}`);
    }
  }

  #status(ids: readonly string[]): void {
    for (const id of ids.length === 0 ? this.#net.ids : ids) {
      const { core } = this.#net.member(id);
      if (core === undefined) {
        this.#print(`${id} crashed`);
        continue;
      }
      const { role, term, vote, leader, pendingReads, peers } = core.status();
      const reads = pendingReads === 0 ? '' : ` reads=${pendingReads}`;
      this.#print(`${id} ${role} term=${term} vote=${vote || '-'} leader=${leader || '-'}${reads}`);
      for (const peer of peers) {
        const window = `${peer.inflightMessages} in flight of ${peer.inflightBytes} bytes`;
        const active = peer.recentlyActive ? '' : ' silent';
        this.#print(`  ${peer.id} ${peer.state} match=${peer.match} next=${peer.next} ${window}${active}`);
      }
    }
  }

  #quietly(work: () => void): void {
    const { length } = this.#lines;
    work();
    this.#net.collect();
    this.#lines.length = length;
  }

  #print(line: string): void {
    this.#lines.push(line);
  }

  #observer(): Observer {
    return {
      sent: (_member, message) => this.#print(`  ${messageText(message)}`),
      handed: (member, step) => this.#print(`  ${member.id} writes ${persistText(step)}`),
      wrote: (member, step) => {
        if (step !== undefined) this.#print(`  ${member.id} wrote #${step.sequence}`);
      },
      applied: (member, entry) => this.#print(`  ${member.id} applies ${entryText(entry)}`),
      confirmed: (member, read) => this.#print(`  ${member.id} may read ${contextText(read.context)} at ${read.index}`),
      voided: (member, context) => this.#print(`  ${member.id} gives up ${contextText(context)}`),
      wanted: (member, peer) => this.#print(`  ${member.id} wants a snapshot for ${peer}`),
      changed: (member, state) => {
        const reads = state.ownTermCommitted ? ' serves reads' : '';
        this.#print(`  ${member.id} is ${state.role} term=${state.term} leader=${state.leader || '-'}${reads}`);
      },
    };
  }
}

function matcher(options: ReadonlyMap<string, string>): (message: Message) => boolean {
  const kind = options.get('kind');
  const from = options.get('from');
  const to = options.get('to');
  return (message) =>
    (kind === undefined || message.kind === kind) &&
    (from === undefined || message.from === from) &&
    (to === undefined || message.to === to);
}

function splitAt(word: string, separator: string): [string, string] {
  const at = word.indexOf(separator);
  return [word.slice(0, at), word.slice(at + 1)];
}
