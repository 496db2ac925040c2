import type { LookupAddress } from 'node:dns';
import { expect, it } from 'vitest';
import { SharedLookups } from '../../src/transport/shared-lookups.ts';

type Answer = (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void;

it('looks a name up once at a time, answers all who asked in the form they asked for, and then anew', () => {
  const asked: { readonly host: string; readonly answer: Answer }[] = [];
  const lookups = new SharedLookups((host, answer) => asked.push({ host, answer }));
  const heard: unknown[][] = [];
  const hear = (...answer: unknown[]): void => void heard.push(answer);
  lookups.lookup('one', { all: true }, hear);
  lookups.lookup('one', {}, hear);
  lookups.lookup('two', {}, hear);
  expect(asked.map(({ host }) => host)).toEqual(['one', 'two']);
  const found = [
    { address: '::1', family: 6 },
    { address: '127.0.0.1', family: 4 },
  ];
  asked[0]?.answer(null, found);
  expect(heard).toEqual([
    [null, found],
    [null, '::1', 6],
  ]);
  const missing = new Error('ENOTFOUND');
  asked[1]?.answer(missing, []);
  expect(heard[2]?.[0]).toBe(missing);
  lookups.lookup('one', {}, hear);
  expect(asked.map(({ host }) => host)).toEqual(['one', 'two', 'one']);
});

it('gives what the system has of a name', async () => {
  const lookups = new SharedLookups();
  const found = await new Promise((resolve) =>
    lookups.lookup('127.0.0.1', { all: true }, (_error, all) => resolve(all)),
  );
  expect(found).toEqual([{ address: '127.0.0.1', family: 4 }]);
});
