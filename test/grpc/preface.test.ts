import { describe, expect, it } from 'vitest';
import { judgePreface, prefaceBytes } from '../../src/grpc/preface.ts';
import { clientHello } from './raw-http2.ts';

describe('judgePreface', () => {
  it('waits for the whole preface and the head of the first frame', () => {
    expect(prefaceBytes).toBe(33);
    for (let length = 0; length < prefaceBytes; length++) {
      expect(judgePreface(clientHello.subarray(0, length)), `${length} bytes`).toBe('more');
    }
    expect(judgePreface(clientHello)).toBe('http2');
    expect(judgePreface(Buffer.concat([clientHello, Buffer.alloc(500)]))).toBe('http2');
  });

  it('refuses a preface with any byte changed', () => {
    for (let at = 0; at < 24; at++) {
      const changed = Buffer.from(clientHello);
      changed[at] = 0x7e;
      expect(judgePreface(changed), `byte ${at}`).toBe('garbage');
    }
  });

  it.each([
    ['G', 'more'],
    ['GET', 'more'],
    ['GET / HTTP/1.1', 'http1'],
    ['POST /x HTTP/1.1', 'http1'],
    ['OPTIONS * HTTP/1.1', 'http1'],
    ['HELLO WORLD', 'garbage'],
    ['PRJ', 'more'],
    ['PRJ * HTTP/2.0', 'garbage'],
    ['\u0016\u0003\u0001', 'tls'],
    ['\u0000', 'garbage'],
  ])('judges %j', (text, verdict) => {
    expect(judgePreface(Buffer.from(text, 'latin1'))).toBe(verdict);
  });
});
