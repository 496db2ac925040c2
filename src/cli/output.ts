import type { Writable } from 'node:stream';
import type { JsonDocumentName, JsonFields } from './json-documents.ts';

export type OutputFormat = 'table' | 'json';

export interface OutputOptions {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly format: OutputFormat;
  /** How the user started this program: what advice names. */
  readonly programName: string;
}

/** What a command says: data on standard output, messages on standard error. */
export class Output {
  readonly #stdout: Writable;
  readonly #stderr: Writable;
  readonly #programName: string;
  readonly format: OutputFormat;

  constructor({ stdout, stderr, format, programName }: OutputOptions) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.#programName = programName;
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

  /** One line of JSON, the name of its schema first. */
  json<N extends JsonDocumentName>(schema: N, fields: JsonFields<N>): Promise<void> {
    return this.lines([jsonLine(schema, fields)]);
  }

  /** The same on standard error: a failure. */
  jsonError(fields: JsonFields<'rollcall.error.v1'>): void {
    if (!this.#stderr.destroyed) this.#stderr.write(`${jsonLine('rollcall.error.v1', fields)}\n`);
  }

  table(header: readonly string[], rows: readonly (readonly string[])[]): Promise<void> {
    return this.lines(tableLines(header, rows));
  }

  /** Commands in back quotes are named as the user starts them. */
  message(text: string): void {
    if (this.#stderr.destroyed) return;
    for (const line of this.advice(text).split('\n')) this.#stderr.write(`${printable(line)}\n`);
  }

  /** The text with its commands in back quotes as the user starts them. */
  advice(text: string): string {
    return text.replaceAll('`rollcall ', `\`${this.#programName} `);
  }
}

/** One document as a line, without its end. */
export function jsonLine<N extends JsonDocumentName>(schema: N, fields: JsonFields<N>): string {
  return JSON.stringify({ schema, ...fields });
}

/** Columns two spaces apart, as wide as their widest cell. */
export function tableLines(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = [header, ...rows].map((row) => row.map((cell) => printable(cell === '' ? '-' : cell)));
  const widths = header.map((_, column) => cells.reduce((max, row) => Math.max(max, row[column]?.length ?? 0), 0));
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
