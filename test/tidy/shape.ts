import { assert, must } from '../../src/base/assert.ts';
import type { SourceFile } from './source-text.ts';
import { lineOf } from './source-text.ts';

export const fileLinesMax = 500;
export const functionLinesMax = 70;
export const lineColumnsMax = 120;

/** Complaints about files, functions and lines that are too long. */
export function tooLong(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => [...longFile(file), ...longLines(file), ...longFunctions(file)]);
}

function longFile(file: SourceFile): string[] {
  const lines = file.text.replace(/\n$/, '').split('\n').length;
  return lines <= fileLinesMax ? [] : [`${file.path}: ${lines} lines, at most ${fileLinesMax}; give it one duty`];
}

function longLines(file: SourceFile): string[] {
  return file.text.split('\n').flatMap((line, i) => {
    const columns = line.length;
    return columns <= lineColumnsMax ? [] : [`${file.path}:${i + 1}: ${columns} columns, at most ${lineColumnsMax}`];
  });
}

function longFunctions(file: SourceFile): string[] {
  const lines = file.code.split('\n');
  return longBlocks(file).flatMap(({ open, close }) => {
    const lastLine = lineOf(file.code, close);
    const firstLine = statementStart(lines, lineOf(file.code, open), lastLine);
    const length = lastLine - firstLine + 1;
    const header = headerText(file.code, firstLine, open);
    if (length <= functionLinesMax || !isFunction(header) || isTestCall(header)) return [];
    return [`${file.path}:${firstLine}: function of ${length} lines, at most ${functionLinesMax}; split it by duty`];
  });
}

/** Pairs of braces with so many lines between that a function there may be too long. */
function longBlocks(file: SourceFile): { readonly open: number; readonly close: number }[] {
  const open: number[] = [];
  const blocks: { readonly open: number; readonly close: number }[] = [];
  for (const { 0: brace, index } of file.code.matchAll(/[{}]/g)) {
    if (brace === '{') {
      open.push(index);
      continue;
    }
    const start = open.pop();
    assert(start !== undefined, () => `${file.path}:${lineOf(file.code, index)}: a brace closes nothing`);
    // A header may take many lines of its own, so the cut is made where the header is known.
    if (lineOf(file.code, index) - lineOf(file.code, start) > functionLinesMax / 2)
      blocks.push({ open: start, close: index });
  }
  assert(open.length === 0, () => `${file.path}:${lineOf(file.code, open[0] ?? 0)}: a brace is not closed`);
  return blocks;
}

/**
 * The line on which the statement begins whose block opens on `openLine` and closes on `closeLine`. The formatter gives
 * it the indentation of the closing line; lines between that begin with a bracket close its parameters.
 */
function statementStart(lines: readonly string[], openLine: number, closeLine: number): number {
  const indentation = indentationOf(must(lines[closeLine - 1], 'closing line'));
  for (let number = openLine; number >= 1; number--) {
    const line = must(lines[number - 1], 'line');
    if (line.trim() === '' || indentationOf(line) > indentation || /^\s*[)}\]]/.test(line)) continue;
    return number;
  }
  return openLine;
}

function indentationOf(line: string): number {
  return line.length - line.trimStart().length;
}

function headerText(code: string, firstLine: number, open: number): string {
  let offset = 0;
  for (let line = 1; line < firstLine; line++) offset = code.indexOf('\n', offset) + 1;
  return code.slice(offset, open).trim();
}

/** Whether a block with this text before its brace is the body of a function, and not of a class, a loop, an object. */
function isFunction(header: string): boolean {
  if (header.endsWith('=>')) return true;
  if (/^(?:export\s+|default\s+|abstract\s+|declare\s+)*(?:class|interface|type|enum|namespace)\b/.test(header))
    return false;
  if (/^(?:\}\s*)?(?:if|else|for|while|do|switch|try|catch|finally|case|default|return|throw)\b/.test(header))
    return false;
  return header.includes('(') && !/[=:([,?&|+]$/.test(header);
}

/** The callbacks of `describe` and `it` hold whole groups of tests and may be long. */
function isTestCall(header: string): boolean {
  return /^(?:await\s+)?(?:describe|it|test)(?:\.\w+)*\s*\(/.test(header);
}
