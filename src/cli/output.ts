import type { Writable } from 'node:stream';

/**
 * Version of the JSON that commands print. It rises when a field changes its meaning or goes, not when one is added.
 */
export const jsonSchema = 1;

export type OutputFormat = 'table' | 'json';

/** What a command says: data on standard output, messages on standard error. */
export class Output {
  readonly #stdout: Writable;
  readonly #stderr: Writable;
  readonly format: OutputFormat;

  constructor(stdout: Writable, stderr: Writable, format: OutputFormat) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.format = format;
  }

  /** Lines of data. Resolves once the reader takes more, so that a slow one holds the command and not its memory. */
  async lines(lines: readonly string[]): Promise<void> {
    if (lines.length === 0 || this.#stdout.destroyed) return;
    if (this.#stdout.write(`${lines.join('\n')}\n`)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#stdout.off('drain', done);
        this.#stdout.off('close', done);
        this.#stdout.off('error', done);
        resolve();
      };
      this.#stdout.on('drain', done);
      this.#stdout.on('close', done);
      this.#stdout.on('error', done);
    });
  }

  /** One line of JSON with the schema's version first. */
  json(value: object): Promise<void> {
    return this.lines([JSON.stringify({ schema: jsonSchema, ...value })]);
  }

  table(header: readonly string[], rows: readonly (readonly string[])[]): Promise<void> {
    return this.lines(tableLines(header, rows));
  }

  message(text: string): void {
    if (this.#stderr.destroyed) return;
    for (const line of text.split('\n')) this.#stderr.write(`${printable(line)}\n`);
  }
}

/** Columns two spaces apart, as wide as their widest cell. */
export function tableLines(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = [header, ...rows].map((row) => row.map((cell) => printable(cell === '' ? '-' : cell)));
  const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** One line without control characters: what others have registered must not steer the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}|\p{Cf}/gu, '\ufffd');
}
