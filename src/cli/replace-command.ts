import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { RollcallClient } from '../client/client.ts';
import type { Membership } from '../client/types.ts';
import { peerOf, surveyCluster } from './cluster-status.ts';
import type { CliContext, CliIo } from './context.ts';
import { contextOf, withClient } from './context.ts';
import { CliError, exitCodes } from './exit-codes.ts';
import type { ForceFlags } from './force.ts';
import { agreedToForce, withForce } from './force.ts';
import { showMembership, warnOfEven } from './membership-table.ts';
import { isLagging, orderErrorOf } from './order-errors.ts';
import { counted } from './render.ts';
import { surveyTimeoutMs } from './status-command.ts';
import { formatDuration } from './values.ts';

const examples = `
Examples:
  rollcall cluster replace c d
  rollcall cluster replace c d --timeout 1h`;

const risk =
  'puts the new member in although it has not caught up, or although too few voters answer: nothing can be written ' +
  'until a majority of the new voters is there and has caught up, and the old member never comes back under its id';

/** How long the new member may take to catch up where --timeout does not say. */
const waitMsDefault = 600_000;
/** How often it is looked how far it is. */
const lookMs = 1_000;

export function addReplaceCommand(cluster: Command, io: CliIo, done: (exitCode: number) => void): void {
  const replace = cluster
    .command('replace')
    .argument('<dead-id>', 'the voter that goes')
    .argument('<new-id>', 'the learner that takes its place')
    .summary('put a learner in the place of a voter')
    .description(
      'Puts a learner in the place of a voter, in one step, once it has caught up; --timeout bounds the waiting ' +
        `(default here: ${formatDuration(waitMsDefault)}).`,
    );
  withForce(replace, 'at once, also where it has not caught up or too few answer')
    .addHelpText('after', examples)
    .action(async (memberId: string, byMemberId: string, flags: ForceFlags) => {
      const context = contextOf(replace, io);
      const force = await agreedToForce(context, flags, risk);
      const wanted = { memberId, byMemberId, force };
      const membership = await withClient(context, (client) => new Replacement(context, client, wanted).run());
      await showMembership(context, membership, `${byMemberId} has taken the place of ${memberId}`);
      warnOfEven(context, membership);
      done(exitCodes.ok);
    });
}

interface Wanted {
  readonly memberId: string;
  readonly byMemberId: string;
  readonly force: boolean;
}

/** Orders it until the new member has caught up, and says how far it is. */
class Replacement {
  readonly #context: CliContext;
  readonly #client: RollcallClient;
  readonly #wanted: Wanted;
  readonly #waitMs: number;
  #said = '';

  constructor(context: CliContext, client: RollcallClient, wanted: Wanted) {
    this.#context = context;
    this.#client = client;
    this.#wanted = wanted;
    this.#waitMs = context.timeoutGiven ? context.timeoutMs : waitMsDefault;
  }

  /** @throws CliError 7 where it has not caught up in time. */
  async run(): Promise<Membership> {
    const endMs = performance.now() + this.#waitMs;
    const signal = this.#context.io.interrupted();
    for (;;) {
      try {
        return await this.#client.cluster.replaceMember(this.#wanted);
      } catch (error) {
        if (!isLagging(error)) throw orderErrorOf(error);
      }
      await this.#sayHowFar();
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) throw this.#notInTime();
      await sleep(Math.min(lookMs, leftMs), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) throw this.#interrupted();
    }
  }

  async #sayHowFar(): Promise<void> {
    const { servers, serversGiven, output } = this.#context;
    const { byMemberId } = this.#wanted;
    const view = await surveyCluster(this.#client, servers, serversGiven, surveyTimeoutMs(this.#context));
    const { leader } = view;
    const peer = leader === undefined ? undefined : peerOf(view, byMemberId);
    let text = `waiting for ${byMemberId} to catch up`;
    if (leader !== undefined && peer !== undefined) {
      const behind = Math.max(0, leader.commitIndex - peer.matchIndex);
      if (!peer.reachable) text += `: ${leader.memberId}, which leads, does not hear it`;
      else if (peer.replicationState === 'snapshot') text += ': it is being sent the whole state';
      else text += `: ${counted(behind, 'entry', 'entries')} behind`;
    }
    if (text !== this.#said) output.message(text);
    this.#said = text;
  }

  #notInTime(): CliError {
    const { memberId, byMemberId } = this.#wanted;
    const waited = formatDuration(this.#waitMs);
    const message = `${byMemberId} has not caught up within ${waited}; ${memberId} was not replaced`;
    const hint = 'see how far it is: `rollcall cluster status`; the same command with a longer --timeout goes on';
    return new CliError(exitCodes.timeout, message, hint, { reason: 'TIMEOUT' });
  }

  #interrupted(): CliError {
    const { memberId, byMemberId } = this.#wanted;
    const message = `interrupted before ${byMemberId} had caught up; ${memberId} was not replaced`;
    return new CliError(exitCodes.other, message, 'run the command again to go on', {
      reason: 'CANCELLED',
      code: 'CANCELLED',
    });
  }
}
