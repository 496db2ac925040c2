import { must } from '../base/assert.ts';
import type { AnswerCallback, ByteStream, Channel, Connect, RunningCall } from './channel.ts';

/** One address and its connection, which is made at the first call. */
export class Member {
  readonly address: string;
  readonly #connect: Connect;
  #channel: Channel | undefined;

  constructor(address: string, connect: Connect) {
    this.address = address;
    this.#connect = connect;
  }

  call(path: string, request: Buffer, callback: AnswerCallback): RunningCall {
    return this.#open().call(path, request, callback);
  }

  stream(path: string): ByteStream {
    return this.#open().stream(path);
  }

  close(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  #open(): Channel {
    this.#channel ??= this.#connect(this.address);
    return this.#channel;
  }
}

/** The members that a client knows. One of them is current: what works is kept, and left only when it fails. */
export class MemberPool {
  readonly #members: readonly Member[];
  #current: number;

  /** @param start Position of the member that is asked first. */
  constructor(addresses: readonly string[], start: number, connect: Connect) {
    this.#members = addresses.map((address) => new Member(address, connect));
    this.#current = start;
  }

  get size(): number {
    return this.#members.length;
  }

  get current(): Member {
    return must(this.#members[this.#current], 'current member');
  }

  /** `failed` did not work: the next one is current, unless another call has moved on already. */
  moveOn(failed: Member): void {
    if (this.current === failed) this.#current = (this.#current + 1) % this.#members.length;
  }

  byAddress(address: string): Member | undefined {
    return this.#members.find((member) => member.address === address);
  }

  close(): void {
    for (const member of this.#members) member.close();
  }
}
