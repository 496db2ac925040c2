import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { LogDestination } from '../../src/telemetry/log-destination.ts';
import type { LogOptions } from '../../src/telemetry/logger.ts';
import { openLog } from '../../src/telemetry/logger.ts';
import { RateGate } from '../../src/telemetry/rate-gate.ts';
import { Secret } from '../../src/telemetry/secret.ts';

class Lines implements LogDestination {
  readonly lines: string[] = [];
  readonly droppedLines = 7;

  write(line: string): void {
    this.lines.push(line);
  }

  async close(): Promise<void> {
    this.lines.push('closed');
  }
}

function logInto(destination: Lines, options: Partial<LogOptions> = {}): ReturnType<typeof openLog> {
  return openLog({ level: 'info', format: 'json', memberId: 'a', clock: new ManualClock(), destination, ...options });
}

describe('openLog', () => {
  it('writes one JSON object a line with time, level, member and message', () => {
    const destination = new Lines();
    const log = logInto(destination);
    log.logger.info({ term: 3 }, 'leads');
    log.logger.debug('not at this level');
    expect(destination.lines).toHaveLength(1);
    expect(destination.lines[0]).toMatch(/\}\n$/);
    const line = JSON.parse(destination.lines[0] ?? '') as Record<string, unknown>;
    expect(line).toEqual({ level: 'info', time: expect.any(String), member: 'a', term: 3, msg: 'leads' });
    expect(new Date(String(line['time'])).toISOString()).toBe(line['time']);
    expect(log.droppedLines()).toBe(7);
  });

  it('hides what clients have registered, and secrets', () => {
    const destination = new Lines();
    const { logger } = logInto(destination, { level: 'debug' });
    const canary = 'canary-4711';
    logger.info({ metadata: { key: canary }, instance: { metadata: canary, spec: canary, tags: [canary] } }, 'a');
    logger.debug({ request: { token: canary, authorization: canary }, secret: new Secret(canary) }, 'b');
    expect(destination.lines).toHaveLength(2);
    expect(destination.lines.join('')).not.toContain(canary);
  });

  it('writes lines for people on demand', () => {
    const destination = new Lines();
    logInto(destination, { format: 'pretty' }).logger.warn({ peer: 'b' }, 'cannot reach a peer');
    expect(destination.lines).toHaveLength(1);
    expect(destination.lines[0]).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] WARN.*a: cannot reach a peer.*"peer":"b"/);
  });

  it('closes its destination', async () => {
    const destination = new Lines();
    await logInto(destination).close(100);
    expect(destination.lines).toEqual(['closed']);
  });
});

describe('Secret', () => {
  it('shows its value to nobody but who asks for it', () => {
    const secret = new Secret('canary-4711');
    const shown = [
      String(secret),
      JSON.stringify({ secret }),
      inspect(secret),
      inspect({ deep: { secret } }, { depth: 9, showHidden: true }),
      Object.prototype.toString.call(secret),
      JSON.stringify(Object.entries(secret)),
      JSON.stringify(structuredClone(secret)),
    ];
    expect(shown.join()).not.toContain('canary');
    expect(secret.reveal()).toBe('canary-4711');
  });
});

describe('RateGate', () => {
  it('lets one of a kind through in its time, and says how many it held back', () => {
    const clock = new ManualClock();
    const gate = new RateGate(clock, 100);
    expect(gate.pass('a')).toBe(0);
    expect(gate.pass('a')).toBeUndefined();
    expect(gate.pass('b')).toBe(0);
    expect(gate.pass('a')).toBeUndefined();
    clock.advance(99);
    expect(gate.pass('a')).toBeUndefined();
    clock.advance(1);
    expect(gate.pass('a')).toBe(3);
    clock.advance(100);
    expect(gate.pass('a')).toBe(0);
  });
});
