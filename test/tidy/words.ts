import { isGenerated } from './project.ts';
import { lineOf } from './source-text.ts';

/** Text that must not be in the repository, and why. Written so that no pattern finds itself. */
type BannedWord = { readonly pattern: RegExp; readonly reason: string };

const bannedWords: readonly BannedWord[] = [
  { pattern: /\b(?:TO[D]O|FIX[M]E|X[X]X)\b/g, reason: 'finish it, or leave it out and say so in docs/' },
  { pattern: /@ts-(?:ig[n]ore|noch[e]ck)\b/g, reason: 'make the types true' },
  {
    pattern: /(?:es|ox)lint-dis[a]ble(?!-next-line [\w/-]+ -- \S)/g,
    reason: 'obey the rule, or disable it for one line and say why',
  },
  { pattern: /(?<![\w.-])\/(?:wo[r]k|ro[o]t)\//g, reason: 'a path of one machine' },
  {
    pattern: /\bhttps?:\/\/[^\s/"']*(?:npm[j]s|reg[i]stry|artifact[o]ry|nex[u]s|verdacc[i]o)[^\s/"']*/g,
    reason: 'the address of a package registry is a setting of the machine',
  },
];

// The licence's text is not ours, and binary or recorded data is no prose.
const exempt = /^(?:LICENSE|test\/golden\/|test\/.*\/testdata\/)|\.(?:png|bin|svg)$/;

/** Complaints about words in any file that people wrote. */
export function bannedWordsIn(path: string, text: string): string[] {
  if (exempt.test(path) || isGenerated(path)) return [];
  return bannedWords.flatMap(({ pattern, reason }) =>
    [...text.matchAll(pattern)].map((match) => `${path}:${lineOf(text, match.index)}: "${match[0]}": ${reason}`),
  );
}

/** Complaints about a package-lock.json that knows where its packages were fetched. */
export function lockfileHosts(text: string): string[] {
  return [...text.matchAll(/"resolved":\s*"[^"]*"/g)].map(
    (match) =>
      `package-lock.json:${lineOf(text, match.index)}: ${match[0]}: install with omit-lockfile-registry-resolved`,
  );
}
