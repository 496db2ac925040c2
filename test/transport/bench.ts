import { Member, type MemberOptions } from './member.ts';
import type { TransportTwin } from './twins.ts';

/** The members of one test. */
export class Bench {
  readonly #makeTwin: () => TransportTwin;
  #twin: TransportTwin | undefined;
  #members: Member[] = [];

  constructor(makeTwin: () => TransportTwin) {
    this.#makeTwin = makeTwin;
  }

  get twin(): TransportTwin {
    if (this.#twin === undefined) throw new Error('no test runs');
    return this.#twin;
  }

  open(): void {
    this.#twin = this.#makeTwin();
  }

  async close(): Promise<void> {
    for (const { name, reentered } of this.#members) {
      if (reentered > 0) throw new Error(`the owner of ${name} was called from within a call of its own`);
    }
    await Promise.all(this.#members.map((member) => this.twin.kill(member.transport)));
    this.#members = [];
  }

  async member(memberName: string, options: MemberOptions = {}): Promise<Member> {
    const member = new Member(this.twin, memberName, options);
    this.#members.push(member);
    return member.start();
  }

  /** Two members that are connected both ways. */
  async pair(a: MemberOptions = {}, b: MemberOptions = {}): Promise<[Member, Member]> {
    const [one, two] = [await this.member('a', a), await this.member('b', b)];
    one.join([two]);
    two.join([one]);
    await this.connected(one, two);
    return [one, two];
  }

  async connected(one: Member, two: Member): Promise<void> {
    await this.twin.until('both ways connected', () => one.isConnected(two) && two.isConnected(one));
  }
}

/** Lets the twin's time pass until a promise has settled. */
export async function settle<T>(bench: Bench, promise: Promise<T>): Promise<T> {
  let over = false;
  const end = (): void => void (over = true);
  promise.then(end, end);
  await bench.twin.until('a promise settled', () => over);
  return promise;
}
