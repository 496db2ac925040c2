import { must } from '../../src/base/assert.ts';
import type { Floors } from './floors.ts';
import { isBelowTheEdge } from './floors.ts';
import { importsOf, sourceFolder } from './project.ts';
import type { SourceFile } from './source-text.ts';
import { lineOf } from './source-text.ts';

/** What may not be written in some files, and what to write instead. */
type Ban = { readonly pattern: RegExp; readonly instead: string };

/** The same for imports. */
type ImportBan = { readonly specifier: RegExp; readonly instead: string };

const clock = 'take a Clock (src/base/clock.ts)';
const random = 'take a Random (src/base/random.ts)';
const setting = 'take the value as an argument; configuration is read in src/server';

const everywhere: readonly Ban[] = [
  { pattern: /\bconsole\s*\./g, instead: 'take a logger; src/cli prints with process.stdout.write' },
  { pattern: /\bas any\b/g, instead: 'narrow from unknown' },
  { pattern: /\bexport\s+\*/g, instead: 'export names where they are defined; no barrel files' },
];

/** Floors 0 to 4 and `client`, save src/base/system-*.ts. */
const belowTheEdge: readonly Ban[] = [
  { pattern: /\bDate\s*\.\s*now\b/g, instead: `${clock}: wallMs()` },
  { pattern: /\bnew\s+Date\s*(?:\(\s*\)|(?!\s*\())/g, instead: `${clock}: wallMs()` },
  { pattern: /(?<!\bnew\s+)\bDate\s*\(/g, instead: `${clock}: wallMs()` },
  { pattern: /\bperformance\s*\./g, instead: `${clock}: monotonicMs()` },
  { pattern: /\b(?:setTimeout|setInterval)\b/g, instead: `${clock}: setTimer()` },
  { pattern: /\bsetImmediate\b/g, instead: `${clock}: nextTurn()` },
  { pattern: /\bMath\s*\.\s*random\b/g, instead: `${random}: below()` },
  {
    pattern: /\b(?:randomBytes|randomUUID|randomInt|randomFill|randomFillSync|getRandomValues)\b/g,
    instead: `${random}: bytes()`,
  },
  { pattern: /\bprocess\s*[.[]/g, instead: 'go through src/base/system-*.ts, or take the value as an argument' },
];

/** `raft` and `state-machine`: the same input must give the same output on every member and at every time. */
const pure: readonly Ban[] = [
  { pattern: /\b(?:async|await|Promise|queueMicrotask)\b/g, instead: 'return what the host is to do' },
  { pattern: /\bDate\b/g, instead: 'take time from ticks or from the command' },
  { pattern: /\bIntl\b|\.\s*toLocale\w*|\.\s*localeCompare\b/g, instead: 'compare by code unit or by byte' },
  {
    pattern: /\.\s*(?:toLowerCase|toUpperCase|normalize)\b/g,
    instead: 'compare bytes; Unicode tables differ by version',
  },
  { pattern: /\b(?:globalThis|WeakRef|FinalizationRegistry)\b/g, instead: 'keep state in fields of the object' },
];

const noMath: Ban = { pattern: /\bMath\b/g, instead: 'use integers and comparisons; results of Math may differ' };
const littleMath: Ban = {
  pattern: /\bMath\s*\.\s*(?!(?:abs|ceil|floor|imul|max|min|trunc)\b)\w+/g,
  instead: 'use integers, or what the language defines to the last bit: abs, ceil, floor, imul, max, min, trunc',
};

const outsideTheRoot: readonly Ban[] = [{ pattern: /\bprocess\s*\.\s*(?:env|argv)\b/g, instead: setting }];

const pureImports: readonly ImportBan[] = [{ specifier: /^(?!\.)/, instead: 'import from src/base only' }];

const belowTheEdgeImports: readonly ImportBan[] = [
  { specifier: /^(?:node:)?(?:timers|perf_hooks)(?:\/|$)/, instead: clock },
  { specifier: /^(?:node:)?process$/, instead: 'go through src/base/system-*.ts' },
];

const frontImports: readonly ImportBan[] = [
  { specifier: /^(?:node:)?https?2?$/, instead: 'HTTP belongs to src/http' },
  { specifier: /^@grpc\//, instead: 'gRPC belongs to src/grpc, src/transport and src/client' },
];

const grpcFolders: ReadonlySet<string> = new Set(['transport', 'client']);

/** Complaints about calls and imports that a file of its folder must not contain, each with what to write instead. */
export function bannedCalls(files: readonly SourceFile[], floors: Floors): string[] {
  return files.flatMap((file) => [
    ...bansFor(file.path, floors).flatMap((ban) => breaches(file, ban)),
    ...importBreaches(file, importBansFor(file.path, floors)),
  ]);
}

function bansFor(path: string, floors: Floors): Ban[] {
  const folder = sourceFolder(path);
  // Tests and scripts may print and wait for real time; what they may not write is the same as everywhere.
  if (folder === undefined) return everywhere.filter(({ pattern }) => !pattern.source.includes('console'));
  const bans = [...everywhere];
  if (isSystemAccess(path)) return bans;
  if (isBelowTheEdge(floors, folder)) bans.push(...belowTheEdge);
  if (folder === 'raft') bans.push(...pure, littleMath);
  if (folder === 'state-machine') bans.push(...pure, noMath);
  if (!['server', 'cli'].includes(folder) && !isBelowTheEdge(floors, folder)) bans.push(...outsideTheRoot);
  return bans;
}

function importBansFor(path: string, floors: Floors): ImportBan[] {
  const folder = sourceFolder(path);
  if (folder === undefined || isSystemAccess(path)) return [];
  const bans: ImportBan[] = [];
  if (folder === 'raft' || folder === 'state-machine') bans.push(...pureImports);
  if (isBelowTheEdge(floors, folder)) bans.push(...belowTheEdgeImports);
  if (isBelowTheEdge(floors, folder) && !grpcFolders.has(folder)) bans.push(...frontImports);
  return bans;
}

function isSystemAccess(path: string): boolean {
  return /^src\/base\/system-[\w-]+\.ts$/.test(path);
}

function breaches(file: SourceFile, { pattern, instead }: Ban): string[] {
  return [...file.code.matchAll(pattern)].map((match) => {
    const found = must(match[0], 'match').trim();
    return `${file.path}:${lineOf(file.text, match.index)}: "${found}" is banned here; ${instead}`;
  });
}

function importBreaches(file: SourceFile, bans: readonly ImportBan[]): string[] {
  return importsOf(file).flatMap(({ specifier, line }) =>
    bans
      .filter((ban) => ban.specifier.test(specifier))
      .map(({ instead }) => `${file.path}:${line}: import of "${specifier}" is banned here; ${instead}`),
  );
}
