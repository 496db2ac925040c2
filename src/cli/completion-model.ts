import type { Command, Option } from 'commander';

/** What may stand behind an option: one of these words, a file, or what nobody can guess. */
export type OptionValue = readonly string[] | 'file' | 'any' | 'none';

export interface OptionModel {
  /** `--file`, and `-f` where it has a short form. */
  readonly names: readonly string[];
  readonly description: string;
  readonly value: OptionValue;
}

/** One command as a shell completes it. */
export interface CommandModel {
  /** `cluster status`; empty for the program itself. */
  readonly path: string;
  readonly summary: string;
  readonly commands: readonly CommandModel[];
  readonly options: readonly OptionModel[];
  /** What its first argument may be, where that is one of a few words. */
  readonly words: readonly string[];
  /** Its first argument is the name of a service. */
  readonly takesService: boolean;
  /** What stands behind `--` is a command. */
  readonly startsCommand: boolean;
}

const valuesByName: Readonly<Record<string, OptionValue>> = {
  '--config': 'file',
  '--data': 'file',
  '--file': 'file',
  '--status': ['starting', 'up', 'draining', 'down'],
};

const helpName = 'help';

/** The whole program, of its own commands and options: what is added there is completed. */
export function modelOf(command: Command, path = '', above: readonly OptionModel[] = []): CommandModel {
  const helper = command.createHelp();
  const own = helper.visibleOptions(command).map(optionModel);
  const options = [...own, ...above];
  const below = helper.visibleCommands(command);
  const global = path === '' ? own.filter(({ names }) => !names.includes('--version')) : above;
  return {
    path,
    summary: command.summary(),
    options: options.filter(({ names }, i) => options.findIndex((each) => each.names[0] === names[0]) === i),
    words: command.registeredArguments[0]?.argChoices ?? [],
    takesService: command.registeredArguments[0]?.name() === 'service',
    startsCommand: /-- <CMD>/.test(command.usage()),
    commands: below
      .filter((each) => each.name() !== helpName)
      .map((each) => modelOf(each, path === '' ? each.name() : `${path} ${each.name()}`, global))
      // Below another command --help does the same.
      .concat(path === '' ? helpModel(below.map((each) => each.name())) : []),
  };
}

/** The command that commander adds by itself. */
function helpModel(names: readonly string[]): CommandModel {
  const words = names.filter((name) => name !== helpName);
  const nothing = { commands: [], options: [], takesService: false, startsCommand: false };
  return { path: helpName, summary: 'explain a command', words, ...nothing };
}

/** It and all below it, the program first. */
export function allCommands(model: CommandModel): CommandModel[] {
  return [model, ...model.commands.flatMap(allCommands)];
}

function optionModel(option: Option): OptionModel {
  const names = [option.long, option.short].filter((name) => name !== undefined && name !== null);
  const { argChoices, description } = option;
  const given = valuesByName[names[0] ?? ''];
  const takesValue = option.required || option.optional;
  return { names, description, value: takesValue ? (argChoices ?? given ?? 'any') : 'none' };
}
