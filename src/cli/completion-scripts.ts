import type { CommandModel, OptionModel, OptionValue } from './completion-model.ts';
import { allCommands } from './completion-model.ts';

// What each shell reads. bash and zsh share tables of names, which are functions of plain sh; fish has a line a name.
// The names of services are asked of the registry, by the command `complete-services`, which is silent where it fails.

const programTimeout = '1s';
const descriptionCharsMax = 80;

/** @param launcherPath What starts the program where the shell finds no `rollcall`; undefined: nothing known. */
export function bashScript(model: CommandModel, launcherPath?: string): string {
  return `# Completion of rollcall for bash: source <(rollcall completion bash)
${ownFunction(launcherPath)}${tables(model)}
_rollcall() {
  local line=\${COMP_LINE:0:COMP_POINT} current='' found i
  local -a words
  # Split here and not by bash, which takes host:port apart.
  read -ra words <<<"$line"
  local count=\${#words[@]}
  case $line in
    *[[:space:]]) ;;
    *)
      count=$((count - 1))
      current=\${words[count]}
      ;;
  esac
  _rollcall_read "\${words[@]:1:count - 1}"
  case $current in
    --*=*)
      _rollcall_expects=\${current%%=*}
      current=\${current#*=}
      ;;
  esac
  COMPREPLY=()
  if [ -n "$_rollcall_behind" ]; then
    if [ "$_rollcall_behind" = 1 ]; then found=$(compgen -c -- "$current"); else found=$(compgen -f -- "$current"); fi
  elif [ -n "$_rollcall_expects" ]; then
    found=$(_rollcall_values "$_rollcall_command" "$_rollcall_expects")
    if [ "$found" = '<file>' ]; then
      compopt -o filenames 2>/dev/null
      found=$(compgen -f -- "$current")
    else
      found=$(compgen -W "$found" -- "$current")
    fi
  else
    case $current in
      -*) found=$(_rollcall_options "$_rollcall_command") ;;
      *) found=$(_rollcall_words "\${words[0]}" "$current") ;;
    esac
    found=$(compgen -W "$(printf '%s\\n' "$found" | cut -d: -f1)" -- "$current")
  fi
  while IFS= read -r i; do [ -n "$i" ] && COMPREPLY+=("$i"); done <<<"$found"
}
complete -F _rollcall rollcall
`;
}

export function zshScript(model: CommandModel, launcherPath?: string): string {
  return `#compdef rollcall
# Completion of rollcall for zsh: source <(rollcall completion zsh), behind compinit.
${ownFunction(launcherPath)}${tables(model)}
_rollcall() {
  local current=\${words[CURRENT]} found
  local -a each
  _rollcall_read "\${(@)words[2,CURRENT-1]}"
  if [[ $current == --*=* ]]; then
    _rollcall_expects=\${current%%=*}
    compset -P '*='
  fi
  if [[ -n $_rollcall_behind ]]; then
    if [[ $_rollcall_behind == 1 ]]; then _command_names -e; else _files; fi
    return
  fi
  if [[ -n $_rollcall_expects ]]; then
    found=$(_rollcall_values "$_rollcall_command" "$_rollcall_expects")
    if [[ $found == '<file>' ]]; then _files; else compadd -- \${=found}; fi
    return
  fi
  if [[ $current == -* ]]; then
    each=("\${(@f)$(_rollcall_options "$_rollcall_command")}")
  else
    each=("\${(@f)$(_rollcall_words "\${words[1]}" "$current")}")
  fi
  each=(\${each:#})
  (( \${#each} )) && _describe rollcall each
}
if [[ \${funcstack[1]} == _rollcall ]]; then _rollcall; else compdef _rollcall rollcall; fi
`;
}

