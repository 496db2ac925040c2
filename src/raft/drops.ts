/**
 * Why a message was not taken. `malformed`: a field cannot be true. `unknown-member`: an answer of no member, or of
 * whom it cannot come.
 * `not-addressed`: for another member. `old-boot`: from an earlier life of the sender. `other-boot`: to an earlier
 * life of this member. `stale-term`: an answer or request of a term that is over. `leader-alive`: a vote request
 * while a leader is heard. `unexpected`: this role has no use for it. `two-leaders`: a second leader of one term,
 * which must not exist. `outbox-full`: an own message, while the disk keeps too many others back.
 */
export type DropReason = (typeof dropReasons)[number];

export const dropReasons = [
  'malformed',
  'unknown-member',
  'not-addressed',
  'old-boot',
  'other-boot',
  'stale-term',
  'leader-alive',
  'unexpected',
  'two-leaders',
  'outbox-full',
] as const;

/** Counts dropped messages by reason, since the start of this core. */
export class DropCounter {
  readonly #counts = new Map<DropReason, number>();

  add(reason: DropReason): void {
    this.#counts.set(reason, this.of(reason) + 1);
  }

  of(reason: DropReason): number {
    return this.#counts.get(reason) ?? 0;
  }

  /** Every reason with its count, in a fixed order. */
  all(): Readonly<Record<DropReason, number>> {
    return {
      malformed: this.of('malformed'),
      'unknown-member': this.of('unknown-member'),
      'not-addressed': this.of('not-addressed'),
      'old-boot': this.of('old-boot'),
      'other-boot': this.of('other-boot'),
      'stale-term': this.of('stale-term'),
      'leader-alive': this.of('leader-alive'),
      unexpected: this.of('unexpected'),
      'two-leaders': this.of('two-leaders'),
      'outbox-full': this.of('outbox-full'),
    };
  }
}
