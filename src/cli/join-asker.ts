import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from '../client/backoff.ts';
import type { ClientOptions } from '../client/client.ts';
import { RollcallClient } from '../client/client.ts';
import { ClientError } from '../client/client-error.ts';
import type { ClusterMember, Membership } from '../client/types.ts';
import { isReason, RollcallError } from '../base/errors.ts';
import { SystemRandom } from '../base/system-random.ts';
import { troubleOf } from './trouble.ts';

export interface JoinAskerOptions {
  /** Members of the cluster, as clients reach them. */
  readonly servers: readonly string[];
  /** Stay a learner. */
  readonly learner: boolean;
  /** Told what is in the way, once until it is something else. */
  readonly onTrouble: (text: string) => void;
  /** Of the client; its defaults serve. */
  readonly client?: Omit<ClientOptions, 'servers'>;
}

/** One call: when it is over and nobody has answered, that is told. */
const tellAfterMs = 5_000;

/** A membership whose every member is of a kind that this version knows. */
export interface KnownMembership extends Membership {
  readonly members: readonly (ClusterMember & { readonly kind: 'voter' | 'learner' | 'outgoing' })[];
}

/**
 * Asks a running cluster to take in the member that waits at an address, at whichever of its members answers, for as
 * long as that may still come true.
 */
export class JoinAsker {
  readonly #options: JoinAskerOptions;
  readonly #client: RollcallClient;
  readonly #ended = new AbortController();

  /** @throws ClientError INVALID_FIELD for an address that cannot be. */
  constructor(options: JoinAskerOptions) {
    this.#options = options;
    this.#client = new RollcallClient({ callTimeoutMs: tellAfterMs, ...options.client, servers: options.servers });
  }

  /** Rejects with RollcallError where the cluster refuses it for good, and after `close`. */
  async ask(peerAddress: string): Promise<KnownMembership> {
    const { learner, onTrouble } = this.#options;
    const random = new SystemRandom();
    let said = '';
    for (let failures = 0; ; failures++) {
      try {
        return known(await this.#client.cluster.addMember({ peerAddress, learnerOnly: learner }));
      } catch (error) {
        if (!(error instanceof ClientError)) throw error;
        if (!mayPass(error) || this.#ended.signal.aborted) throw refusal(error);
        // How often and how long it was tried is told anew each time.
        const trouble = troubleOf(error).replace(/ \(\d+ attempts in \d+ ms\)$/, '');
        if (trouble !== said) onTrouble(trouble);
        said = trouble;
        const pauseMs = backoffMs(failures, error.retryAfterMs, random);
        await sleep(pauseMs, undefined, { signal: this.#ended.signal }).catch(() => undefined);
      }
    }
  }

  /** Nobody waits for an answer any more. */
  close(): void {
    this.#ended.abort();
    this.#client.close();
  }
}

/** What a newer version calls otherwise counts in no majority that this one knows of. */
function known(membership: Membership): KnownMembership {
  const members = membership.members.map((member) => {
    const { kind } = member;
    return { ...member, kind: kind === 'unknown' ? ('learner' as const) : kind };
  });
  return { ...membership, members };
}

/** The leader may not reach the new member yet, which has only begun to listen. */
function mayPass({ retryable, facts }: ClientError): boolean {
  return retryable || facts['problem'] === 'unreachable';
}

function refusal(error: ClientError): RollcallError {
  const reason = isReason(error.reason) ? error.reason : 'INTERNAL';
  // A port for peers, or another program, knows no such call.
  const stranger = error.code === 'UNIMPLEMENTED' || error.reason === 'UNRECOGNISED';
  const hint = stranger ? '; name the addresses where members serve clients, such as 127.0.0.1:7410' : '';
  return new RollcallError(reason, `${error.message}${hint}`, { facts: error.facts, cause: error });
}