/** Functions of sh that go by the tables. */
const reading = `# Reads the words before the one that is completed.
_rollcall_read() {
  _rollcall_command='' _rollcall_expects='' _rollcall_behind='' _rollcall_arguments=0
  _rollcall_server='' _rollcall_namespace=''
  while [ $# -gt 0 ]; do
    if [ -n "$_rollcall_behind" ]; then
      _rollcall_behind=2
    elif [ -n "$_rollcall_expects" ]; then
      _rollcall_keep "$_rollcall_expects" "$1"
      _rollcall_expects=''
    else
      case $1 in
        --) _rollcall_behind=1 ;;
        --*=*) _rollcall_keep "\${1%%=*}" "\${1#*=}" ;;
        -*) if _rollcall_values "$_rollcall_command" "$1" >/dev/null; then _rollcall_expects=$1; fi ;;
        *)
          if _rollcall_commands "$_rollcall_command" | grep -q "^$1:" 2>/dev/null; then
            _rollcall_command="\${_rollcall_command:+$_rollcall_command }$1"
          else
            _rollcall_arguments=$((_rollcall_arguments + 1))
          fi
          ;;
      esac
    fi
    shift
  done
}
_rollcall_keep() {
  case $1 in
    --server) _rollcall_server=$2 ;;
    --namespace) _rollcall_namespace=$2 ;;
  esac
}
# Commands, or names of services.
_rollcall_words() {
  if _rollcall_takes_service "$_rollcall_command"; then
    if [ "$_rollcall_arguments" = 0 ]; then
      set -- "$1" complete-services "$2" --timeout ${programTimeout}
      [ -n "$_rollcall_server" ] && set -- "$@" --server "$_rollcall_server"
      [ -n "$_rollcall_namespace" ] && set -- "$@" --namespace "$_rollcall_namespace"
      "$@" 2>/dev/null
    fi
  else
    _rollcall_commands "$_rollcall_command"
    if [ "$_rollcall_arguments" = 0 ]; then _rollcall_arguments_of "$_rollcall_command"; fi
  fi
}`;

/** So that what is completed can be run in a clone as well, where only npx knows it. */
function ownFunction(launcherPath: string | undefined): string {
  if (launcherPath === undefined) return '';
  return `if ! command -v rollcall >/dev/null 2>&1; then
  rollcall() { node ${quoted(launcherPath)} "$@"; }
fi
`;
}

function fishFunction(launcherPath: string | undefined): string {
  if (launcherPath === undefined) return '';
  return `if not type -q rollcall
    function rollcall
        node ${fishQuoted(launcherPath)} $argv
    end
end
`;
}

/** Functions of sh. Names come with what they are, behind a colon. */
function tables(model: CommandModel): string {
  const commands = allCommands(model);
  const named = (lines: readonly string[]): string => lines.map((line) => ` ${quoted(line)}`).join('');
  const cases = (lines: (command: CommandModel) => readonly string[]): string =>
    commands
      .filter((command) => lines(command).length > 0)
      .map((command) => `    ${quoted(command.path)}) printf '%s\\n'${named(lines(command))} ;;`)
      .join('\n');
  return `_rollcall_commands() {
  case $1 in
${cases(({ commands: below }) => below.map(({ path, summary }) => `${lastWord(path)}:${summary}`))}
  esac
}
_rollcall_arguments_of() {
  case $1 in
${cases(({ words }) => words)}
  esac
}
_rollcall_options() {
  case $1 in
${cases(({ options }) => options.map(({ names, description }) => `${names[0]}:${plain(description)}`))}
  esac
}
# What may stand behind an option; fails for one that takes nothing.
_rollcall_values() {
  case "$1 $2" in
${commands.flatMap((command) => valueCases(command)).join('\n')}
    *) return 1 ;;
  esac
}
_rollcall_takes_service() {
  case $1 in
    ${orNever(commands.filter(({ takesService }) => takesService).map(({ path }) => quoted(path)))}) return 0 ;;
    *) return 1 ;;
  esac
}
${reading}`;
}

function valueCases({ path, options }: CommandModel): string[] {
  return options.flatMap(({ names, value }) => {
    if (value === 'none') return [];
    const patterns = names.map((name) => quoted(`${path} ${name}`)).join(' | ');
    return [`    ${patterns}) echo ${quoted(wordsOf(value))} ;;`];
  });
}

function wordsOf(value: OptionValue): string {
  if (value === 'file') return '<file>';
  return typeof value === 'string' ? '' : value.join(' ');
}

