/** Where the lines go: a terminal, a file, a pipe. */
export interface ScreenOptions {
  readonly write: (text: string) => void;
  /** Colours are for terminals alone. */
  readonly coloured: boolean;
  /** Milliseconds since the start. */
  readonly elapsedMs: () => number;
}

type Colour = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan';

const codes: Readonly<Record<Colour, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  green: [32, 39],
  red: [31, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

/** Who a line is about, so that the eye finds it. */
const whoWidth = 10;

/** One line a happening, each with its time since the start; quiet once it is closed. */
export class Screen {
  readonly #options: ScreenOptions;
  #closed = false;

  constructor(options: ScreenOptions) {
    this.#options = options;
  }

  get elapsedMs(): number {
    return this.#options.elapsedMs();
  }

  title(text: string): void {
    this.#print(`\n${this.#paint('bold', text)}\n`);
  }

  /** The heading of a step. */
  step(position: string, text: string): void {
    this.#print(`\n${this.#time()}  ${this.#paint('bold', `${position}  ${text}`)}\n`);
  }

  /** Something that happened: `who` it concerns and what. */
  line(who: string, text: string): void {
    this.#print(`${this.#time()}    ${this.#paint('cyan', who.padEnd(whoWidth))} ${text}\n`);
  }

  /** The same for what must not be overlooked: a process killed on purpose, a member gone. */
  alarm(who: string, text: string): void {
    this.#print(`${this.#time()}    ${this.#paint('yellow', who.padEnd(whoWidth))} ${text}\n`);
  }

  held(text: string): void {
    this.#print(`${this.#time()}  ${this.#paint('green', '✓')} ${text}\n`);
  }

  failed(text: string): void {
    this.#print(`${this.#time()}  ${this.#paint('red', '✗')} ${text}\n`);
  }

  /** A line of the summary: no time of its own. */
  summary(held: boolean, position: string, text: string, measured: string): void {
    const mark = held ? this.#paint('green', '✓') : this.#paint('red', '✗');
    this.#print(`  ${mark} ${position}  ${text.padEnd(summaryWidth)}  ${this.#paint('dim', measured)}\n`);
  }

  /** Text as it is, such as commands to copy and lines of a log. */
  text(text: string): void {
    this.#print(text === '' ? '\n' : `${indented(text)}\n`);
  }

  faint(text: string): void {
    this.#print(`${this.#paint('dim', indented(text))}\n`);
  }

  /** Nothing is printed any more: whoever reads has gone. */
  close(): void {
    this.#closed = true;
  }

  #time(): string {
    return this.#paint('dim', seconds(this.#options.elapsedMs()).padStart(8));
  }

  #paint(colour: Colour, text: string): string {
    if (!this.#options.coloured) return text;
    const [on, off] = codes[colour];
    return `\u001b[${on}m${text}\u001b[${off}m`;
  }

  #print(text: string): void {
    if (!this.#closed) this.#options.write(text);
  }
}

const summaryWidth = 44;

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}

/** `NO_COLOR` set to anything but nothing turns colours off, also on a terminal (no-color.org). */
export function wantsColours(isTerminal: boolean, env: NodeJS.ProcessEnv): boolean {
  return isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}

/** `12.34 s`: for moments on the line of time. */
export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

/** `3.4 ms`, `340 ms` or `3.40 s`: for what was measured. */
export function duration(ms: number): string {
  if (ms >= 1_000) return seconds(ms);
  return ms >= 10 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(1)} ms`;
}
