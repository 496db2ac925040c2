import { describe, expect, it } from 'vitest';
import { fileLinesMax, functionLinesMax, lineColumnsMax, tooLong } from './shape.ts';
import { sourceFile } from './source-text.ts';

function complaints(text: string): string[] {
  return tooLong([sourceFile('src/a/b.ts', text)]);
}

/** `header`, statements and `footer`, `lines` lines together. */
function block(header: string, footer: string, lines: number, indentation = ''): string {
  const body = `${indentation}  call();\n`.repeat(lines - header.split('\n').length - 1);
  return `${indentation}${header.replaceAll('\n', `\n${indentation}`)}\n${body}${indentation}${footer}\n`;
}

const functions: readonly (readonly [string, string])[] = [
  ['function f(a: string): void {', '}'],
  ['export async function f<T extends { a: string }>(', '}'],
  ['const f = (a: string): void => {', '};'],
  ['return items.map((item) => {', '});'],
  ['function f(\n  a: string,\n  b: { c: number },\n): Promise<void> {', '}'],
  ['export function f({\n  a,\n  b,\n}: Options): void {', '}'],
].map(([header = '', footer = '']) => [header.endsWith('(') ? `${header}\n  a: T,\n): void {` : header, footer]);

const methods = [
  'step(message: Message): void {',
  'async #run(): Promise<void> {',
  'get size(): number {',
  'constructor(a: A) {',
];

describe('tooLong', () => {
  it('counts the lines of a file', () => {
    expect(complaints('a();\n'.repeat(fileLinesMax))).toEqual([]);
    expect(complaints('a();\n'.repeat(fileLinesMax + 1))).toEqual([expect.stringContaining('501 lines')]);
  });

  it('counts the columns of a line, also in comments', () => {
    expect(complaints(`// ${'x'.repeat(lineColumnsMax - 3)}`)).toEqual([]);
    expect(complaints(`a();\n// ${'x'.repeat(lineColumnsMax - 2)}`)).toEqual([
      expect.stringContaining('b.ts:2: 121 columns'),
    ]);
  });

  it.each(functions)('counts the lines of %j', (header, footer) => {
    expect(complaints(block(header, footer, functionLinesMax))).toEqual([]);
    expect(complaints(block(header, footer, functionLinesMax + 1))).toEqual([
      expect.stringContaining('b.ts:1: function of 71'),
    ]);
  });

  it.each(methods)('counts the lines of the method %j', (header) => {
    const text = (lines: number): string => `class A {\n${block(header, '}', lines, '  ')}}\n`;
    expect(complaints(text(functionLinesMax))).toEqual([]);
    expect(complaints(text(functionLinesMax + 1))).toEqual([expect.stringContaining('b.ts:2: function of 71')]);
  });

  it.each([
    ['export class A extends B<C> {', '}'],
    ['export interface A {', '}'],
    ['export type A = {', '};'],
    ['const a = {', '};'],
    ['const a = f({', '});'],
    ['const a = new Map<string, () => void>([', ']);'],
    ["describe('a group', () => {", '});'],
    ["it('is long', async () => {", '});'],
    ['if (a) {', '}'],
  ])('lets %j be long', (header, footer) => {
    expect(complaints(block(header, footer, functionLinesMax * 2))).toEqual([]);
  });

  it('is not misled by braces in strings, templates, comments and regular expressions', () => {
    const noise = "a('{'); // {\nb(`{${c({ d: '}' })}`);\ne(/[{]/);\n";
    expect(complaints(`function f(): void {\n${noise.repeat(10)}}\n`)).toEqual([]);
    expect(complaints(`function f(): void {\n${noise.repeat(23)}}\n`)).toEqual([
      expect.stringContaining('of 71 lines'),
    ]);
  });

  it('refuses a file whose braces it cannot match', () => {
    expect(() => complaints('a {')).toThrow(/not closed/);
    expect(() => complaints('a }')).toThrow(/closes nothing/);
  });
});
