import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import type { Membership } from '../../src/raft/membership.ts';
import { MembershipLog } from '../../src/raft/membership-log.ts';
import { encodeFeatureLevel, encodeMembership } from '../../src/raft/system-entries.ts';
import type { Entry } from '../../src/raft/types.ts';
import { membershipOf } from './memberships.ts';
import { bytesOf } from './network.ts';

const hash = '0'.repeat(16);
const entry = (index: number, data: Uint8Array): Entry => ({ index, term: 1, hash, data });
const saying = (index: number, voters: string): Entry => entry(index, encodeMembership(membershipOf(voters.split(''))));
const votersOf = (membership: Membership): string => membership.voters.map(({ id }) => id).join('');

type Act =
  | { readonly kind: 'append' | 'say'; readonly voters: string }
  | { readonly kind: 'cut' | 'compact'; readonly back: number };

const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ kind: fc.constantFrom('append' as const, 'say' as const), voters: fc.constantFrom('a', 'ab', 'abc') }),
  fc.record({ kind: fc.constantFrom('cut' as const, 'compact' as const), back: fc.nat(4) }),
);

describe('MembershipLog', () => {
  it('says what a list of entries says that is looked through from its end', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
        const log = new MembershipLog(0, membershipOf(['z']), []);
        // Place 0 is the base; '' where an entry says nothing.
        let dumb = ['z'];
        let base = 0;
        for (const each of acts) {
          if ('voters' in each) {
            const index = base + dumb.length;
            log.append([each.kind === 'say' ? saying(index, each.voters) : entry(index, bytesOf('x'))]);
            dumb.push(each.kind === 'say' ? each.voters : '');
          } else if (each.kind === 'cut') {
            dumb = dumb.slice(0, Math.max(1, dumb.length - each.back));
            log.cutTo(base + dumb.length - 1);
          } else {
            const gone = Math.max(0, dumb.length - 1 - each.back);
            const said = dumb.slice(0, gone + 1).filter((voters) => voters !== '');
            dumb = [said.at(-1) ?? '', ...dumb.slice(gone + 1)];
            base += gone;
            log.compactTo(base);
          }
          for (let at = 0; at < dumb.length; at++) {
            const expected = dumb.slice(0, at + 1).findLast((voters) => voters !== '');
            expect(votersOf(log.at(base + at))).toBe(expected);
          }
          expect(votersOf(log.inForce)).toBe(dumb.findLast((voters) => voters !== ''));
          expect(log.index).toBeLessThanOrEqual(base + dumb.length - 1);
        }
      }),
    );
  });

  it('finds the memberships of the log that it begins with', () => {
    const log = new MembershipLog(4, membershipOf(['a']), [saying(5, 'ab'), entry(6, bytesOf('x')), saying(7, 'abc')]);
    expect([4, 5, 6, 7, 8].map((index) => votersOf(log.at(index)))).toEqual(['a', 'ab', 'ab', 'abc', 'abc']);
    expect([log.index, votersOf(log.inForce)]).toEqual([7, 'abc']);
    log.restartAt(20, membershipOf(['b']));
    expect([log.index, votersOf(log.at(20)), votersOf(log.inForce)]).toEqual([20, 'b', 'b']);
  });

  it('passes over feature levels and halts at what it does not know', () => {
    const log = new MembershipLog(0, membershipOf(['a']), []);
    log.append([entry(1, encodeFeatureLevel(2)), entry(2, new Uint8Array(0))]);
    expect(votersOf(log.inForce)).toBe('a');
    expect(() => log.append([entry(3, Uint8Array.of(0xf2, 1))])).toThrow(/entry 3 is a system entry of kind 242/);
    expect(() => log.append([entry(3, Uint8Array.of(0xf0, 9))])).toThrow(InvariantError);
  });

  it('takes no membership in front of one', () => {
    const log = new MembershipLog(5, membershipOf(['a']), []);
    expect(() => log.append([saying(5, 'ab')])).toThrow(InvariantError);
  });
});
