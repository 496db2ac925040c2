import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { timerMsMax } from '../../src/base/clock.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import { root } from '../tidy/project.ts';

describe('SystemClock', () => {
  const clock = new SystemClock();

  it('tells the time of day and a time that does not go back', () => {
    const beforeMs = Date.now();
    const wallMs = clock.wallMs();
    expect(wallMs).toBeGreaterThanOrEqual(beforeMs);
    expect(wallMs).toBeLessThanOrEqual(Date.now());
    const times = Array.from({ length: 100 }, () => clock.monotonicMs());
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  it('fires a timer once, not early, and never inside the call that sets it', async () => {
    const startMs = clock.monotonicMs();
    let fired = 0;
    await new Promise<void>((resolve) => {
      clock.setTimer(20, () => {
        fired += 1;
        resolve();
      });
      expect(fired).toBe(0);
    });
    // Node counts its timers in whole milliseconds of the loop's time, which may be one behind.
    expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(19);
    expect(fired).toBe(1);
  });

  it('does not fire a cancelled timer or turn', async () => {
    const fired: string[] = [];
    clock.setTimer(1, () => fired.push('timer')).cancel();
    clock.nextTurn(() => fired.push('turn')).cancel();
    await new Promise<void>((resolve) => void clock.setTimer(5, resolve));
    expect(fired).toEqual([]);
  });

  it('refuses times that Node would turn into one millisecond', () => {
    for (const ms of [-1, Number.NaN, timerMsMax + 1]) expect(() => clock.setTimer(ms, () => {})).toThrow(/timer of/);
    clock.setTimer(timerMsMax, () => {}).cancel();
  });

  it('runs nextTurn after the sockets were read, when a stall made timer and data due together', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
    const [[socket]] = (await Promise.all([once(server, 'connection'), once(client, 'connect')])) as [
      [Socket],
      unknown,
    ];
    const order: string[] = [];
    socket.on('data', () => order.push('data'));
    await new Promise<void>((resolve) => {
      clock.nextTurn(() => {
        client.write('x');
        clock.setTimer(2, () => {
          order.push('timer');
          clock.nextTurn(() => {
            order.push('turn');
            resolve();
          });
        });
        const stalledFromMs = clock.monotonicMs();
        while (clock.monotonicMs() - stalledFromMs < 10);
      });
    });
    client.destroy();
    socket.destroy();
    server.close();
    expect(order).toEqual(['timer', 'data', 'turn']);
  });

  it('keeps no process alive for a timer without reference', () => {
    const module = JSON.stringify(join(root, 'src/base/system-clock.ts'));
    const script = `const { SystemClock } = await import(${module});
      new SystemClock().setTimer(600_000, () => {}, { unref: true });`;
    const run = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: root,
      timeout: 15_000,
    });
    expect(run.status).toBe(0);
  });
});