export function fishScript(model: CommandModel, launcherPath?: string): string {
  const commands = allCommands(model);
  const valued = commands.flatMap(({ path, options }) =>
    options.flatMap(({ names, value }) => (value === 'none' ? [] : names.map((name) => quoted(`${path} ${name}`)))),
  );
  const paths = commands.map(({ path }) => quoted(path)).slice(1);
  const services = commands.filter(({ takesService }) => takesService).map(({ path }) => quoted(path));
  const starts = commands.filter(({ startsCommand }) => startsCommand).map(({ path }) => quoted(path));
  return `# Completion of rollcall for fish: rollcall completion fish | source
${fishFunction(launcherPath)}# Prints the command that is being written, the number of its arguments, and options
# for who asks the registry.
function __rollcall_read
    set -l path ''
    set -l arguments 0
    set -l expects ''
    set -l asked
    set -l words (commandline -opc)
    for word in $words[2..-1]
        if test -n "$expects"
            contains -- $expects --server --namespace; and set -a asked $expects $word
            set expects ''
            continue
        end
        switch $word
            case --
                set path "$path --"
                break
            case '--server=*' '--namespace=*'
                set -a asked $word
            case '-*'
                contains -- "$path $word" ${valued.join(' ')}; and set expects $word
            case '*'
                set -l longer (string trim -- "$path $word")
                if contains -- $longer ${paths.join(' ')}
                    set path $longer
                else
                    set arguments (math $arguments + 1)
                end
        end
    end
    printf '%s\\n' "$path" $arguments $asked
end
function __rollcall_at
    set -l read (__rollcall_read)
    test "$read[1]" = "$argv[1]"
end
function __rollcall_begins
    set -l read (__rollcall_read)
    test "$read[1]" = "$argv[1]" -a $read[2] = 0
end
function __rollcall_wants_service
    set -l read (__rollcall_read)
    contains -- "$read[1]" ${services.join(' ')}; and test $read[2] = 0
end
function __rollcall_services
    set -l read (__rollcall_read)
    rollcall complete-services (commandline -ct) --timeout ${programTimeout} $read[3..-1] 2>/dev/null
end
function __rollcall_behind
    set -l read (__rollcall_read)
    contains -- "$read[1]" ${starts.map((path) => `${path.slice(0, -1)} --'`).join(' ')}
end
complete -c rollcall -f
complete -c rollcall -n __rollcall_wants_service -a '(__rollcall_services)'
complete -c rollcall -n __rollcall_behind -F -a '(__fish_complete_command)'
${commands.flatMap(fishLines).join('\n')}
`;
}

function fishLines({ path, commands, options, words }: CommandModel): string[] {
  const at = `complete -c rollcall -n "__rollcall_at ${quoted(path)}"`;
  return [
    ...commands.map((each) => `${at} -a ${lastWord(each.path)} -d ${fishQuoted(each.summary)}`),
    ...words.map((word) => `complete -c rollcall -n "__rollcall_begins ${quoted(path)}" -a ${word}`),
    ...options.map((option) => `${at}${fishOption(option)}`),
  ];
}

function fishOption({ names, description, value }: OptionModel): string {
  const forms = names.map((name) => (name.startsWith('--') ? ` -l ${name.slice(2)}` : ` -s ${name.slice(1)}`)).join('');
  const takes = value === 'none' ? '' : value === 'file' ? ' -r -F' : ' -x';
  const words = typeof value === 'string' ? '' : ` -a ${fishQuoted(value.join(' '))}`;
  return `${forms}${takes}${words} -d ${fishQuoted(plain(description))}`;
}

function lastWord(path: string): string {
  return path.slice(path.lastIndexOf(' ') + 1);
}

/** One line, cut behind a word: a list has no room for more. Shells split at the first colon alone, behind the name. */
function plain(description: string): string {
  const text = description.replace(/\s+/g, ' ').trim();
  if (text.length <= descriptionCharsMax) return text;
  const kept = text.slice(0, descriptionCharsMax).replace(/ \S*$/, '');
  return `${kept.replace(/[\s,;:("'`]+$/, '')}...`;
}

/** A word of sh. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function orNever(patterns: readonly string[]): string {
  return patterns.length === 0 ? "''" : patterns.join(' | ');
}
