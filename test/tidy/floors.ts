import { assert, must } from '../../src/base/assert.ts';
import type { SourceFile } from './source-text.ts';
import { importsOf, sourceFolder } from './project.ts';

/** Who may import whom, as docs/ARCHITECTURE.md says. */
export type Floors = {
  /** The floor of each folder of src/; 'side' for those that stand beside the floors. */
  readonly floorOf: ReadonlyMap<string, number | 'side'>;
  /** What a folder may import besides lower floors; for one at the side, all that it may import. */
  readonly named: ReadonlyMap<string, ReadonlySet<string>>;
};

const tableHeader = '| floor | folder | may import |';

/** Reads the table that begins with `| floor | folder | may import |`; throws when it is not there or malformed. */
export function readFloors(markdown: string): Floors {
  const lines = markdown.split('\n');
  const start = lines.findIndex((line) => line.startsWith(tableHeader));
  assert(start !== -1, `docs/ARCHITECTURE.md has no table that begins with "${tableHeader}"`);
  const floorOf = new Map<string, number | 'side'>();
  const named = new Map<string, ReadonlySet<string>>();
  for (let i = start + 2; lines[i]?.startsWith('|') === true; i++) {
    const [, floor = '', folderCell = '', importCell = ''] = must(lines[i], 'row').split('|');
    const folder = must(quotedNames(folderCell)[0], `folder in row ${i + 1}`);
    assert(/^(?:\d+|side)$/.test(floor.trim()), `floor of ${folder} is "${floor.trim()}", expected a number or "side"`);
    floorOf.set(folder, floor.trim() === 'side' ? 'side' : Number(floor));
    named.set(folder, new Set(quotedNames(importCell)));
  }
  assert(floorOf.size > 0, 'the table of floors is empty');
  return { floorOf, named };
}

/** True for the folders that must take time, randomness and process state from `src/base/system-*.ts`. */
export function isBelowTheEdge(floors: Floors, folder: string): boolean {
  const floor = floors.floorOf.get(folder);
  return folder === 'client' || (typeof floor === 'number' && floor <= 4);
}

/** Complaints about imports that go up, sideways, or out of src/. */
export function floorBreaches(files: readonly SourceFile[], floors: Floors): string[] {
  return files.flatMap((file) => {
    const from = sourceFolder(file.path);
    if (!file.path.startsWith('src/')) return [];
    if (from === undefined || !floors.floorOf.has(from)) {
      return [`${file.path}: its folder has no row in the table of floors of docs/ARCHITECTURE.md`];
    }
    return importsOf(file).flatMap(({ target, specifier, line }) => {
      if (target === undefined) return [];
      const where = `${file.path}:${line}: imports ${specifier}`;
      const to = sourceFolder(target);
      // The package says its own version; that is data, not code.
      if (specifier.endsWith('/package.json')) return [];
      if (to === undefined) return [`${where}, which is outside src/`];
      return to === from || mayImport(floors, from, to) ? [] : [`${where}, but ${from} may not import ${to}`];
    });
  });
}

function mayImport(floors: Floors, from: string, to: string): boolean {
  if (floors.named.get(from)?.has(to) === true) return true;
  const fromFloor = floors.floorOf.get(from);
  const toFloor = floors.floorOf.get(to);
  return typeof fromFloor === 'number' && typeof toFloor === 'number' && toFloor < fromFloor;
}

function quotedNames(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => must(match[1], 'quoted name'));
}
