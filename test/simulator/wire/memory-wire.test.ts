import type { ServiceError } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { ClientError } from '../../../src/client/client-error.ts';
import { ProcessClock } from '../world/process-clock.ts';
import { heard, MemoryRig } from './rigs.ts';

const ask = '/probe.Probe/Ask';
const talk = '/probe.Probe/Talk';

function asked(rig: MemoryRig, text: string): string[] {
  const log: string[] = [];
  rig.channel.call(ask, Buffer.from(text), (error: ServiceError | null, answer) => {
    log.push(error === null ? `answer ${String(answer)}` : ClientError.ofCall(error, 'member:7400').reason);
  });
  return log;
}

async function connected(rig: MemoryRig): Promise<void> {
  const log = asked(rig, 'echo');
  await rig.until('a connection', () => log.length > 0);
  rig.server.length = 0;
}

describe('a wire in memory', () => {
  it('takes the time of its links', async () => {
    const rig = new MemoryRig();
    await connected(rig);
    rig.delayMs = 40;
    const log = asked(rig, 'echo');
    await rig.pass(79);
    expect(log).toEqual([]);
    await rig.pass(1);
    expect(log).toEqual(['answer echo']);
  });

  it('holds what is sent over a cut link, and delivers it in order once that is whole', async () => {
    const rig = new MemoryRig();
    await connected(rig);
    const stream = rig.channel.stream(talk);
    const log = heard(stream);
    rig.cuts.add('client member');
    for (const word of ['keep', 'one', 'two']) stream.write(Buffer.from(word));
    await rig.pass(3_000);
    expect(rig.server).toEqual([]);
    rig.cuts.clear();
    await rig.pass(400);
    expect(rig.server).toEqual(['opened', 'got keep', 'got one', 'got two']);
    expect(log).toEqual([]);
  });

  it('breaks where pings are not answered, each end by its own time', async () => {
    const rig = new MemoryRig();
    await connected(rig);
    const stream = rig.channel.stream(talk);
    const log = heard(stream);
    stream.write(Buffer.from('keep'));
    await rig.pass(10);
    rig.cuts.add('client member');
    rig.cuts.add('member client');
    // Pings leave 10 s after the connection was made, and are waited for 5 s.
    await rig.pass(14_900);
    expect(log).toEqual([]);
    await rig.pass(200);
    expect(log.at(-1)).toBe('status 14');
    expect(rig.server).not.toContain('cancelled true');
    await rig.pass(15_000);
    expect(rig.server).toContain('cancelled true');
  });

  it('tells a client of a process that is gone as soon as the link lets it', async () => {
    const rig = new MemoryRig();
    await connected(rig);
    const log = heard(rig.channel.stream(talk));
    await rig.pass(10);
    rig.kill();
    await rig.pass(0.5);
    expect(log).toEqual([]);
    await rig.pass(1);
    expect(log.at(-1)).toBe('status 14');
  });

  it('leaves a client in doubt where the link is cut too, and resets it at its next word', async () => {
    const rig = new MemoryRig();
    await connected(rig);
    const stream = rig.channel.stream(talk);
    const log = heard(stream);
    await rig.pass(10);
    rig.cuts.add('member client');
    rig.kill();
    await rig.pass(2_000);
    rig.cuts.clear();
    await rig.pass(2_000);
    expect(log).toEqual([]);
    stream.write(Buffer.from('one'));
    await rig.pass(5);
    expect(log.at(-1)).toBe('status 14');
  });

  it('refuses where nobody listens, at once and for a while without asking again', async () => {
    const rig = new MemoryRig();
    rig.kill();
    const first = asked(rig, 'echo');
    await rig.pass(3);
    expect(first).toEqual(['UNREACHABLE']);
    const second = asked(rig, 'echo');
    await rig.pass(0.1);
    expect(second).toEqual(['UNREACHABLE']);
    rig.process = rig.serve(new ProcessClock(rig.serverMachine));
    await rig.pass(110);
    const third = asked(rig, 'echo');
    await rig.pass(10);
    expect(third).toEqual(['answer echo']);
  });

  it('reads the sockets of a process that stood still behind its timers and before its next turn', async () => {
    const rig = new MemoryRig();
    await connected(rig);
    const clock = rig.serverClock;
    clock.freeze();
    const log = asked(rig, 'echo');
    clock.setTimer(500, () => {
      rig.server.push('timer');
      clock.nextTurn(() => rig.server.push('turn behind the timer'));
    });
    await rig.pass(1_000);
    expect(rig.server).toEqual([]);
    clock.thaw();
    await rig.pass(5);
    const order = rig.server.filter((line) => !line.startsWith('ask echo'));
    expect(order).toEqual(['timer', 'asked echo, deadline none', 'turn behind the timer']);
    expect(log).toEqual(['answer echo']);
  });

  it('keeps what arrives for a client that stands still', async () => {
    const rig = new MemoryRig();
    await connected(rig);
    const log = asked(rig, 'echo');
    rig.clientClock.freeze();
    await rig.pass(100);
    expect(log).toEqual([]);
    rig.clientClock.thaw();
    await rig.pass(1);
    expect(log).toEqual(['answer echo']);
  });

  it('shows a member the end of a client that is killed as a half-close with a reset right behind it', async () => {
    const rig = new MemoryRig();
    await connected(rig);
    const log = heard(rig.channel.stream(talk));
    await rig.pass(5);
    rig.clientClock.end();
    rig.sockets.kill();
    await rig.pass(5);
    expect(rig.server).toEqual(['opened', 'end', 'cancelled true']);
    expect(log).toEqual([]);
  });

  it('lets calls end where a member stops, and cuts those that stay', async () => {
    const rig = new MemoryRig();
    await connected(rig);
    const log = heard(rig.channel.stream(talk));
    await rig.pass(5);
    let isClosed = false;
    void rig.process.close(1_000).then(() => (isClosed = true));
    const late = asked(rig, 'echo');
    await rig.pass(500);
    // It was on its way when the member began to stop.
    expect(late).toEqual(['answer echo']);
    const refused = asked(rig, 'echo');
    await rig.pass(400);
    expect(refused).toEqual(['UNREACHABLE']);
    expect(log).toEqual([]);
    expect(isClosed).toBe(false);
    await rig.pass(200);
    expect(isClosed).toBe(true);
    expect(log.at(-1)).toBe('status 14');
  });

  it('lets no more calls on one connection than a member takes, and the next ones wait', async () => {
    const rig = new MemoryRig();
    await connected(rig);
    const streams = Array.from({ length: 129 }, () => rig.channel.stream(talk));
    for (const stream of streams) {
      heard(stream);
      stream.write(Buffer.from('keep'));
    }
    await rig.pass(100);
    const opened = (): number => rig.server.filter((line) => line === 'opened').length;
    expect(opened()).toBe(128);
    streams[0]?.cancel();
    await rig.pass(10);
    expect(opened()).toBe(129);
  });
});
