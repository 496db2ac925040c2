/** Who belongs to the cluster, as an entry of the log says it: ids alone. */
export interface LoggedMembership {
  readonly voters: readonly string[];
  /** The former voters, in a joint state; else empty. */
  readonly outgoing: readonly string[];
  readonly learners: readonly string[];
  /** Learners once the joint state ends. */
  readonly learnersNext: readonly string[];
  readonly removed: readonly string[];
}

const membershipTag = 240;
const directoryBytes = 16;

export function isMembershipEntry(data: Uint8Array): boolean {
  return data[0] === membershipTag;
}

/** A reader of its own: what decodes it in src/ is checked by it. Throws where it cannot be read. */
export function readMembershipEntry(data: Uint8Array): LoggedMembership {
  let at = 2;
  const number = (): number => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = data[at++];
      if (byte === undefined) throw new Error('a membership entry ends too early');
      value += (byte & 0x7f) * scale;
      if (byte < 128) return value;
    }
  };
  const text = (): string => {
    const length = number();
    at += length;
    return Buffer.from(data.subarray(at - length, at)).toString();
  };
  const list = (one: () => string): string[] => Array.from({ length: number() }, one);
  const member = (): string => {
    const id = text();
    at += directoryBytes;
    text();
    return id;
  };
  const learner = (): string => {
    const id = member();
    at += 1;
    return id;
  };
  const membership = {
    voters: list(member),
    outgoing: list(member),
    learners: list(learner),
    learnersNext: list(learner),
    removed: list(text),
  };
  if (at !== data.length) throw new Error(`a membership entry of ${data.length} bytes was read up to ${at}`);
  return membership;
}

export function isJointState({ outgoing }: LoggedMembership): boolean {
  return outgoing.length > 0;
}

/** What follows a joint state. */
export function withoutOutgoing({ voters, outgoing, learners, learnersNext, removed }: LoggedMembership) {
  const gone = outgoing.filter((id) => !voters.includes(id) && !learnersNext.includes(id));
  return {
    voters,
    outgoing: [],
    learners: [...learners, ...learnersNext].toSorted(),
    learnersNext: [],
    removed: [...removed, ...gone].toSorted(),
  } satisfies LoggedMembership;
}

/** Whether these decide: a majority of the voters, and of the former ones in a joint state. */
export function decides({ voters, outgoing }: LoggedMembership, has: (id: string) => boolean): boolean {
  const most = (ids: readonly string[]): boolean => 2 * ids.filter(has).length > ids.length;
  return most(voters) && (outgoing.length === 0 || most(outgoing));
}

export function everybodyOf({ voters, outgoing, learners }: LoggedMembership): string[] {
  return [...new Set([...voters, ...outgoing, ...learners])];
}

/** For a person. */
export function membershipText({ voters, outgoing, learners, removed }: LoggedMembership): string {
  const parts = [`voters ${voters.join(' ')}`];
  if (outgoing.length > 0) parts.push(`before ${outgoing.join(' ')}`);
  if (learners.length > 0) parts.push(`learners ${learners.join(' ')}`);
  if (removed.length > 0) parts.push(`removed ${removed.join(' ')}`);
  return parts.join(', ');
}
