import { beforeEach, describe, expect, it } from 'vitest';
import { RollcallError } from '../../src/base/errors.ts';
import { WireError } from '../../src/base/wire-reader.ts';
import { type Membership, votersOnly } from '../../src/raft/membership.ts';
import type { MembershipChange } from '../../src/raft/membership-plan.ts';
import type { SoftState } from '../../src/raft/types.ts';
import { ClusterOrders, ordersOpenMax } from '../../src/replica/cluster-orders.ts';
import type { ExecuteOutcome } from '../../src/replica/forward-codec.ts';
import type { FormState, PeerStatus } from '../../src/transport/types.ts';
import { decodeMembershipAnswer, decodeOrder, encodeOrder, type HandedOrder } from '../../src/replica/order-codec.ts';

const record = (id: string): Membership['voters'][number] => ({
  id,
  directoryId: id.repeat(32),
  peerAddress: `${id}:1`,
});
const three = votersOnly(['a', 'b', 'c'].map(record));

const clusterId = '1'.repeat(32);
const nobody = (): RollcallError => new RollcallError('NOT_SERVING', 'nobody is there');

function formOf(memberId: string, phase: FormState['phase'], ofCluster: string = clusterId): FormState {
  const directoryId = memberId.repeat(32);
  const isFormed = phase === 'formed';
  return { memberId, directoryId, phase, clusterId: isFormed ? ofCluster : '', initialMembers: [], members: [] };
}

function connectedPeer(memberId: string): PeerStatus {
  const rest = { boot: 1, clientAddress: '', lastHeardMs: 1, queuedBytes: 0, droppedBatches: 0 };
  return { memberId, address: `${memberId}:1`, connected: true, ...rest };
}

/** A leader whose core takes every change, and commits what the test says. */
class Bench {
  readonly orders: ClusterOrders;
  soft: SoftState = { role: 'leader', term: 1, leader: 'a', ownTermCommitted: true };
  asked: Uint8Array[] = [];
  readonly proposed: MembershipChange[] = [];
  /** Who answers at an address that is asked. */
  found: FormState | undefined;
  connected: string[] = [];

  get changes(): string[] {
    return this.proposed.map(({ kind }) => kind);
  }
  index = 10;

  constructor(ownAddress: string = '') {
    this.orders = new ClusterOrders({
      memberId: 'a',
      clusterId,
      membership: three,
      soft: () => this.soft,
      formState: () => formOf('a', 'formed'),
      ownAddress,
      consensus: {
        askForm: () => (this.found === undefined ? Promise.reject(nobody()) : Promise.resolve(this.found)),
        changeMembership: (changes) => {
          this.proposed.push(...changes);
          return Promise.resolve({ outcome: 'accepted', index: ++this.index, term: 1 });
        },
        transferLeadership: () => Promise.resolve({ accepted: true }),
        status: () => ({ core: undefined, logBytes: 0, peers: this.connected.map(connectedPeer) }),
      },
      ask: (_to, request) => {
        if (request.kind === 'order') this.asked.push(request.order);
        return true;
      },
      timeoutTicks: 39,
      tickMs: 50,
      onFatal: (error) => {
        throw error;
      },
    });
  }
}

