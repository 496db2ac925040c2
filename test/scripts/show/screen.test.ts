import { describe, expect, it } from 'vitest';
import { duration, Screen, seconds, wantsColours } from '../../../scripts/show/screen.ts';

function printed(coloured: boolean, use: (screen: Screen) => void): string {
  let text = '';
  use(new Screen({ write: (part) => void (text += part), coloured, elapsedMs: () => 12_345 }));
  return text;
}

describe('Screen', () => {
  it('puts the time before what happens, in columns', () => {
    expect(printed(false, (screen) => screen.line('member a', 'leads'))).toBe(' 12.35 s    member a   leads\n');
    expect(printed(false, (screen) => screen.held('leads'))).toBe(' 12.35 s  ✓ leads\n');
    expect(printed(false, (screen) => screen.failed('nobody leads'))).toBe(' 12.35 s  ✗ nobody leads\n');
    expect(printed(false, (screen) => screen.step('1/7', 'Begin'))).toBe('\n 12.35 s  1/7  Begin\n');
  });

  it('indents every line of a text', () => {
    expect(printed(false, (screen) => screen.text('one\n\ntwo'))).toBe('  one\n\n  two\n');
  });

  it('uses colours where it is told to, and ends each', () => {
    expect(printed(true, (screen) => screen.held('leads'))).toContain('\u001b[32m✓\u001b[39m leads');
    expect(printed(false, (screen) => screen.held('leads'))).not.toContain('\u001b');
  });

  it('prints nothing once it is closed', () => {
    const close = (screen: Screen): void => {
      screen.close();
      screen.held('leads');
    };
    expect(printed(false, close)).toBe('');
  });
});

describe('wantsColours', () => {
  it.each([
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: '1' }, false],
    [true, { NO_COLOR: '' }, true],
    [true, { TERM: 'dumb' }, false],
  ])('terminal %s, environment %o: %s', (isTerminal, env, expected) => {
    expect(wantsColours(isTerminal, env)).toBe(expected);
  });
});

describe('durations', () => {
  it('have as many digits as mean something', () => {
    expect([3.44, 9.99, 10, 340.4, 999, 1_000, 61_500].map(duration)).toEqual([
      '3.4 ms',
      '10.0 ms',
      '10 ms',
      '340 ms',
      '999 ms',
      '1.00 s',
      '61.50 s',
    ]);
    expect(seconds(0)).toBe('0.00 s');
  });
});
