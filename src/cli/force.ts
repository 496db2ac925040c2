import { Option } from 'commander';
import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import { CliError, exitCodes } from './exit-codes.ts';

export interface ForceFlags {
  readonly force?: true;
  readonly yes?: true;
}

/** Adds --force, whose risk is told and agreed to, and --yes. */
export function withForce(command: Command, description: string): Command {
  return command
    .addOption(new Option('--force', description))
    .addOption(new Option('--yes', 'with --force: do not ask, where this is a terminal'));
}

/**
 * Says what --force risks, and asks where somebody can answer.
 *
 * @throws CliError 1 where the answer is not yes: nothing was sent.
 */
export async function agreedToForce(context: CliContext, { force, yes }: ForceFlags, risk: string): Promise<boolean> {
  if (force !== true) return false;
  const { output, io } = context;
  output.message(`warning: --force ${risk}`);
  if (yes === true || io.ask === undefined) return true;
  const answer = await io.ask('go on? [y/N] ');
  if (/^y(?:es)?$/i.test(answer.trim())) return true;
  const hint = 'see how the members are: `rollcall cluster status`; --yes does not ask';
  throw new CliError(exitCodes.other, 'nothing was changed: the answer was not yes', hint, {
    reason: 'CANCELLED',
    code: 'CANCELLED',
  });
}
