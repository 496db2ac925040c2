// Reads and applies unified diffs, with more care than patch(1): a hunk goes where its lines stand, and only if they
// stand in one place.

interface Hunk {
  /** Line of the old file, from 1, where the hunk says that it begins; only told in complaints. */
  readonly line: number;
  readonly before: readonly string[];
  readonly after: readonly string[];
}

interface FilePatch {
  /** From the root of the repository. */
  readonly path: string;
  readonly hunks: readonly Hunk[];
}

export interface UnifiedDiff {
  /** Whatever stands before the first file. */
  readonly head: string;
  readonly files: readonly FilePatch[];
  readonly linesRemoved: number;
  readonly linesAdded: number;
}

/** Reads a diff of existing files, each named as `a/PATH` and `b/PATH`. Throws an Error that begins with `name`. */
export function parseDiff(name: string, text: string): UnifiedDiff {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const first = lines.findIndex((line) => line.startsWith('--- '));
  if (first === -1) throw new Error(`${name}: no file is named`);
  const files: FilePatch[] = [];
  const counts = { removed: 0, added: 0 };
  let at = first;
  while (at < lines.length) {
    const path = /^--- a\/(\S+)$/.exec(lines[at] ?? '')?.[1];
    if (path === undefined || lines[at + 1] !== `+++ b/${path}`) {
      throw new Error(`${name}: line ${at + 1} is not the head of an existing file`);
    }
    at += 2;
    const hunks: Hunk[] = [];
    while (lines[at]?.startsWith('@@ ')) {
      const read = readHunk(name, lines, at, counts);
      hunks.push(read.hunk);
      at = read.next;
    }
    if (hunks.length === 0) throw new Error(`${name}: ${path} has no hunk`);
    files.push({ path, hunks });
  }
  return {
    head: lines.slice(0, first).join('\n').trim(),
    files,
    linesRemoved: counts.removed,
    linesAdded: counts.added,
  };
}

function readHunk(
  name: string,
  lines: readonly string[],
  start: number,
  counts: { removed: number; added: number },
): { readonly hunk: Hunk; readonly next: number } {
  const head = /^@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@/.exec(lines[start] ?? '');
  if (head === null) throw new Error(`${name}: line ${start + 1} is not the head of a hunk`);
  const linesBefore = Number(head[2] ?? 1);
  const linesAfter = Number(head[3] ?? 1);
  const before: string[] = [];
  const after: string[] = [];
  let at = start + 1;
  for (; before.length < linesBefore || after.length < linesAfter; at++) {
    const line = lines[at];
    if (line === undefined) throw new Error(`${name}: the hunk of line ${start + 1} is cut short`);
    const content = line.slice(1);
    const sign = line === '' ? ' ' : line[0];
    if (sign !== ' ' && sign !== '-' && sign !== '+') throw new Error(`${name}: line ${at + 1} is not of a hunk`);
    if (sign !== '+') before.push(content);
    if (sign !== '-') after.push(content);
    if (sign === '+') counts.added += 1;
    if (sign === '-') counts.removed += 1;
  }
  if (before.length !== linesBefore || after.length !== linesAfter) {
    throw new Error(`${name}: the hunk of line ${start + 1} does not hold as many lines as it says`);
  }
  return { hunk: { line: Number(head[1]), before, after }, next: at };
}

/**
 * The new text of each file that the diff changes. Each hunk must fit in exactly one place, to the letter, wherever the
 * lines above have moved it; one that fits nowhere, or in two places, is an Error that begins with `name`.
 */
export function applyDiff(
  name: string,
  diff: UnifiedDiff,
  read: (path: string) => string | undefined,
): Map<string, string> {
  const changed = new Map<string, string>();
  for (const { path, hunks } of diff.files) {
    const text = changed.get(path) ?? read(path);
    if (text === undefined) throw new Error(`${name}: there is no ${path}`);
    const lines = text.split('\n');
    // What a hunk has put in is no place for the next one.
    let from = 0;
    for (const hunk of hunks) {
      const places = placesOf(hunk.before, lines);
      const place = places[0];
      const where = `${name}: the hunk of ${path} line ${hunk.line}`;
      if (place === undefined) throw new Error(`${where} no longer applies`);
      if (places.length > 1) {
        throw new Error(`${where} fits at lines ${places.map((line) => line + 1).join(', ')}; give it more context`);
      }
      if (place < from) throw new Error(`${where} lies above the hunk before it`);
      lines.splice(place, hunk.before.length, ...hunk.after);
      from = place + hunk.after.length;
    }
    changed.set(path, lines.join('\n'));
  }
  return changed;
}

function placesOf(wanted: readonly string[], lines: readonly string[]): number[] {
  const places: number[] = [];
  for (let start = 0; start + wanted.length <= lines.length; start++) {
    if (wanted.every((line, i) => lines[start + i] === line)) places.push(start);
  }
  return places;
}
