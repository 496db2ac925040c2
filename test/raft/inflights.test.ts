import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { Inflights } from '../../src/raft/inflights.ts';

describe('Inflights', () => {
  it('is full at its bound of messages', () => {
    const window = new Inflights(2, 1000);
    window.add(1, 10);
    expect(window.full).toBe(false);
    window.add(5, 10);
    expect([window.full, window.count, window.bytes]).toEqual([true, 2, 20]);
    expect(() => window.add(6, 1)).toThrow(InvariantError);
  });

  it('is full at its bound of bytes, and takes the message that crosses it', () => {
    const window = new Inflights(100, 20);
    window.add(1, 19);
    expect(window.full).toBe(false);
    window.add(2, 500);
    expect([window.full, window.bytes]).toEqual([true, 519]);
  });

  it('frees whole messages in order', () => {
    const window = new Inflights(3, 1000);
    window.add(2, 1);
    window.add(4, 2);
    window.add(6, 4);
    window.freeTo(1);
    expect(window.count).toBe(3);
    window.freeTo(5);
    expect([window.count, window.bytes, window.full]).toEqual([1, 4, false]);
    window.freeTo(100);
    expect([window.count, window.bytes]).toEqual([0, 0]);
    window.add(7, 1);
    window.clear();
    expect([window.count, window.bytes]).toEqual([0, 0]);
  });

  it('takes messages only in the order of their entries', () => {
    const window = new Inflights(3, 1000);
    window.add(2, 1);
    expect(() => window.add(2, 1)).toThrow(InvariantError);
  });
});
