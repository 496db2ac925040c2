import { MessageChannel } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { RollcallError, StorageError } from '../../src/base/errors.ts';
import { bytesOf, type ByteRange } from '../../src/replica/byte-batch.ts';
import { ThreadLink } from '../../src/replica/thread-link.ts';
import { portEndpoint } from '../../src/server/thread-port.ts';

interface Tell {
  readonly name: string;
  readonly data: ByteRange;
}

type Link = ThreadLink<string, Tell, string, Tell>;

/** One side, over one end of a real channel: messages are cloned and buffers moved as between threads. */
class Side {
  readonly heard: string[] = [];
  readonly batches: number[] = [];
  readonly fatal: unknown[] = [];
  answer: (ask: string) => Promise<unknown> = (ask) => Promise.resolve(`${ask}!`);
  readonly link: Link;

  constructor(port: MessageChannel['port1']) {
    this.link = new ThreadLink({
      endpoint: portEndpoint(port, () => port.close()),
      onTells: (tells, bytes) => {
        this.batches.push(tells.length);
        for (const { name, data } of tells) this.heard.push(`${name}=${Buffer.from(bytesOf(bytes, data)).toString()}`);
      },
      onAsk: (ask) => {
        this.heard.push(`asked ${ask}`);
        return this.answer(ask);
      },
      onFatal: (error) => this.fatal.push(error),
    });
  }

  tell(name: string, data: string): void {
    const bytes = Buffer.from(data);
    this.link.tell((batch) => ({ name, data: batch.add(bytes) }));
  }
}

let here: Side;
let there: Side;

beforeEach(() => {
  const { port1, port2 } = new MessageChannel();
  here = new Side(port1);
  there = new Side(port2);
});

afterEach(() => {
  here.link.close();
  there.link.close();
});

async function* pieces(texts: readonly string[], ended: () => void = () => undefined): AsyncGenerator<Uint8Array> {
  try {
    for (const text of texts) yield await Promise.resolve(Buffer.from(text));
  } finally {
    ended();
  }
}

async function read(body: AsyncIterable<Uint8Array>): Promise<string[]> {
  const texts: string[] = [];
  for await (const piece of body) texts.push(Buffer.from(piece).toString());
  return texts;
}

describe('ThreadLink', () => {
  it('says what is told in one step as one batch, with its bytes, in order', async () => {
    here.tell('a', 'one');
    here.tell('b', '');
    here.tell('c', 'three');
    await here.link.ask('done');
    expect(there.heard).toEqual(['a=one', 'b=', 'c=three', 'asked done']);
    expect(there.batches).toEqual([3]);
  });

  it('keeps the order of tells and questions, both ways at once', async () => {
    here.tell('a', '1');
    const first = here.link.ask('first');
    there.tell('x', '9');
    here.tell('b', '2');
    const second = here.link.ask('second');
    expect(await Promise.all([first, second])).toEqual(['first!', 'second!']);
    expect(there.heard).toEqual(['a=1', 'asked first', 'b=2', 'asked second']);
    expect(here.heard).toEqual(['x=9']);
  });

  it('leaves the bytes of the sender as they are', async () => {
    const whole = Buffer.from('before|told|after');
    here.link.tell((batch) => ({ name: 'a', data: batch.add(whole.subarray(7, 11)) }));
    await here.link.ask('done');
    expect(there.heard[0]).toBe('a=told');
    expect(whole.toString()).toBe('before|told|after');
  });

  it.each([
    [new StorageError('damaged', 'log/7.seg', 'page 3 is bad', { offset: 4_096 }), StorageError],
    [new RollcallError('NOT_SERVING', 'away', { retryAfterMs: 500 }), RollcallError],
    [new InvariantError('index: is 3, expected 4'), InvariantError],
    [new TypeError('other'), Error],
    [Object.assign(new Error('listen EADDRINUSE'), { code: 'EADDRINUSE', syscall: 'listen' }), Error],
  ])('brings an error back as what it is: %s', async (error, type) => {
    there.answer = () => Promise.reject(error);
    const failure: unknown = await here.link.ask('x').catch((thrown: unknown) => thrown);
    expect(failure).toBeInstanceOf(type);
    const { message, name, stack } = error;
    expect(failure).toMatchObject({ ...Object.fromEntries(Object.entries(error)), message, name, stack });
    if (error instanceof StorageError)
      expect(failure).toMatchObject({ kind: 'damaged', file: 'log/7.seg', offset: 4_096 });
    if (error instanceof RollcallError) expect(failure).toMatchObject({ reason: 'NOT_SERVING', retryAfterMs: 500 });
  });

  it('carries a body piece by piece, as it is asked for', async () => {
    let ended = 0;
    let made = 0;
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const piece of pieces(['one', 'two', 'three'], () => ended++)) {
        made++;
        yield piece;
      }
    }
    const body = there.link.body(here.link.offer(counted()));
    const first = await body.next();
    expect(Buffer.from(first.value ?? []).toString()).toBe('one');
    expect(made).toBe(1);
    expect(await read(body)).toEqual(['two', 'three']);
    expect([made, ended]).toEqual([3, 1]);
  });

  it('lets go of a body that is left in the middle, and passes on what it throws', async () => {
    let ended = 0;
    const left = there.link.body(here.link.offer(pieces(['one', 'two'], () => ended++)));
    await left.next();
    await left.return(undefined);
    await there.link.ask('behind it');
    expect(ended).toBe(1);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* pieces(['one']);
      throw new StorageError('io', 'state', 'gone');
    }
    await expect(read(there.link.body(here.link.offer(broken())))).rejects.toMatchObject({ kind: 'io', file: 'state' });
  });

  it('ends open questions when it is closed, and takes none after', async () => {
    there.answer = () => new Promise(() => undefined);
    const open = here.link.ask('x');
    here.link.close(new Error('the thread ended'));
    await expect(open).rejects.toThrow('the thread ended');
    await expect(here.link.ask('y')).rejects.toThrow('gone');
    here.tell('a', 'lost');
  });

  it('hands what a handler throws to its owner', async () => {
    here.link.tell(() => ({ name: 'bad', data: { at: 5, length: 5 } }));
    await here.link.ask('behind it');
    expect(there.fatal).toMatchObject([{ name: 'InvariantError', message: 'bytes 5+5 of a batch of 0' }]);
  });
});
