import { assert } from '../base/assert.ts';
import { WireError } from '../base/wire-reader.ts';
import type { MemberId } from '../raft/types.ts';
import type { Forwarded } from '../transport/types.ts';
import type { ConsensusPort } from './consensus-port.ts';
import { decodeAnswer, decodeRequest, encodeAnswer, encodeRequest } from './forward-codec.ts';
import type { ForwardAnswer, ForwardRequest } from './forward-codec.ts';
import { TickDeadlines } from './tick-deadlines.ts';

/** Calls of one member that wait for another's answer at once. */
const pendingAsksMax = 65_536;

interface Ask {
  readonly id: number;
  readonly to: MemberId;
  readonly onAnswer: (answer: ForwardAnswer | undefined) => void;
  settled: boolean;
}

export interface ForwarderOptions {
  /** As ConsensusPort.forward. */
  readonly forward: ConsensusPort['forward'];
  readonly askTimeoutTicks: number;
  /** A request from a peer; `answer` is called at most once, or never for those that are not answered. */
  readonly onRequest: (from: MemberId, request: ForwardRequest, answer: (answer: ForwardAnswer) => void) => void;
  /** Bytes from a peer that are none of ours; the member goes on. */
  readonly onMalformed: (from: MemberId, error: WireError) => void;
}

/** Questions and answers between the serving sides of members. Every question ends: answered, or lost. */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #asks = new Map<number, Ask>();
  readonly #deadlines: TickDeadlines<Ask>;
  /** The newest question of each peer, by its boot: one a member. */
  readonly #heard = new Map<MemberId, { readonly boot: number; readonly id: number }>();
  #stopped = false;
  /** Who was known last to lead. */
  #lastLeader: MemberId = '';
  #nextId = 1;
  #nowTick = 0;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#deadlines = new TickDeadlines(options.askTimeoutTicks);
  }

  /**
   * Asks a peer. `onAnswer` is called once: with the answer, or with undefined where it is lost (the question may have
   * reached the peer all the same). False, and never called: nothing was sent.
   */
  ask(to: MemberId, request: ForwardRequest, onAnswer: (answer: ForwardAnswer | undefined) => void): boolean {
    if (this.#stopped || this.#asks.size >= pendingAsksMax) return false;
    const id = this.#nextId++;
    const body = encodeRequest(request);
    if (!this.#options.forward(to, 0, [{ id, answer: false, body }])) return false;
    const ask: Ask = { id, to, onAnswer, settled: false };
    this.#asks.set(id, ask);
    this.#deadlines.add(ask, this.#nowTick);
    return true;
  }

  /** Tells a peer something that is not answered; lost without a word where the peer is not connected. */
  tell(to: MemberId, request: ForwardRequest): void {
    const id = this.#nextId++;
    this.#options.forward(to, 0, [{ id, answer: false, body: encodeRequest(request) }]);
  }

  /** @param boot Of the peer that sent them. */
  receive(from: MemberId, boot: number, items: readonly Forwarded[]): void {
    for (const item of items) {
      try {
        if (item.answer) this.#answered(from, item);
        else this.#asked(from, boot, item);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        this.#options.onMalformed(from, error);
      }
    }
  }

  /** What was asked of this peer and is not answered is lost. */
  unreachable(peer: MemberId): void {
    for (const ask of this.#asks.values()) if (ask.to === peer) this.#settle(ask, undefined);
  }

  /**
   * Another leads ('' : nobody is known to). What was asked of the leader before is not answered any more, or was not
   * carried out: its caller may ask again at once, where one that only stands still would let it wait for all its time.
   */
  leaderChanged(leader: MemberId): void {
    if (leader === '' || leader === this.#lastLeader) return;
    if (this.#lastLeader !== '') this.unreachable(this.#lastLeader);
    this.#lastLeader = leader;
  }

  /** The member stops: what is not answered is lost. */
  stop(): void {
    this.#stopped = true;
    for (const ask of this.#asks.values()) this.#settle(ask, undefined);
  }

  tick(nowTick: number): void {
    this.#nowTick = nowTick;
    for (const ask of this.#deadlines.due(nowTick)) this.#settle(ask, undefined);
  }

  #asked(from: MemberId, boot: number, item: Forwarded): void {
    const heard = this.#heard.get(from);
    // Questions of one start are numbered upwards and come in order. One that comes again was carried out already, and
    // a write that has no request id would be carried out twice.
    if (heard !== undefined && (boot < heard.boot || (boot === heard.boot && item.id <= heard.id))) return;
    this.#heard.set(from, { boot, id: item.id });
    let answered = false;
    this.#options.onRequest(from, decodeRequest(item.body), (answer) => {
      assert(!answered, 'a forwarded call is answered once');
      answered = true;
      // Numbers of questions begin anew with each start: the answer to one of an earlier life would be taken for the
      // answer to another question of this one.
      this.#options.forward(from, boot, [{ id: item.id, answer: true, body: encodeAnswer(answer) }]);
    });
  }

  #answered(from: MemberId, item: Forwarded): void {
    const ask = this.#asks.get(item.id);
    // Late, or of an earlier life of this member.
    if (ask === undefined || ask.settled || ask.to !== from) return;
    this.#settle(ask, decodeAnswer(item.body));
  }

  #settle(ask: Ask, answer: ForwardAnswer | undefined): void {
    this.#asks.delete(ask.id);
    if (ask.settled) return;
    ask.settled = true;
    ask.onAnswer(answer);
  }
}
