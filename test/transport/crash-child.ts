// A program for crash.test.ts: two members in one process, and an owner that breaks an invariant where it is told to.
import { InvariantError } from '../../src/base/assert.ts';
import { heartbeat } from './messages.ts';
import { formOf, identityOf, Member, peerOf } from './member.ts';
import { grpcTwin } from './twins.ts';

const where = process.argv[2];

function breakAt(place: string): void {
  if (place === where) throw new InvariantError(`broken in ${place}`);
}

class Broken extends Member {
  override onBatch(): void {
    breakAt('onBatch');
  }

  override onSnapshot(): Promise<number> {
    return Promise.resolve().then(() => {
      breakAt('onSnapshot');
      return 1;
    });
  }

  override onForm(): ReturnType<Member['onForm']> {
    breakAt('onForm');
    return formOf('b');
  }

  override onConnected(): void {
    breakAt('onConnected');
  }

  override onStreamEnded(): void {
    breakAt('onStreamEnded');
  }
}

const twin = grpcTwin();
const a = await new Member(twin, 'a').start();
const b = await new Broken(twin, 'b').start();
a.transport.setIdentity(identityOf(a), [peerOf(b)]);
b.transport.setIdentity(identityOf(b), [peerOf(a)]);
await twin.until('connected', () => a.isConnected(b) && b.isConnected(a));
await a.transport.form(b.address, formOf('a'), 1_000).catch(() => {});
a.transport.send('b', [heartbeat('a', 'b', 1, 1)], []);
const base = { index: 1, term: 1, hash: '0123456789abcdef' };
await a.transport.sendSnapshot('b', 1, base, (async function* () {})()).catch(() => {});
await twin.pass(100);
await a.transport.stop(0);
await twin.pass(50);
await b.transport.stop(0);
