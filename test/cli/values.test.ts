import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatDuration,
  formatEndpoint,
  parseDuration,
  parseEndpoint,
  parseInteger,
  parsePair,
  parseServers,
} from '../../src/cli/values.ts';

describe('values of options', () => {
  it.each([
    ['500ms', 500],
    ['10s', 10_000],
    ['1.5m', 90_000],
    ['1h30m', 5_400_000],
    ['24h', 86_400_000],
  ])('reads the duration %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '10', 's', '10 s', '-1s', '1d', '10s!', '0s', '1e3s', '999999999h'])('refuses "%s" as one', (text) => {
    expect(() => parseDuration(text)).toThrow(/is no duration; write e.g. 500ms/);
  });

  it('reads each duration that it writes, to a tenth of a second', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 86_400_000 }), (ms) => {
        const grain = ms < 1_000 ? 1 : 100;
        expect(Math.abs(parseDuration(formatDuration(ms)) - ms)).toBeLessThan(grain);
      }),
    );
  });

  it.each([
    ['main=grpc://10.0.0.7:8080', { name: 'main', protocol: 'grpc', address: '10.0.0.7', port: 8080 }],
    ['web=http://[::1]:80', { name: 'web', protocol: 'http', address: '::1', port: 80 }],
    ['a.b=h2c://db.local:65535', { name: 'a.b', protocol: 'h2c', address: 'db.local', port: 65_535 }],
  ])('reads the endpoint %s and writes it so', (text, endpoint) => {
    expect(parseEndpoint(text)).toEqual(endpoint);
    expect(formatEndpoint(endpoint)).toBe(text);
  });

  it.each([
    '',
    'grpc://h:1',
    'm=h:1',
    'm=grpc://h',
    'm=grpc://h:0',
    'm=grpc://h:65536',
    'm=grpc://::1:1',
    'm=grpc://h:1/x',
  ])('refuses "%s" as one', (text) => {
    expect(() => parseEndpoint(text)).toThrow(/is no endpoint; write name=protocol:\/\/host:port/);
  });

  it('reads pairs, servers and whole numbers', () => {
    expect(parsePair('k=v=w')).toEqual(['k', 'v=w']);
    expect(parsePair('k=')).toEqual(['k', '']);
    expect(() => parsePair('=v')).toThrow(/key=value/);
    expect(() => parsePair('k')).toThrow(/key=value/);
    expect(parseServers('a:1, [::1]:2')).toEqual(['a:1', '[::1]:2']);
    expect(() => parseServers('a:1,')).toThrow(/host:port/);
    expect(parseInteger('9007199254740991')).toBe(Number.MAX_SAFE_INTEGER);
    for (const bad of ['9007199254740992', '-1', '1.5', '', '0x1']) expect(() => parseInteger(bad)).toThrow(/whole/);
    expect(() => parseInteger('0', 1)).toThrow(/at least 1/);
  });
});
