import type { RunOutcome } from './bounded-run.ts';

/** A breach that the simulator told of. */
export interface Finding {
  readonly checker: string;
  readonly seed: string;
  readonly profile: string;
}

/**
 * The command that runs the simulator in the directory of a copy until its first breach, at most `minutes` long.
 * `injected` is another command as a JSON list, to which the same options are added.
 */
export function simulatorCommand(injected: string | undefined, minutes: number, firstSeed: number): string[] {
  const base = injected === undefined ? defaultCommand() : readCommand(injected);
  const options = ['--until-breach', '--minutes', `${minutes}`, '--first-seed', `${firstSeed}`, '--workers', '1'];
  return [...base, ...options];
}

/** The command that runs the seed of a finding again. */
export function replayCommand(injected: string | undefined, { seed, profile }: Finding): string[] {
  const base = injected === undefined ? defaultCommand() : readCommand(injected);
  return [...base, '--seed', seed, '--profile', profile, '--quiet'];
}

function defaultCommand(): string[] {
  return [process.execPath, '--import', 'tsx', 'scripts/simulate.ts'];
}

function readCommand(text: string): string[] {
  const list: unknown = JSON.parse(text);
  if (!Array.isArray(list) || list.length === 0 || !list.every((part) => typeof part === 'string')) {
    throw new Error(`the command of the simulator is ${text}, expected a JSON list of strings`);
  }
  return list;
}

/**
 * What a run of the simulator has found: exit code 1 with a line `BREACH seed=N [profile=P] checker=NAME ...`.
 * Undefined where it found nothing. Throws where the run says neither: then the simulator is broken, not the program
 * that it runs.
 */
export function simulatorFinding(outcome: RunOutcome): Finding | undefined {
  if (outcome.exitCode === 0) return undefined;
  const line = /^BREACH .*/m.exec(outcome.standardOutput)?.[0] ?? '';
  const field = (name: string): string | undefined => new RegExp(` ${name}=(\\S+)`).exec(line)?.[1];
  const [seed, checker, profile = 'mixed'] = [field('seed'), field('checker'), field('profile')];
  if (outcome.exitCode === 1 && seed !== undefined && checker !== undefined) return { seed, checker, profile };
  const end = (outcome.standardOutput + outcome.standardError).trim().split('\n').slice(-5).join('\n');
  const how = outcome.timedOut ? 'did not end in its time' : `ended with exit code ${outcome.exitCode}`;
  throw new Error(`the simulator ${how} and named no breach:\n${end}`);
}
