// A reader of TypeScript that knows just enough to tell code from comments and strings: the compiler in use offers no
// interface for programs.

/** One file of the repository. */
export type SourceFile = {
  /** From the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** `text` with comments and the insides of strings and regular expressions blanked; same length and lines. */
  readonly code: string;
  /** `text` with comments blanked only. */
  readonly codeWithStrings: string;
};

type Mode = 'code' | 'line-comment' | 'block-comment' | 'single' | 'double' | 'template' | 'regexp' | 'regexp-class';

/** Reads `text`; the path decides nothing but where complaints point. */
export function sourceFile(path: string, text: string): SourceFile {
  const reader = new Blanker(text);
  reader.run();
  return { path, text, code: reader.code(), codeWithStrings: reader.codeWithStrings() };
}

/** The number of the line, from 1, that holds the character at `offset`. */
export function lineOf(text: string, offset: number): number {
  let line = 1;
  for (let i = text.indexOf('\n'); i !== -1 && i < offset; i = text.indexOf('\n', i + 1)) line += 1;
  return line;
}

const openers: Readonly<Record<string, Mode>> = { "'": 'single', '"': 'double', '`': 'template' };
const closers: Partial<Readonly<Record<Mode, string>>> = { single: "'", double: '"', template: '`', regexp: '/' };

class Blanker {
  readonly #text: string;
  readonly #code: string[];
  readonly #withStrings: string[];
  #mode: Mode = 'code';
  /** For each open `${` the count of braces that are open inside it. */
  readonly #templateBraces: number[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#code = Array.from({ length: text.length }, (_, i) => text[i] ?? '');
    this.#withStrings = [...this.#code];
  }

  code(): string {
    return this.#code.join('');
  }

  codeWithStrings(): string {
    return this.#withStrings.join('');
  }

  run(): void {
    while (this.#at < this.#text.length) {
      if (this.#mode === 'code') this.#readCode();
      else if (this.#mode === 'line-comment' || this.#mode === 'block-comment') this.#readComment();
      else this.#readLiteral();
    }
  }

  #readCode(): void {
    const char = this.#text[this.#at] ?? '';
    const pair = this.#text.slice(this.#at, this.#at + 2);
    const braces = this.#templateBraces.length - 1;
    if (pair === '//' || pair === '/*') {
      this.#mode = pair === '//' ? 'line-comment' : 'block-comment';
      this.#blank(2, true);
      return;
    }
    if (char === '/' && this.#regexpMayStart()) this.#mode = 'regexp';
    else if (openers[char] !== undefined) this.#mode = openers[char];
    else if (char === '{' && braces >= 0) this.#templateBraces[braces] = (this.#templateBraces[braces] ?? 0) + 1;
    else if (char === '}' && braces >= 0) {
      const open = this.#templateBraces[braces] ?? 0;
      if (open === 0) {
        this.#templateBraces.pop();
        this.#mode = 'template';
        this.#blank(1, false);
        return;
      }
      this.#templateBraces[braces] = open - 1;
    }
    this.#at += 1;
  }

  #readComment(): void {
    if (this.#mode === 'line-comment' && this.#text[this.#at] === '\n') this.#mode = 'code';
    else if (this.#mode === 'block-comment' && this.#text.startsWith('*/', this.#at)) {
      this.#blank(2, true);
      this.#mode = 'code';
      return;
    }
    this.#blank(1, true);
  }

  #readLiteral(): void {
    const char = this.#text[this.#at] ?? '';
    if (char === '\\') return this.#blank(2, false);
    if (this.#mode === 'template' && this.#text.startsWith('${', this.#at)) {
      this.#templateBraces.push(0);
      this.#mode = 'code';
      return this.#blank(2, false);
    }
    if (this.#mode === 'regexp' && char === '[') this.#mode = 'regexp-class';
    else if (this.#mode === 'regexp-class' && char === ']') this.#mode = 'regexp';
    else if (char === closers[this.#mode] || (char === '\n' && this.#mode !== 'template')) {
      this.#mode = 'code';
      this.#at += 1;
      return;
    }
    this.#blank(1, false);
  }

  /** A slash starts a regular expression where a value may start, and divides where a value has just ended. */
  #regexpMayStart(): boolean {
    let i = this.#at - 1;
    while (i >= 0 && /\s/.test(this.#code[i] ?? '')) i -= 1;
    if (i < 0) return true;
    if (!/[\w$)\]}'"`]/.test(this.#code[i] ?? '')) return true;
    const before = this.#code.slice(Math.max(0, i - 9), i + 1).join('');
    return /(?:^|[^\w$.])(?:return|typeof|case|in|of|void|delete|throw|await|yield)$/.test(before);
  }

  #blank(count: number, isComment: boolean): void {
    for (const end = Math.min(this.#at + count, this.#text.length); this.#at < end; this.#at++) {
      if (this.#text[this.#at] === '\n') continue;
      this.#code[this.#at] = ' ';
      if (isComment) this.#withStrings[this.#at] = ' ';
    }
  }
}
