import { describe, expect, it } from 'vitest';
import { parseShowOptions } from '../../../scripts/show/options.ts';

describe('parseShowOptions', () => {
  it('knows its options', () => {
    expect(parseShowOptions([])).toEqual({ once: false, directory: undefined, help: false });
    expect(parseShowOptions(['--once', '--directory', 'x'])).toEqual({ once: true, directory: 'x', help: false });
    expect(parseShowOptions(['-h']).help).toBe(true);
  });

  it.each([
    [['--onze'], "'--onze'"],
    [['once'], "'once'"],
    [['--directory'], '--directory'],
    [['--directory='], '--directory needs'],
  ])('refuses %j', (args, named) => {
    expect(() => parseShowOptions(args)).toThrow(named);
  });
});
