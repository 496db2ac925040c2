import { describe, expect, it } from 'vitest';
import { checkLinearizable } from './check-linearizable.ts';
import { parseRegisterLog, parseTextLog } from './public-histories.ts';
import { registerModel } from './register-model.ts';
import { textModel } from './text-model.ts';
import { HistoryError } from './types.ts';

const event = (client: number, what: string): string => `INFO  jepsen.util - ${client}\t${what.replaceAll(' ', '\t')}`;
const swap = (kind: string, from: number, to: number): string => `${kind}\t:cas\t[${from} ${to}]`;

describe('parseRegisterLog', () => {
  it('reads events; unknown outcomes stay open and failed reads are left out', () => {
    const lines = [
      event(0, ':invoke :write 3'),
      event(1, ':invoke :read nil'),
      event(0, ':ok :write 3'),
      event(1, ':ok :read nil'),
      `INFO  jepsen.util - 2   ${swap(':invoke', 3, 4)}`,
      event(2, ':info :cas :timed-out'),
      event(3, ':invoke :read nil'),
      event(3, ':fail :read :timed-out'),
      `INFO  jepsen.util - 4\t${swap(':invoke', 1, 2)}`,
      `INFO  jepsen.util - 4\t${swap(':fail', 1, 2)}`,
    ];
    const history = parseRegisterLog(`${lines.join('\n')}\n`);
    const key = 'register';
    expect(history).toEqual([
      { client: '0', key, start: 0, end: 2, input: { kind: 'write', value: 3 }, output: { kind: 'written' } },
      { client: '1', key, start: 1, end: 3, input: { kind: 'read' }, output: { kind: 'value', value: null } },
      {
        client: '4',
        key,
        start: 8,
        end: 9,
        input: { kind: 'cas', from: 1, to: 2 },
        output: { kind: 'swapped', swapped: false },
      },
      { client: '2', key, start: 4, end: Infinity, input: { kind: 'cas', from: 3, to: 4 }, output: undefined },
    ]);
    expect(checkLinearizable(history, registerModel).ok).toBe(true);
  });

  it('refuses other lines, and events that do not fit', () => {
    for (const lines of [
      ['something else'],
      [event(0, ':ok :write 3')],
      [event(0, ':invoke :write 3'), event(0, ':invoke :write 4')],
      [event(0, ':invoke :write three')],
    ]) {
      expect(() => parseRegisterLog(lines.join('\n'))).toThrow(HistoryError);
    }
  });
});

describe('parseTextLog', () => {
  const line = (client: number, type: string, call: string, value: string): string =>
    `{:process ${client}, :type :${type}, :f :${call}, :key "k", :value ${value}}`;

  it('reads events', () => {
    const lines = [
      line(0, 'invoke', 'put', '"a"'),
      line(1, 'invoke', 'append', '"b"'),
      line(0, 'ok', 'put', '"a"'),
      line(2, 'invoke', 'get', 'nil'),
      line(2, 'ok', 'get', '"ab"'),
    ];
    const history = parseTextLog(lines.join('\n'));
    expect(history.map(({ start, end }) => [start, end])).toEqual([
      [0, 2],
      [3, 4],
      [1, Infinity],
    ]);
    expect(checkLinearizable(history, textModel).ok).toBe(true);
    const wrong = parseTextLog([...lines.slice(0, 4), line(2, 'ok', 'get', '"ba"')].join('\n'));
    expect(checkLinearizable(wrong, textModel).ok).toBe(false);
  });

  it('refuses other lines', () => {
    expect(() => parseTextLog('{:process 0}')).toThrow(HistoryError);
  });
});
