import { InvariantError } from '../base/assert.ts';
import { RollcallError } from '../base/errors.ts';
import type { MemberId } from '../raft/types.ts';
import { decodeCommand } from '../state-machine/command-codec.ts';
import type { ClusterOrders } from './cluster-orders.ts';
import type { ExecuteOutcome, ForwardAnswer, ForwardedCommand, ForwardRequest } from './forward-codec.ts';
import type { HashCheck } from './hash-check.ts';
import type { LeaseService } from './lease-service.ts';
import { fenced } from './refusals.ts';
import { toExecuteOutcome, type WriteCalls } from './write-calls.ts';

export interface PeerRequestsOptions {
  readonly calls: WriteCalls;
  readonly leases: LeaseService;
  readonly hashes: HashCheck;
  readonly orders: ClusterOrders;
  readonly nowMs: () => number;
  readonly refusesWrites: () => boolean;
  /** Something was added that waits to be proposed. */
  readonly schedule: () => void;
  readonly onFatal: (error: unknown) => void;
}

/** What the serving sides of other members ask of this one. */
export class PeerRequests {
  readonly #options: PeerRequestsOptions;

  constructor(options: PeerRequestsOptions) {
    this.#options = options;
  }

  handle(from: MemberId, request: ForwardRequest, answer: (answer: ForwardAnswer) => void): void {
    switch (request.kind) {
      case 'execute':
        this.#execute(request.commands, answer);
        return;
      case 'renew':
        this.#options.leases.renew(request.leaseIds).then(
          (results) => answer({ kind: 'renewed', results }),
          (error: unknown) => this.#options.onFatal(error),
        );
        return;
      case 'hash-query':
        answer({ kind: 'hash', hash: this.#options.hashes.answer(request.index) });
        return;
      case 'hash-verdict':
        this.#options.hashes.judge(request.index, request.hashes);
        return;
      case 'order':
        this.#options.orders.handle(from, request.order, (outcome) => answer({ kind: 'ordered', outcome }));
    }
  }

  /** Answered as one once the last of them has its outcome. */
  #execute(commands: readonly ForwardedCommand[], answer: (answer: ForwardAnswer) => void): void {
    const outcomes: ExecuteOutcome[] = [];
    const nowMs = this.#options.nowMs();
    let open = commands.length;
    if (open === 0) answer({ kind: 'executed', outcomes });
    commands.forEach(({ command, remainingMs }, i) => {
      const done = (outcome: ExecuteOutcome): void => {
        outcomes[i] = outcome;
        open--;
        if (open === 0) answer({ kind: 'executed', outcomes });
      };
      const refusal = this.#refusal(command);
      if (refusal !== undefined) done({ ok: false, error: refusal });
      else this.#options.calls.add(command, 'peer', (outcome) => done(toExecuteOutcome(outcome)), nowMs + remainingMs);
    });
    this.#options.schedule();
  }

  /** Why a command is not proposed. Bytes that no member understands must never reach the log: they would halt all. */
  #refusal(command: Uint8Array): RollcallError | undefined {
    if (this.#options.refusesWrites()) return fenced();
    try {
      decodeCommand(command);
      return undefined;
    } catch (error) {
      if (!(error instanceof InvariantError)) throw error;
      return new RollcallError('MALFORMED_MESSAGE', `a handed-on command is not understood: ${error.message}`);
    }
  }
}
