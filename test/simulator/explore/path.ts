import type { RaftCore } from '../../../src/raft/raft-core.ts';
import type { MemberId } from '../../../src/raft/types.ts';
import { Cluster, messageKey } from './cluster.ts';
import type { Move, Step } from './cluster.ts';
import { moveWord, readMove } from './path-text.ts';
import type { PathMove } from './search.ts';
import { storyLine } from './story.ts';

/** A move by what it says and not by places, so that it can be tried in another order of events. */
export type Plan =
  | { readonly move: Extract<Move, { kind: 'at' }> }
  | { readonly key: string; readonly way: 'd' | 'r' | 'l' };

/** What following a path came to. */
export interface Followed {
  /** Members and words, the text that replays it. */
  readonly text: string;
  readonly story: readonly string[];
  readonly made: readonly Plan[];
  /** As it is at the end. */
  readonly cluster: Cluster;
  readonly breach?: string;
}

/** Follows words of path-text.ts, a number of members before them, on the given core. Ends at the first breach. */
export function followText(Core: typeof RaftCore, text: string): Followed {
  const [count, ...words] = text.trim().split(/\s+/);
  const follower = new Follower(Core, Number(count));
  for (const word of words) {
    follower.make(readMove(follower.cluster, word));
    if (follower.breach !== undefined) break;
  }
  return follower.result();
}

/** Follows plans after a text that leads to their start. Plans that make no sense any more are left out. */
export function followPlans(Core: typeof RaftCore, members: number, plans: readonly Plan[], before = ''): Followed {
  const follower = new Follower(Core, members);
  for (const word of before.split(' ')) if (word !== '') follower.make(readMove(follower.cluster, word));
  for (const plan of plans) {
    const move = follower.moveOf(plan);
    if (move === undefined) continue;
    follower.make(move);
    if (follower.breach !== undefined) break;
  }
  return follower.result();
}

/** A path of the search as plans. */
export function plansOf(path: readonly PathMove[]): Plan[] {
  return path.map(({ member, input, keeps }): Plan => {
    if (input.kind === 'deliver') return { key: messageKey(input.message), way: keeps ? 'r' : 'd' };
    return { move: { kind: 'at', member, input } };
  });
}

/** A move as a plan. */
export function planOf(move: Move): Plan {
  if (move.kind === 'at') return { move };
  if (move.kind === 'lose') return { key: messageKey(move.message), way: 'l' };
  return { key: messageKey(move.message), way: move.keeps ? 'r' : 'd' };
}

/**
 * Leaves out of a failing path what is not needed for a breach of the same invariant: halves, then smaller parts, as
 * long as that helps and `attemptsMax` allows.
 */
export function shrink(Core: typeof RaftCore, members: number, failing: Followed, attemptsMax = 800): Followed {
  const invariant = invariantOf(failing.breach);
  let best = failing;
  let attempts = 0;
  for (let part = Math.ceil(best.made.length / 2); part >= 1; part = part === 1 ? 0 : Math.ceil(part / 2)) {
    for (let from = 0; from < best.made.length && attempts < attemptsMax; attempts++) {
      const fewer = [...best.made.slice(0, from), ...best.made.slice(from + part)];
      const tried = followPlans(Core, members, fewer);
      if (
        tried.breach !== undefined &&
        invariantOf(tried.breach) === invariant &&
        tried.made.length < best.made.length
      ) {
        best = tried;
      } else from += part;
    }
  }
  return best;
}

/** `a: I6: ...` and `I6: ...` name I6; a core that stopped itself is one kind. */
function invariantOf(breach: string | undefined): string {
  return /I\d+|reads|stopped itself/.exec(breach ?? '')?.[0] ?? '';
}

class Follower {
  readonly cluster: Cluster;
  breach: string | undefined;
  readonly #words: string[] = [];
  readonly #story: string[] = [];
  readonly #made: Plan[] = [];

  constructor(Core: typeof RaftCore, members: number) {
    this.cluster = new Cluster(Core, members);
  }

  make(move: Move): void {
    const { cluster } = this;
    const at = cluster.ids.indexOf(subjectOf(move));
    const word = moveWord(cluster, move);
    this.#words.push(word);
    this.#made.push(planOf(move));
    const before = cluster.views[at];
    const step: Step = cluster.make(move);
    const number = String(this.#words.length).padStart(4);
    this.#story.push(`${number}. ${word.padEnd(5)} ${storyLine(move, before, cluster.views[at], step)}`);
    if (step.breach === undefined) return;
    this.breach = step.breach;
    this.#story.push(`      BREACH ${step.breach}`);
  }

  /** Undefined when its message is not on the wire. */
  moveOf(plan: Plan): Move | undefined {
    if ('move' in plan) return plan.move;
    const message = this.cluster.wire.find((some) => messageKey(some) === plan.key);
    if (message === undefined) return undefined;
    return plan.way === 'l' ? { kind: 'lose', message } : { kind: 'deliver', message, keeps: plan.way === 'r' };
  }

  result(): Followed {
    const text = `${this.cluster.ids.length} ${this.#words.join(' ')}`;
    const found = this.breach === undefined ? {} : { breach: this.breach };
    return { text, story: this.#story, made: this.#made, cluster: this.cluster, ...found };
  }
}

function subjectOf(move: Move): MemberId {
  return move.kind === 'at' ? move.member : move.message.to;
}
