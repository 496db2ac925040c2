import { RaftCore } from '../../../src/raft/raft-core.ts';
import { noBudget, readBudget } from './budget.ts';
import type { Budget } from './budget.ts';
import { messageKey } from './cluster.ts';
import { loadGlass } from './glass-core.ts';
import { followPlans, followText, plansOf, shrink } from './path.ts';
import { ScriptBreach } from './script.ts';
import type { Followed } from './path.ts';
import { Search } from './search.ts';
import type { SearchResult } from './search.ts';
import { setUp, situations } from './situations.ts';
import type { Situation } from './situations.ts';
import { Walk } from './walk.ts';
import type { WalkResult } from './walk.ts';

/** One piece of work, for one process. */
export type Job =
  | { readonly kind: 'complete'; readonly name: string; readonly budget: Budget; readonly statesMax: number }
  | { readonly kind: 'situation'; readonly name: string; readonly statesMax: number; readonly budget?: string }
  | { readonly kind: 'walk'; readonly name: string; readonly seed: number; readonly steps: number };

export interface JobResult {
  readonly name: string;
  readonly kind: Job['kind'];
  /** States, or steps of walks. */
  readonly count: number;
  readonly transitions: number;
  readonly depth: number;
  readonly complete: boolean;
  /** What else was counted, in words. */
  readonly notes: string;
  readonly ms: number;
  readonly breach?: FoundBreach;
}

export interface FoundBreach {
  readonly what: string;
  /** Replays it (`--replay`). */
  readonly text: string;
  readonly story: readonly string[];
}

export interface JobHost {
  readonly nowMs: () => number;
  readonly progress: (line: string) => void;
  /** The job ends, with what was done, once this time is reached. */
  readonly untilMs: number;
  /** Paths of each search that are followed on the untouched core; default 200. */
  readonly comparedPaths?: number;
}

/** Searches that are run to the end: three members never started before, one term, one entry at most. */
export const completeBudgets: Readonly<Record<string, Budget>> = {
  'one-election-one-entry': { ...noBudget, campaigns: 1, proposals: 1 },
  'with-a-repeated-message': { ...noBudget, campaigns: 1, proposals: 1, repeats: 1 },
  'with-a-crash': { ...noBudget, campaigns: 1, proposals: 1, crashes: 1 },
  'with-a-heartbeat': { ...noBudget, campaigns: 1, proposals: 1, beats: 1 },
  'rival-campaigns': { ...noBudget, campaigns: 2 },
};

/** Paths that are followed on the untouched core after each search, to see that the tables tell the truth. */
const comparedPathsDefault = 200;
const progressEveryMs = 10_000;

export async function runJob(job: Job, host: JobHost): Promise<JobResult> {
  const startMs = host.nowMs();
  try {
    return job.kind === 'walk' ? runWalk(job, host, startMs) : await runSearch(job, host, startMs);
  } catch (error) {
    if (!(error instanceof ScriptBreach)) throw error;
    const { story } = followText(RaftCore, error.text);
    const { name, kind } = job;
    const breach = { what: error.what, text: error.text, story };
    const ms = host.nowMs() - startMs;
    return { name, kind, count: 0, transitions: 0, depth: 0, complete: false, notes: 'on the way there', ms, breach };
  }
}

async function runSearch(job: Exclude<Job, { kind: 'walk' }>, host: JobHost, startMs: number): Promise<JobResult> {
  const situation = job.kind === 'complete' ? startOf(job) : situationNamed(job.name);
  const budget =
    job.kind === 'situation' && job.budget !== undefined ? readBudget(job.budget, noBudget) : situation.budget;
  const glass = await loadGlass();
  const script = setUp(glass.Core, situation);
  const every = paced(host);
  const search = new Search(script.cluster, {
    budget,
    termMax: job.kind === 'complete' ? 1 : Number.POSITIVE_INFINITY,
    statesMax: job.statesMax,
    mustStop: (result) => every(() => `${job.name}: ${result.states} states, depth ${result.depth}`),
  });
  const result = search.run();
  const ms = host.nowMs() - startMs;
  const compared =
    result.breach === undefined
      ? comparePaths(search, result, host.comparedPaths ?? comparedPathsDefault, situation, script.words)
      : 0;
  const breach = result.breach === undefined ? undefined : searchBreach(result.breach, situation, script.words);
  return {
    name: job.name,
    kind: job.kind,
    count: result.states,
    transitions: result.transitions,
    depth: result.depth,
    complete: result.complete,
    notes: `${result.localStates} member states, ${result.coreRuns} runs of the core, ${compared} paths compared`,
    ms,
    ...(breach === undefined ? {} : { breach }),
  };
}

