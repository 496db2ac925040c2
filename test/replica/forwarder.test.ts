import { describe, expect, it } from 'vitest';
import type { ForwardAnswer } from '../../src/replica/forward-codec.ts';
import { encodeRequest } from '../../src/replica/forward-codec.ts';
import { Forwarder } from '../../src/replica/forwarder.ts';
import type { Forwarded } from '../../src/transport/types.ts';

/** The way to a peer in its life `boot`. */
class Wire {
  readonly sent: Forwarded[] = [];
  boot = 3;

  readonly forward = (_to: string, boot: number, forwarded: readonly Forwarded[]): boolean => {
    if (boot !== 0 && boot !== this.boot) return false;
    this.sent.push(...forwarded);
    return true;
  };
}

describe('Forwarder', () => {
  it('drops the answer to a question of an earlier life: the number may stand for another question now', () => {
    const wire = new Wire();
    const answers: ((answer: ForwardAnswer) => void)[] = [];
    const forwarder = new Forwarder({
      forward: wire.forward,
      askTimeoutTicks: 10,
      onRequest: (_from, _request, answer) => answers.push(answer),
      onMalformed: () => undefined,
    });
    const body = encodeRequest({ kind: 'hash-query', index: 1 });
    forwarder.receive('b', 3, [{ id: 7, answer: false, body }]);
    forwarder.receive('b', 3, [{ id: 8, answer: false, body }]);
    answers[0]?.({ kind: 'hash', hash: 'x' });
    wire.boot = 4;
    answers[1]?.({ kind: 'hash', hash: 'y' });
    expect(wire.sent.map(({ id }) => id)).toEqual([7]);
  });

  it('lets go of what it has asked of a leader as soon as another leads', () => {
    const wire = new Wire();
    const forwarder = new Forwarder({
      forward: wire.forward,
      askTimeoutTicks: 10,
      onRequest: () => undefined,
      onMalformed: () => undefined,
    });
    const answers: (ForwardAnswer | undefined)[] = [];
    const ask = (to: string): boolean =>
      forwarder.ask(to, { kind: 'hash-query', index: 1 }, (answer) => answers.push(answer));
    forwarder.leaderChanged('b');
    ask('b');
    ask('c');
    forwarder.leaderChanged('');
    forwarder.leaderChanged('b');
    expect(answers).toEqual([]);
    forwarder.leaderChanged('c');
    expect(answers).toEqual([undefined]);
    forwarder.receive('b', 3, [{ id: 1, answer: true, body: new Uint8Array() }]);
    expect(answers).toEqual([undefined]);
  });

  it('carries a question out once, also where its batch comes again, and begins anew with a start of the peer', () => {
    const wire = new Wire();
    const asked: number[] = [];
    const forwarder = new Forwarder({
      forward: wire.forward,
      askTimeoutTicks: 10,
      onRequest: (_from, request) => void (request.kind === 'hash-query' && asked.push(request.index)),
      onMalformed: () => undefined,
    });
    const ask = (from: string, boot: number, id: number, index: number): void =>
      forwarder.receive(from, boot, [{ id, answer: false, body: encodeRequest({ kind: 'hash-query', index }) }]);
    ask('b', 3, 7, 1);
    ask('b', 3, 9, 2);
    ask('b', 3, 7, 1);
    ask('b', 3, 9, 2);
    ask('c', 1, 7, 3);
    expect(asked).toEqual([1, 2, 3]);
    ask('b', 4, 1, 4);
    ask('b', 3, 10, 5);
    ask('b', 4, 2, 6);
    expect(asked).toEqual([1, 2, 3, 4, 6]);
  });

  it('tells the loss of every open question when it stops, and takes none after', () => {
    const wire = new Wire();
    const forwarder = new Forwarder({
      forward: wire.forward,
      askTimeoutTicks: 10,
      onRequest: () => undefined,
      onMalformed: () => undefined,
    });
    const heard: (ForwardAnswer | undefined)[] = [];
    for (let i = 0; i < 3; i++) forwarder.ask('b', { kind: 'hash-query', index: i }, (answer) => heard.push(answer));
    forwarder.stop();
    expect(heard).toEqual([undefined, undefined, undefined]);
    expect(forwarder.ask('b', { kind: 'hash-query', index: 9 }, () => heard.push(undefined))).toBe(false);
    forwarder.tick(100);
    expect(heard).toHaveLength(3);
  });
});
