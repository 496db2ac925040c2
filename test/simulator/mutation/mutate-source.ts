import { lineOf, sourceFile } from '../../tidy/source-text.ts';

/** One small change of one file, of the kind that a slip of the hand makes. */
export interface Mutation {
  readonly path: string;
  /** Where the replaced characters begin in the text, and what they were. */
  readonly offset: number;
  readonly before: string;
  readonly after: string;
  /** From 1. */
  readonly line: number;
  readonly kind: string;
}

/** Ranges of offsets, half open. */
type Range = readonly [from: number, to: number];

interface Swap {
  readonly kind: string;
  readonly pattern: RegExp;
  readonly replacements: (found: string) => readonly string[];
}

const relational: Readonly<Record<string, readonly string[]>> = {
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '===': ['!=='],
  '!==': ['==='],
  '&&': ['||'],
  '||': ['&&'],
  '+': ['-'],
  '-': ['+'],
  '+=': ['-='],
  '-=': ['+='],
};

// The formatter puts a space on both sides of a binary operator and on neither of a type's angle brackets.
const swaps: readonly Swap[] = [
  {
    kind: 'operator',
    pattern: /(?<=\s)(?:<=?|>=?|===|!==|&&|\|\||[+-]=?)(?=\s)/g,
    replacements: (found) => relational[found] ?? [],
  },
  { kind: 'boolean', pattern: /\b(?:true|false)\b/g, replacements: (found) => [found === 'true' ? 'false' : 'true'] },
  {
    kind: 'number',
    pattern: /(?<![\w$.#'])\d[\d_]*(?![\w.])/g,
    replacements: (found) => {
      const value = Number(found.replaceAll('_', ''));
      return value === 0 ? ['1'] : [String(value + 1), String(value - 1)];
    },
  },
  { kind: 'negation', pattern: /!(?=[\w(#])/g, replacements: () => [''] },
  {
    kind: 'extreme',
    pattern: /\bMath\.(?:min|max)\b/g,
    replacements: (found) => [found === 'Math.min' ? 'Math.max' : 'Math.min'],
  },
  {
    kind: 'all-or-some',
    pattern: /\.(?:every|some)\b/g,
    replacements: (found) => [found === '.every' ? '.some' : '.every'],
  },
  { kind: 'absent', pattern: /(?<=\s)\?\?(?=\s)/g, replacements: () => ['&&'] },
];

/**
 * Every mutation of one TypeScript file that this mutator knows, in the order of the text. It changes code alone: no
 * comment, string, type, import, or message of an assertion.
 */
export function mutationsOf(path: string, text: string): Mutation[] {
  const { code } = sourceFile(path, text);
  const spared = sparedRanges(code);
  const found: Mutation[] = [];
  const add = (offset: number, length: number, after: string, kind: string): void => {
    if (spared.some(([from, to]) => offset >= from && offset < to)) return;
    found.push({ path, offset, before: text.slice(offset, offset + length), after, line: lineOf(text, offset), kind });
  };
  for (const { kind, pattern, replacements } of swaps) {
    for (const match of code.matchAll(pattern)) {
      for (const after of replacements(match[0])) add(match.index, match[0].length, after, kind);
    }
  }
  for (const [from, to] of conditions(code)) {
    const condition = text.slice(from, to);
    for (const after of [`!(${condition})`, 'true', 'false']) {
      // A loop whose condition is always true is known to hang, and tells nothing of the tests.
      if (after !== 'true' || !/\bwhile\s*\($/.test(code.slice(0, from))) add(from, to - from, after, 'condition');
    }
  }
  for (const [from, to] of statements(code)) add(from, to - from, ';', 'statement');
  return found.sort((left, right) => left.offset - right.offset);
}

/** The text with the mutation done. */
export function mutated(text: string, mutation: Mutation): string {
  const end = mutation.offset + mutation.before.length;
  return text.slice(0, mutation.offset) + mutation.after + text.slice(end);
}

/** Imports, declarations of types, and the message of every assertion. */
function sparedRanges(code: string): Range[] {
  const ranges: Range[] = [];
  for (const match of code.matchAll(/^import [^;]*;/gm)) ranges.push([match.index, match.index + match[0].length]);
  for (const match of code.matchAll(/^(?:export )?interface [^{]*\{/gm)) {
    const open = match.index + match[0].length - 1;
    ranges.push([match.index, closing(code, open) + 1]);
  }
  for (const match of code.matchAll(/^(?:export )?type \w/gm))
    ranges.push([match.index, statementEnd(code, match.index)]);
  for (const match of code.matchAll(/\bassert\(/g)) {
    const open = match.index + match[0].length - 1;
    const comma = topLevelComma(code, open);
    if (comma !== undefined) ranges.push([comma, closing(code, open)]);
  }
  return ranges;
}

/** What stands in the parentheses of `if` and `while`. */
function conditions(code: string): Range[] {
  return [...code.matchAll(/\b(?:if|while) \(/g)].map((match) => {
    const open = match.index + match[0].length - 1;
    return [open + 1, closing(code, open)] as const;
  });
}

/** Statements that can be left out and leave a program: calls, assignments, and jumps that return nothing. */
function statements(code: string): Range[] {
  const ranges: Range[] = [];
  for (const match of code.matchAll(/(?<=[;{}]|\belse|\)) *\n? *(?=[\w#(])/g)) {
    const from = match.index + match[0].length;
    const head = code.slice(from, from + 40);
    if (/^(?:const|let|if|for|while|else|switch|case|default|throw|import|export|type|interface|class)\b/.test(head)) {
      continue;
    }
    if (/^(?:readonly|private|static|get|set|constructor|function|async|assert|return [^;])\b/.test(head)) continue;
    if (/^return (?!;)/.test(head)) continue;
    const to = statementEnd(code, from);
    const body = code.slice(from, to);
    const isJump = /^(?:return|continue|break);$/.test(body);
    const isCall = /^[\w.#$]+\([\s\S]*\);$/.test(body);
    const isAssignment = /^[\w.#$[\]]+ (?:[+-]?=) [\s\S]*;$/.test(body);
    if ((isJump || isCall || isAssignment) && !inClassBody(code, from)) ranges.push([from, to]);
  }
  return ranges;
}

/** Whether the innermost open brace before `at` is that of a class: fields are no statements. */
function inClassBody(code: string, at: number): boolean {
  let depth = 0;
  for (let i = at - 1; i >= 0; i--) {
    if (code[i] === '}') depth += 1;
    if (code[i] !== '{') continue;
    if (depth === 0) return /\bclass \w+[^{};]*$/.test(code.slice(0, i));
    depth -= 1;
  }
  return false;
}

function closing(code: string, open: number): number {
  const close = ({ '(': ')', '{': '}', '[': ']' } as Readonly<Record<string, string>>)[code[open] ?? ''];
  let depth = 0;
  for (let i = open; i < code.length; i++) {
    if (code[i] === code[open]) depth += 1;
    else if (code[i] === close) depth -= 1;
    if (depth === 0) return i;
  }
  return code.length;
}

/** Offset of the comma after the first argument of the call that opens at `open`. */
function topLevelComma(code: string, open: number): number | undefined {
  let depth = 0;
  for (let i = open; i < code.length; i++) {
    const char = code[i] ?? '';
    if ('([{'.includes(char)) depth += 1;
    else if (')]}'.includes(char)) depth -= 1;
    else if (char === ',' && depth === 1) return i;
    if (depth === 0) return undefined;
  }
  return undefined;
}

/** Offset after the semicolon that ends the statement at `from`. */
function statementEnd(code: string, from: number): number {
  let depth = 0;
  for (let i = from; i < code.length; i++) {
    const char = code[i] ?? '';
    if ('([{'.includes(char)) depth += 1;
    else if (')]}'.includes(char)) depth -= 1;
    else if (char === ';' && depth === 0) return i + 1;
    if (depth < 0) return i;
  }
  return code.length;
}
