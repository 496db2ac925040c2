import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { isWellFormed, peerNumberMax } from '../../src/raft/message-check.ts';
import { contextsPerMessageMax } from '../../src/raft/read-forwards.ts';
import { noMembership } from '../../src/raft/membership.ts';
import type { Message } from '../../src/raft/types.ts';
import { learnerOf, membershipOf } from './memberships.ts';
import { ackFromB, appendFrom, coreWith, drain, emptyBase, entriesOf, fromB, makeLeader } from './single.ts';

const membership = membershipOf(['a', 'b'], { learners: [learnerOf('c')] });
const context = { member: 'b', boot: 1, counter: 1 };
const hash = '0123456789abcdef';

/** One good message of each kind. */
const good: readonly Message[] = [
  { kind: 'vote-request', ...fromB, term: 1, preVote: true, lastIndex: 0, lastTerm: 0 },
  { kind: 'vote-reply', ...fromB, term: 0, preVote: true, granted: false },
  { kind: 'vote-reply', ...fromB, term: 1, preVote: true, granted: true },
  { kind: 'vote-reply', ...fromB, term: 1, preVote: false, granted: true },
  appendFrom(1, emptyBase, entriesOf([1, 1])),
  ackFromB(1, 1),
  { ...ackFromB(3, 0), accepted: false, rejectedIndex: 5, hintIndex: 5, hintTerm: 3 } as Message,
  { kind: 'heartbeat', ...fromB, term: 1, commit: 0, round: 0 },
  { kind: 'heartbeat-reply', ...fromB, term: 0, round: 0 },
  { kind: 'snapshot', ...fromB, term: 2, snapshot: { index: 3, term: 2, hash }, membership },
  { kind: 'read-index', ...fromB, term: 1, contexts: [context] },
  { kind: 'read-index-reply', ...fromB, term: 1, contexts: [{ ...context, member: 'a' }], index: 3 },
  { kind: 'timeout-now', ...fromB, term: 1 },
  { kind: 'vote-request', ...fromB, term: 1, preVote: false, lastIndex: 0, lastTerm: 0, transfer: true },
];

/** Values that a decoder could let through, none of which any field may have. */
const nonsense = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, peerNumberMax + 1, '7', null, undefined, {}, 7n];

/** Every path to a field of a message, arrays by their first element. */
function pathsOf(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [[...path]];
  const fields = Object.entries(value).flatMap(([key, field]) => pathsOf(field, [...path, key]));
  return path.length === 0 ? fields : [[...path], ...fields];
}

function withField(value: unknown, path: readonly string[], field: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return field;
  if (Array.isArray(value))
    return value.map((item: unknown, at) => (`${at}` === key ? withField(item, rest, field) : item));
  // An earlier change may have replaced what the path leads through.
  if (typeof value !== 'object' || value === null) return value;
  const object = value as Record<string, unknown>;
  return { ...object, [key]: withField(object[key], rest, field) };
}

