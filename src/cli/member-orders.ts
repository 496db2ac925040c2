import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { checkedAddress } from '../client/addresses.ts';
import type { RollcallClient } from '../client/client.ts';
import { ClientError } from '../client/client-error.ts';
import type { Membership } from '../client/types.ts';
import type { CliContext, CliIo } from './context.ts';
import { contextOf, withClient } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import type { ForceFlags } from './force.ts';
import { agreedToForce, withForce } from './force.ts';
import { showMembership, warnOfEven } from './membership-table.ts';
import { orderErrorOf } from './order-errors.ts';

const membersExamples = `
Examples:
  rollcall cluster members
  rollcall cluster members --output json`;
const addExamples = `
Examples:
  rollcall cluster add 127.0.0.1:7441
  rollcall cluster add 127.0.0.1:7441 --learner`;
const promoteExamples = `
Examples:
  rollcall cluster promote d`;
const removeExamples = `
Examples:
  rollcall cluster remove c
  rollcall cluster remove c --force --yes`;
const transferExamples = `
Examples:
  rollcall cluster transfer
  rollcall cluster transfer b`;

const promoteRisk =
  'makes it a voter although it has not caught up: until it has, one member less may be away before writes stop';
const removeRisk =
  'removes it although too few of the voters that are left answer: nothing can be written until a majority of them ' +
  'is back, and the removed member never comes back under this id';

export function addMemberOrders(cluster: Command, io: CliIo, done: (exitCode: number) => void): void {
  addMembers(cluster, io, done);
  addAdd(cluster, io, done);
  addPromote(cluster, io, done);
  addRemove(cluster, io, done);
  addTransfer(cluster, io, done);
}

function addMembers(cluster: Command, io: CliIo, done: (exitCode: number) => void): void {
  cluster
    .command('members')
    .summary('who belongs to the cluster')
    .description('Lists the members as the log of the first server that answers has them; also without a leader.')
    .addHelpText('after', membersExamples)
    .action(async (_flags: object, command: Command) => {
      const context = contextOf(command, io);
      const membership = await ordered(context, (client) => client.cluster.members());
      await showMembership(context, membership);
      warnOfEven(context, membership);
      done(exitCodes.ok);
    });
}

function addAdd(cluster: Command, io: CliIo, done: (exitCode: number) => void): void {
  cluster
    .command('add')
    .argument('<peer-address>', 'where the new member listens for the others, host:port', parsePeerAddress)
    .summary('bring in a member that waits')
    .description(
      'Brings in the empty member that waits at this address. It is fed with the log, and becomes a voter by itself ' +
        'once it has caught up. A member started with --join does this itself.',
    )
    .option('--learner', 'it stays a learner, until it is promoted or replaces another')
    .addHelpText('after', addExamples)
    .action(async (peerAddress: string, { learner = false }: { readonly learner?: boolean }, command: Command) => {
      const context = contextOf(command, io);
      const membership = await ordered(context, (client) =>
        client.cluster.addMember({ peerAddress, learnerOnly: learner }),
      );
      await told(context, membership, addedText(membership, peerAddress));
      done(exitCodes.ok);
    });
}

function addedText({ members }: Membership, peerAddress: string): string {
  const added = members.find((member) => member.peerAddress === peerAddress);
  // It is known by its id and directory: its address may have been another before.
  if (added === undefined) return `the member at ${peerAddress} belongs to the cluster already`;
  const name = `${added.memberId} (${peerAddress})`;
  if (added.kind !== 'learner') return `${name} is a voter already`;
  return `added ${name} as a learner${added.autoPromote ? ': it becomes a voter once it has caught up' : ''}`;
}

function addPromote(cluster: Command, io: CliIo, done: (exitCode: number) => void): void {
  const promote = cluster
    .command('promote <member-id>')
    .summary('make a learner a voter')
    .description('Makes a learner that has caught up a voter.');
  withForce(promote, 'also where it has not caught up')
    .addHelpText('after', promoteExamples)
    .action(async (memberId: string, flags: ForceFlags) => {
      const context = contextOf(promote, io);
      const force = await agreedToForce(context, flags, promoteRisk);
      const membership = await ordered(context, (client) => client.cluster.promoteMember({ memberId, force }));
      await told(context, membership, `${memberId} is a voter`);
      done(exitCodes.ok);
    });
}

function addRemove(cluster: Command, io: CliIo, done: (exitCode: number) => void): void {
  const remove = cluster
    .command('remove <member-id>')
    .summary('take a member out for good')
    .description(
      'Takes a member out. Its id is never used again, and the member itself stops when it hears of it. A leader ' +
        'that is removed hands over.',
    );
  withForce(remove, 'also where too few of the others answer')
    .addHelpText('after', removeExamples)
    .action(async (memberId: string, flags: ForceFlags) => {
      const context = contextOf(remove, io);
      const force = await agreedToForce(context, flags, removeRisk);
      const membership = await ordered(context, (client) => client.cluster.removeMember({ memberId, force }));
      await told(context, membership, `removed ${memberId}: its id is never used again`);
      done(exitCodes.ok);
    });
}

function addTransfer(cluster: Command, io: CliIo, done: (exitCode: number) => void): void {
  cluster
    .command('transfer [member-id]')
    .summary('hand over leadership')
    .description('Hands leadership to a voter; without one named, to the voter whose log is furthest.')
    .addHelpText('after', transferExamples)
    .action(async (memberId: string | undefined, _flags: object, command: Command) => {
      const context = contextOf(command, io);
      const { output } = context;
      const leader = await ordered(context, (client) => client.cluster.transferLeadership(memberId));
      if (output.format === 'json') await output.json('rollcall.cluster-transfer.v1', { leader });
      else await output.lines([`${leader} leads`]);
      done(exitCodes.ok);
    });
}

/** @throws CliError with what to try next. */
async function ordered<A>(context: CliContext, order: (client: RollcallClient) => Promise<A>): Promise<A> {
  try {
    return await withClient(context, order);
  } catch (error) {
    throw orderErrorOf(error);
  }
}

async function told(context: CliContext, membership: Membership, what: string): Promise<void> {
  await showMembership(context, membership, what);
  warnOfEven(context, membership);
}

function parsePeerAddress(text: string): string {
  try {
    return checkedAddress(text);
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    throw new InvalidArgumentError(`"${text}" is no address; write host:port, e.g. 127.0.0.1:7441.`);
  }
}