function startOf(job: Extract<Job, { kind: 'complete' }>): Situation {
  return { name: job.name, about: 'never started before', members: 3, script: () => {}, budget: job.budget };
}

function situationNamed(name: string): Situation {
  const situation = situations.find((some) => some.name === name);
  if (situation === undefined) throw new Error(`no situation ${name}; --list names them`);
  return situation;
}

/** The last states found and others from all over the search; throws where the untouched core ends elsewhere. */
function comparePaths(
  search: Search,
  result: SearchResult,
  count: number,
  situation: Situation,
  words: string,
): number {
  if (count === 0) return 0;
  const stride = Math.max(1, Math.floor(result.states / count));
  let compared = 0;
  for (let state = result.states - 1; state >= 0; state -= stride) {
    const path = search.pathOf(state);
    const { cluster, story, breach, text } = followPlans(RaftCore, situation.members, plansOf(path), words);
    const real = JSON.stringify([cluster.views, cluster.wire.map(messageKey).sort()]);
    const end = search.endOf(path);
    if (breach !== undefined || real !== JSON.stringify([end.views, end.wire])) {
      throw new Error(`the tables lead elsewhere than the core: ${text}\n${story.join('\n')}`);
    }
    compared += 1;
  }
  return compared;
}

function searchBreach(found: NonNullable<SearchResult['breach']>, situation: Situation, words: string): FoundBreach {
  const followed = followPlans(RaftCore, situation.members, plansOf(found.path), words);
  return breachOf(found.what, followed);
}

function breachOf(what: string, followed: Followed): FoundBreach {
  const confirmed = followed.breach ?? `${what} (and the untouched core does not do that: a fault of the explorer)`;
  return { what: confirmed, text: followed.text, story: followed.story };
}

function runWalk(job: Extract<Job, { kind: 'walk' }>, host: JobHost, startMs: number): JobResult {
  const every = paced(host);
  const walk = new Walk(RaftCore, {
    seed: job.seed,
    steps: job.steps,
    mustStop: (result) => every(() => `${job.name}: ${result.steps} steps, ${result.lives} lives`),
  });
  const result = walk.run();
  const { breach } = result;
  const found = breach === undefined ? undefined : walkBreach(breach);
  return {
    name: job.name,
    kind: job.kind,
    count: result.steps,
    transitions: result.steps,
    depth: 0,
    complete: false,
    notes: walkNotes(result),
    ms: host.nowMs() - startMs,
    ...(found === undefined ? {} : { breach: found }),
  };
}

function walkBreach(breach: NonNullable<WalkResult['breach']>): FoundBreach {
  const whole = followPlans(RaftCore, breach.members, breach.plans);
  return breachOf(breach.what, whole.breach === undefined ? whole : shrink(RaftCore, breach.members, whole));
}

function walkNotes({ lives, elections, commits, reads, crashes, snapshots, changes }: WalkResult): string {
  const faults = `${crashes} crashes, ${snapshots} snapshots, ${changes} changes asked for`;
  return `${lives} lives, ${elections} elections, ${commits} commits, ${reads} reads, ${faults}`;
}

/** Tells progress now and then; true once the time is over. */
function paced(host: JobHost): (line: () => string) => boolean {
  let nextMs = host.nowMs() + progressEveryMs;
  return (line) => {
    const nowMs = host.nowMs();
    if (nowMs >= nextMs) {
      nextMs = nowMs + progressEveryMs;
      host.progress(line());
    }
    return nowMs >= host.untilMs;
  };
}