describe('isWellFormed', () => {
  it.each(good.map((message) => [message.kind, message] as const))('takes a good %s', (_kind, message) => {
    expect(isWellFormed(message)).toBe(true);
  });

  it('refuses nonsense in every field of every kind', () => {
    for (const message of good) {
      for (const path of pathsOf(message)) {
        const isName = ['from', 'to', 'member', 'id', 'peerAddress'].includes(path.at(-1) ?? '');
        for (const value of isName ? [...nonsense.filter((value) => value !== '7'), ''] : nonsense) {
          // Left out, it says that nobody has asked.
          if (path.at(-1) === 'transfer' && value === undefined) continue;
          const broken = withField(message, path, value) as Message;
          expect([path, value, isWellFormed(broken)]).toEqual([path, value, false]);
        }
      }
    }
  });

  it('takes numbers up to the bound and no further', () => {
    const reply = { kind: 'heartbeat-reply', ...fromB, term: 0, round: 0 } as const;
    expect(isWellFormed({ ...reply, round: peerNumberMax, term: peerNumberMax })).toBe(true);
    expect(isWellFormed({ ...reply, round: peerNumberMax + 1 })).toBe(false);
    expect(isWellFormed({ ...reply, term: peerNumberMax + 1 })).toBe(false);
  });

  it.each([
    ['entries with a gap', appendFrom(1, emptyBase, entriesOf([1, 1]).slice(1))],
    ['terms that fall', { ...appendFrom(3, emptyBase, entriesOf([2, 2])), entries: entriesOf([2, 2]).reverse() }],
    ['entries of a later term than the leader', appendFrom(1, emptyBase, entriesOf([2]))],
    ['a previous entry of a later term', appendFrom(1, { index: 1, term: 2, hash }, [])],
    ['an append of term 0', appendFrom(0, emptyBase, [])],
    [
      'a snapshot of a later term',
      { kind: 'snapshot', ...fromB, term: 1, snapshot: { index: 3, term: 2, hash }, membership },
    ],
    ['a hint above the refused entry', { ...ackFromB(1, 0), accepted: false, rejectedIndex: 1, hintIndex: 2 }],
    ['a candidate whose log is of its own future', { ...good[0], lastTerm: 1 }],
    ['a read of another member', { ...good[10], contexts: [{ ...context, member: 'c' }] }],
    ['a read of another boot', { ...good[10], contexts: [{ ...context, boot: 2 }] }],
    ['an answer to a read of another member', { ...good[11], contexts: [context] }],
    ['a pre-vote that was asked for', { ...good[0], transfer: true }],
    ['a hand-over of term 0', { ...good[12], term: 0 }],
    ['a snapshot of a cluster without voters', { ...good[9], membership: noMembership }],
    ['a snapshot of what is no membership', { ...good[9], membership: { ...membership, removedIds: ['a'] } }],
    ['no reads', { ...good[10], contexts: [] }],
    ['too many reads', { ...good[10], contexts: Array.from({ length: contextsPerMessageMax + 1 }, () => context) }],
    ['an unknown kind', { ...good[7], kind: 'gossip' }],
  ])('refuses %s', (_what, message) => {
    expect(isWellFormed(message as Message)).toBe(false);
  });
});

describe('a core', () => {
  it('drops and counts what is malformed, from a stranger, for another member or from itself', () => {
    const core = coreWith();
    const heartbeat = { kind: 'heartbeat', ...fromB, term: 5, commit: 0, round: 0 } as const;
    core.step({ ...heartbeat, commit: -1 });
    // Who leads may be a member that this one has yet to hear of; what a stranger answers is of no account.
    core.step({ kind: 'heartbeat-reply', ...fromB, from: 'stranger', term: 5, round: 0 });
    core.step({ ...heartbeat, from: 'a' });
    core.step({ ...heartbeat, to: 'b' });
    expect(core.status()).toMatchObject({
      term: 0,
      dropped: { malformed: 1, 'unknown-member': 2, 'not-addressed': 1 },
    });
    expect(drain(core)).toEqual([]);
  });

  it('drops acknowledgements and refusals of entries that were never sent', () => {
    const core = coreWith();
    makeLeader(core);
    drain(core);
    core.step(ackFromB(1, 2));
    core.step({ ...ackFromB(1, 0), accepted: false, rejectedIndex: 2 } as Message);
    expect(core.status()).toMatchObject({ commit: 0, dropped: { malformed: 2 } });
  });

  it('survives any message that is not a breach of the hash, in any role', () => {
    const field = fc.oneof(fc.nat(6), fc.nat(6), fc.boolean(), fc.constantFrom<unknown>(...nonsense));
    const message = fc
      .tuple(fc.constantFrom(...good), fc.array(fc.tuple(fc.nat(40), field), { maxLength: 3 }), fc.nat(3))
      .map(([base, changes, term]) => {
        const terms = base.kind === 'append' ? base : { ...base, term };
        return changes.reduce<unknown>((changed, [at, value]) => {
          const paths = pathsOf(base);
          return withField(changed, paths[at % paths.length] ?? [], value);
        }, terms) as Message;
      });
    const act = fc.oneof({ weight: 4, arbitrary: message }, { weight: 1, arbitrary: fc.constant('tick' as const) });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const core = coreWith([1, 1]);
        for (const step of acts) {
          if (step === 'tick') for (let tick = 0; tick < 7; tick++) core.tick();
          else {
            try {
              core.step(step);
            } catch (error) {
              // What contradicts the log is a breach, and the only thing that may stop a core.
              expect(error).toBeInstanceOf(InvariantError);
              expect((error as Error).message).toMatch(/hash|committed entry|would replace entry/);
              return;
            }
          }
          drain(core);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