async function told(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'done',
    (error: unknown) => (error instanceof RollcallError ? error.reason : String(error)),
  );
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('ClusterOrders', () => {
  let bench: Bench;

  beforeEach(() => {
    bench = new Bench();
  });

  const promote = (): Promise<unknown> => bench.orders.changeMembership({ kind: 'promote', memberId: 'd' }, true);

  it('ends an order once what it led to is committed and not joint, and not before', async () => {
    const order = told(promote());
    await settled();
    const joint: Membership = { ...three, voters: [...three.voters, record('d')], outgoing: three.voters };
    bench.orders.known({ inForce: joint, committed: joint, committedIndex: 11 });
    bench.orders.known({ inForce: votersOnly(joint.voters), committed: joint, committedIndex: 0 });
    let outcome = '';
    order.then((value) => (outcome = value)).catch(() => undefined);
    await settled();
    expect(outcome).toBe('');
    const last = votersOnly(joint.voters);
    bench.orders.known({ inForce: last, committed: last, committedIndex: 12 });
    expect(await order).toBe('done');
    expect(bench.orders.voters).toEqual(['a', 'b', 'c', 'd']);
  });

  it('lets so many wait at once, of whatever kind, and refuses the next', async () => {
    const waiting = Array.from({ length: ordersOpenMax - 1 }, () => told(promote()));
    waiting.push(told(bench.orders.transferLeadership('b')));
    // Not one of them has got as far as the core.
    expect(await told(promote())).toBe('OVERLOADED');
    expect(await told(bench.orders.transferLeadership('c'))).toBe('OVERLOADED');
    const answers: ExecuteOutcome[] = [];
    bench.orders.handle('b', encodeOrder({ kind: 'transfer', to: 'b' }), (outcome) => answers.push(outcome));
    await settled();
    expect(answers).toMatchObject([{ ok: false, error: { reason: 'OVERLOADED' } }]);
    bench.orders.stop(new RollcallError('NOT_SERVING', 'stops'));
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['NOT_SERVING']));
    promote().catch(() => undefined);
    await settled();
    expect(bench.changes).toHaveLength(ordersOpenMax);
  });

  it('records an address for whoever hands it on, and for nobody else', async () => {
    bench.orders.handle('b', encodeOrder({ kind: 'move', peerAddress: 'b:2' }), () => undefined);
    await settled();
    expect(bench.proposed).toEqual([{ kind: 'set-address', id: 'b', peerAddress: 'b:2' }]);
  });

  it('tells the leader where it is itself, and again only after a while', async () => {
    bench = new Bench('a:9');
    bench.soft = { role: 'follower', term: 2, leader: 'b', ownTermCommitted: false };
    bench.orders.known({ inForce: three, committed: three, committedIndex: 0 });
    for (let tick = 1; tick <= 39; tick++) bench.orders.tick(tick);
    expect(bench.asked.map(decodeOrder)).toEqual([{ kind: 'move', peerAddress: 'a:9' }]);
    bench.orders.tick(40);
    expect(bench.asked).toHaveLength(2);
    const moved = votersOnly(three.voters.map((one) => (one.id === 'a' ? { ...one, peerAddress: 'a:9' } : one)));
    bench.orders.known({ inForce: moved, committed: moved, committedIndex: 12 });
    for (let tick = 41; tick <= 200; tick++) bench.orders.tick(tick);
    expect(bench.asked).toHaveLength(2);
  });

  it('says that the outcome is unknown at its deadline, and when another leads', async () => {
    const late = told(promote());
    await settled();
    for (let tick = 1; tick <= 39; tick++) bench.orders.tick(tick);
    expect(await late).toBe('OUTCOME_UNKNOWN');
    const lost = told(promote());
    await settled();
    bench.soft = { role: 'follower', term: 2, leader: 'b', ownTermCommitted: false };
    bench.orders.roleChanged();
    expect(await lost).toBe('OUTCOME_UNKNOWN');
  });

  it('refuses what would leave no majority that is there', async () => {
    expect(await told(bench.orders.changeMembership({ kind: 'remove', memberId: 'b' }, false))).toBe('QUORUM_AT_RISK');
  });

  it('asks at the address who is there, and takes nobody in who is not to be', async () => {
    const added = (): Promise<string> =>
      told(bench.orders.changeMembership({ kind: 'add', peerAddress: 'd:1', autoPromote: true }, false));
    expect(await added()).toBe('MEMBERSHIP_REFUSED');
    bench.found = formOf('d', 'forming');
    expect(await added()).toBe('MEMBERSHIP_REFUSED');
    bench.found = formOf('d', 'formed', '2'.repeat(32));
    expect(await added()).toBe('MEMBERSHIP_REFUSED');
    expect(bench.changes).toEqual([]);
    bench.found = formOf('d', 'joining');
    added().catch(() => undefined);
    await settled();
    expect(bench.changes).toEqual(['add-learner']);
  });

  it('records another address of a member only where it is not reached at the one that is recorded', async () => {
    const added = (): Promise<string> =>
      told(bench.orders.changeMembership({ kind: 'add', peerAddress: 'elsewhere:1', autoPromote: true }, false));
    bench.found = formOf('b', 'formed');
    bench.connected = ['b'];
    expect(await added()).toBe('done');
    expect(bench.changes).toEqual([]);
    bench.connected = [];
    added().catch(() => undefined);
    await settled();
    expect(bench.changes).toEqual(['set-address']);
  });

  it('tells how a handover ended', async () => {
    const done = told(bench.orders.transferLeadership('b'));
    const failed = told(bench.orders.transferLeadership('c'));
    await settled();
    bench.orders.transfersEnded([
      { to: 'c', outcome: 'timed-out' },
      { to: 'b', outcome: 'transferred' },
    ]);
    expect([await done, await failed]).toEqual(['done', 'TRANSFER_FAILED']);
  });

  it('does nothing for a peer that takes it for the leader', async () => {
    bench.soft = { role: 'follower', term: 2, leader: 'b', ownTermCommitted: false };
    const answers: ExecuteOutcome[] = [];
    bench.orders.handle('b', encodeOrder({ kind: 'transfer', to: 'b' }), (outcome) => answers.push(outcome));
    await settled();
    expect(answers).toMatchObject([{ ok: false, error: { reason: 'NOT_PROPOSED' } }]);
  });

  it('hands an order to the leader', async () => {
    bench.soft = { role: 'follower', term: 2, leader: 'b', ownTermCommitted: false };
    promote().catch(() => undefined);
    await settled();
    expect(bench.asked.map(decodeOrder)).toEqual([
      { kind: 'membership', order: { kind: 'promote', memberId: 'd' }, force: true },
    ]);
  });
});

describe('the form of orders between members', () => {
  const orders: HandedOrder[] = [
    { kind: 'membership', order: { kind: 'add', peerAddress: 'd:1', autoPromote: false }, force: false },
    { kind: 'membership', order: { kind: 'remove', memberId: 'b' }, force: true },
    { kind: 'membership', order: { kind: 'replace', memberId: 'b', by: 'd' }, force: false },
    { kind: 'transfer', to: '' },
    { kind: 'move', peerAddress: 'a:2' },
  ];

  it.each(orders)('keeps %j', (order) => {
    expect(decodeOrder(encodeOrder(order))).toEqual(order);
  });

  it.each([
    '',
    '{}',
    '[]',
    'null',
    '{"kind":"transfer"}',
    '{"kind":"transfer","to":7}',
    '{"kind":"transfer","to":"b","more":1}',
    '{"kind":"move","peerAddress":""}',
    '{"kind":"move","memberId":"b","peerAddress":"a:2"}',
    '{"kind":"membership","order":{"kind":"remove"},"force":true}',
    '{"kind":"membership","order":{"kind":"expel","memberId":"b"},"force":true}',
    '{"kind":"membership","order":{"kind":"remove","memberId":"b"},"force":"yes"}',
  ])('takes no %s', (text) => {
    expect(() => decodeOrder(Buffer.from(text))).toThrow(WireError);
    expect(() => decodeMembershipAnswer(Buffer.from(text))).toThrow(WireError);
  });
});
