import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { votersOnly } from '../../src/raft/membership.ts';
import { form, formStateOf } from '../../src/replica/forming.ts';
import type { Identity, IdentityFile } from '../../src/storage/identity.ts';
import type { FormState } from '../../src/transport/types.ts';

const initialMembers = ['a', 'b', 'c'].map((id) => ({ id, peerAddress: `${id}:1` }));

function empty(memberId: string): Identity {
  const directoryId = Buffer.alloc(16, memberId).toString('hex');
  return { format: 1, memberId, directoryId, clusterId: '', phase: 'empty', initialMembers };
}

/** Member a, forming, among others that say what the test has them say. */
class Forming {
  readonly clock = new ManualClock();
  readonly waiting: string[] = [];
  readonly says = new Map<string, FormState | undefined>();
  readonly written: Identity[] = [];
  stopping = false;
  readonly #end: Promise<unknown>;

  constructor() {
    let current = empty('a');
    const identityFile: IdentityFile = {
      get current() {
        return current;
      },
      write: (identity) => {
        current = identity;
        this.written.push(identity);
        return Promise.resolve();
      },
    };
    this.#end = form({
      identityFile,
      consensus: {
        askForm: (address) => {
          const answer = this.says.get(address.slice(0, 1));
          return answer === undefined ? Promise.reject(new Error('silent')) : Promise.resolve(answer);
        },
      },
      clock: this.clock,
      random: new SeededRandom(1),
      initialMembers,
      prepare: () => Promise.resolve(),
      onChanged: () => {},
      onWaiting: (text) => this.waiting.push(text),
      isStopping: () => this.stopping,
    });
  }

  async pass(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 50) {
      this.clock.advance(50);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.pass(200);
    await this.#end;
  }
}

describe('a member that forms a cluster', () => {
  it('waits where one of those it lists was told to join instead, and says so; then it goes on', async () => {
    const forming = new Forming();
    await forming.pass(300);
    forming.says.set('b', formStateOf(empty('b'), undefined));
    await forming.pass(300);
    forming.says.set('c', { ...formStateOf(empty('c'), undefined), phase: 'joining', initialMembers: [] });
    await forming.pass(300);
    forming.says.delete('b');
    await forming.pass(300);
    expect(forming.waiting).toEqual([
      'an answer from b, c',
      'an answer from c',
      'c to form the cluster with this member: started to join a running cluster, it never forms one',
    ]);
    expect(forming.written).toEqual([]);
    forming.says.set('b', formStateOf(empty('b'), undefined));
    forming.says.set('c', formStateOf(empty('c'), undefined));
    await forming.pass(300);
    expect(forming.written.map(({ phase }) => phase)).toEqual(['forming']);
    await forming.stop();
  });
});

describe('what a member says of itself', () => {
  it('names every member of both halves and the learners, with directory and address', () => {
    const record = (id: string) => ({ id, directoryId: Buffer.alloc(16, id).toString('hex'), peerAddress: `${id}:1` });
    const membership = {
      ...votersOnly([record('a'), record('b')]),
      outgoing: [record('b'), record('c')],
      learners: [{ ...record('d'), autoPromote: true }],
    };
    const formed: Identity = { ...empty('a'), phase: 'formed', clusterId: 'f00d' };
    expect(formStateOf(formed, membership).members).toEqual(['a', 'b', 'c', 'd'].map(record));
    expect(formStateOf(formed, undefined).members).toEqual([]);
  });
});
