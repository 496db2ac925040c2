import { HistoryError, type Operation } from './types.ts';
import type { RegisterInput, RegisterOutput } from './register-model.ts';
import type { TextInput, TextOutput } from './text-model.ts';

type Call<Input, Output> = Omit<Operation<Input, Output>, 'output'>;

/** Puts the lines of starts and ends together; the time is the number of the line. */
class LineHistory<Input, Output> {
  readonly #calls = new Map<string, Call<Input, Output>>();
  readonly #done: Operation<Input, Output>[] = [];

  start(client: string, key: string, start: number, input: Input): void {
    if (this.#calls.has(client)) throw new HistoryError(`line ${start}: ${client} has not ended its last operation`);
    this.#calls.set(client, { client, key, start, end: Infinity, input });
  }

  /** @param output undefined: it certainly had no effect, and is left out. */
  end(client: string, end: number, output: Output | undefined): void {
    const call = this.#calls.get(client);
    if (call === undefined) throw new HistoryError(`line ${end}: ${client} ends what it did not begin`);
    this.#calls.delete(client);
    if (output !== undefined) this.#done.push({ ...call, end, output });
  }

  /** Ends all that is left without an outcome. */
  operations(): readonly Operation<Input, Output>[] {
    const open = [...this.#calls.values()].map((call) => ({ ...call, output: undefined }));
    return [...this.#done, ...open];
  }
}

const registerLine = /^INFO\s+jepsen\.util - (\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(.+)$/;

/**
 * Reads a Jepsen log of one register:
 * `INFO  jepsen.util - PROCESS :invoke|:ok|:fail|:info :read|:write|:cas VALUE`. Throws HistoryError naming the line.
 */
export function parseRegisterLog(text: string): readonly Operation<RegisterInput, RegisterOutput>[] {
  const history = new LineHistory<RegisterInput, RegisterOutput>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const [, client, event, operation, value = ''] = registerLine.exec(line) ?? [];
    if (client === undefined) throw new HistoryError(`line ${index}: is no event of a register: ${line}`);
    // An :info says that the outcome is unknown, and its process is not seen again: nothing is to be ended.
    if (event === 'info') continue;
    if (event === 'invoke') history.start(client, 'register', index, registerInput(operation, value));
    else history.end(client, index, registerOutput(operation, event === 'ok', value));
  }
  return history.operations();
}

function registerInput(operation: string | undefined, value: string): RegisterInput {
  if (operation === 'read') return { kind: 'read' };
  if (operation === 'write') return { kind: 'write', value: integer(value) };
  const [, from = '', to = ''] = /^\[(\d+) (\d+)\]$/.exec(value) ?? [];
  return { kind: 'cas', from: integer(from), to: integer(to) };
}

function registerOutput(operation: string | undefined, ok: boolean, value: string): RegisterOutput | undefined {
  if (operation === 'cas') return { kind: 'swapped', swapped: ok };
  if (!ok) return undefined;
  if (operation === 'write') return { kind: 'written' };
  return { kind: 'value', value: value === 'nil' ? null : integer(value) };
}

function integer(text: string): number {
  if (!/^\d+$/.test(text)) throw new HistoryError(`${JSON.stringify(text)} is no number`);
  return Number(text);
}

const textLine = /^\{:process (\d+), :type :(invoke|ok), :f :(get|put|append), :key "(.*)", :value (?:nil|"(.*)")\}$/;

/**
 * Reads a log of texts under keys:
 * `{:process 0, :type :invoke|:ok, :f :get|:put|:append, :key "k", :value "v"|nil}`. Throws HistoryError naming the
 * line.
 */
export function parseTextLog(text: string): readonly Operation<TextInput, TextOutput>[] {
  const history = new LineHistory<TextInput, TextOutput>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const [, client, event, operation, key = '', value = ''] = textLine.exec(line) ?? [];
    if (client === undefined) throw new HistoryError(`line ${index}: is no event of a text: ${line}`);
    if (event === 'invoke') history.start(client, key, index, textInput(operation, value));
    else history.end(client, index, operation === 'get' ? { kind: 'text', text: value } : { kind: 'done' });
  }
  return history.operations();
}

function textInput(operation: string | undefined, text: string): TextInput {
  if (operation === 'get') return { kind: 'get' };
  return { kind: operation === 'put' ? 'put' : 'append', text };
}
