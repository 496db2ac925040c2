import type { ServiceError } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import type { Rig } from './rigs.ts';
import { heard, MemoryRig, socketRig, told } from './rigs.ts';

const ask = '/probe.Probe/Ask';
const talk = '/probe.Probe/Talk';

/** What both ends of a scene saw; a kind of wire is as good as the other where these are equal. */
interface Seen {
  readonly client: readonly string[];
  readonly server: readonly string[];
  /** When a write is told to be taken, against what else happens, is left open. */
  readonly taken: number;
}

type Scene = (rig: Rig) => Promise<readonly string[]>;

function answerTo(rig: Rig, text: string, extras: { timeoutMs?: number } = {}): { log: string[]; cancel: () => void } {
  const log: string[] = [];
  const call = rig.channel.call(
    ask,
    Buffer.from(text),
    (error: ServiceError | null, answer) => log.push(error === null ? `answer ${String(answer)}` : told(error)),
    extras,
  );
  return { log, cancel: () => call.cancel() };
}

const serverIsDone = (rig: Rig) => (): boolean => rig.server.some((line) => /cancelled true|is over: true/.test(line));

/** Each waits for what must come, and then long enough for what must not. */
const scenes: Readonly<Record<string, Scene>> = {
  'an answer': async (rig) => {
    const { log } = answerTo(rig, 'echo');
    await rig.until('an answer', () => log.length > 0 && serverIsDone(rig)());
    return log;
  },
  'a refusal with details': async (rig) => {
    const { log } = answerTo(rig, 'refuse');
    await rig.until('an answer', () => log.length > 0 && serverIsDone(rig)());
    return log;
  },
  'a deadline': async (rig) => {
    const { log } = answerTo(rig, 'hang', { timeoutMs: 60 });
    await rig.until('the deadline', () => log.length > 0 && serverIsDone(rig)());
    // Which words, and which of the two ends is first, is left open.
    return log.map((line) => line.replace(/Deadline exceeded[^(]*\(.*\)/, 'late'));
  },
  'a call that is cancelled': async (rig) => {
    const { log, cancel } = answerTo(rig, 'hang');
    await rig.until('the call', () => rig.server.length > 0);
    cancel();
    await rig.until('the end', () => log.length > 0 && serverIsDone(rig)());
    return log;
  },
  'a call that is cancelled at once': async (rig) => {
    const { log, cancel } = answerTo(rig, 'hang');
    cancel();
    await rig.until('the end', () => log.length > 0);
    await rig.pass(50);
    return log;
  },
  'a method that nobody has': async (rig) => {
    const log: string[] = [];
    rig.channel.call('/probe.Probe/Nothing', Buffer.from('x'), (error) => {
      log.push(error === null ? 'answer' : told(error));
    });
    await rig.until('a refusal', () => log.length > 0);
    return log;
  },
  'a stream that the client half-closes': async (rig) => {
    const stream = rig.channel.stream(talk);
    const log = heard(stream);
    stream.write(Buffer.from('echo 1'));
    stream.write(Buffer.from('echo 2'));
    stream.end();
    await rig.until('the end', () => log.includes('status 0') && serverIsDone(rig)());
    return log;
  },
  'a stream that the member ends': async (rig) => {
    const stream = rig.channel.stream(talk);
    const log = heard(stream);
    stream.write(Buffer.from('keep'));
    stream.write(Buffer.from('echo'));
    stream.write(Buffer.from('end'));
    await rig.until('the end', () => log.includes('status 0') && serverIsDone(rig)());
    stream.write(Buffer.from('late'));
    await rig.pass(50);
    return log;
  },
  'a stream that the member refuses': async (rig) => {
    const stream = rig.channel.stream(talk);
    const log = heard(stream);
    stream.write(Buffer.from('refuse'));
    await rig.until('the end', () => log.some((line) => line.startsWith('status')) && serverIsDone(rig)());
    return log.filter((line) => line !== 'got before');
  },
  'a stream that the client cancels': async (rig) => {
    const stream = rig.channel.stream(talk);
    const log = heard(stream);
    stream.write(Buffer.from('keep'));
    await rig.until('the message', () => rig.server.includes('got keep'));
    stream.cancel();
    stream.cancel();
    await rig.until('the end', () => log.some((line) => line.startsWith('status')) && serverIsDone(rig)());
    await rig.pass(50);
    return log;
  },
  'a stream that is cancelled behind its half-close': async (rig) => {
    const stream = rig.channel.stream(talk);
    const log = heard(stream);
    stream.write(Buffer.from('keep'));
    stream.end();
    await rig.until('the half-close', () => rig.server.includes('end'));
    stream.cancel();
    await rig.until('the end', () => log.some((line) => line.startsWith('status')) && serverIsDone(rig)());
    return log;
  },
  'a stream that is not read by the member': async (rig) => {
    const stream = rig.channel.stream(talk);
    const log = heard(stream);
    stream.write(Buffer.from('pause'));
    await rig.until('the pause', () => rig.server.includes('got pause'));
    stream.write(Buffer.from('echo'));
    await rig.pass(50);
    stream.cancel();
    await rig.until('the end', () => log.some((line) => line.startsWith('status')) && serverIsDone(rig)());
    return log;
  },
  'a flood that fits': async (rig) => {
    const stream = rig.channel.stream(talk);
    const log = heard(stream);
    stream.write(Buffer.from('flood 3'));
    await rig.until('the flood', () => log.length === 3 && rig.server.includes('taken 2'));
    stream.end();
    await rig.until('the end', () => log.includes('status 0') && serverIsDone(rig)());
    return log.map((line) => line.slice(0, 4));
  },
  'a member that is gone in the middle of a stream': async (rig) => {
    const stream = rig.channel.stream(talk);
    const log = heard(stream);
    stream.write(Buffer.from('keep'));
    await rig.until('the message', () => rig.server.includes('got keep'));
    const { length } = rig.server;
    rig.kill();
    await rig.until('the end', () => log.some((line) => line.startsWith('status')));
    rig.server.length = length;
    // A forced shutdown of grpc-js in one's own process resets streams, a process that is killed its connections.
    return log.map((line) => (/^(?:error|status)/.test(line) ? line.slice(0, 5) : line));
  },
};

/** Of a client that is gone: only what the member sees of it. */
const clientScenes: Readonly<Record<string, Scene>> = {
  'a client that is gone in the middle of a stream': async (rig) => {
    const stream = rig.channel.stream(talk);
    heard(stream);
    stream.write(Buffer.from('keep'));
    await rig.until('the message', () => rig.server.includes('got keep'));
    rig.killClient();
    await rig.until('the end', serverIsDone(rig));
    await rig.pass(50);
    return ['gone'];
  },
  'a client that is gone behind its half-close': async (rig) => {
    const stream = rig.channel.stream(talk);
    heard(stream);
    stream.write(Buffer.from('keep'));
    stream.end();
    await rig.until('the half-close', () => rig.server.includes('end'));
    rig.killClient();
    await rig.until('the end', serverIsDone(rig));
    return ['gone'];
  },
  'a client that is gone while its call is under way': async (rig) => {
    answerTo(rig, 'hang');
    await rig.until('the call', () => rig.server.length > 0);
    rig.killClient();
    await rig.until('the end', serverIsDone(rig));
    return ['gone'];
  },
};

const rigs: Rig[] = [];

async function play(scene: Scene, rig: Rig): Promise<Seen> {
  rigs.push(rig);
  const client = await scene(rig);
  const isTaken = (line: string): boolean => line.startsWith('taken');
  return {
    client,
    server: rig.server.filter((line) => !isTaken(line)),
    taken: rig.server.filter(isTaken).length,
  };
}

afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.stop();
});

describe('both ends see the same over memory as over sockets', () => {
  for (const [name, scene] of Object.entries({ ...scenes, ...clientScenes })) {
    it(`${name}`, async () => {
      const [memory, sockets] = [await play(scene, new MemoryRig()), await play(scene, await socketRig())];
      expect(memory).toEqual(sockets);
      expect(memory.client.length).toBeGreaterThan(0);
    });
  }

  it('a connection that is refused', async () => {
    const texts: string[] = [];
    for (const rig of [new MemoryRig(), await socketRig()]) {
      rigs.push(rig);
      rig.kill();
      const { log } = answerTo(rig, 'echo');
      await rig.until('the refusal', () => log.length > 0);
      // Addresses differ, and what is said of the resolution of names.
      texts.push(log[0]?.replace(/ (?:member|127\.0\.0\.1):\d+.*$/, '') ?? '');
    }
    expect(texts[0]).toBe('UNAVAILABLE No connection established. Last error: Error: connect ECONNREFUSED');
    expect(texts[1]).toBe(texts[0]);
  });

  it('a reader that stops holds up the writer at the window', async () => {
    for (const rig of [new MemoryRig(), await socketRig()]) {
      rigs.push(rig);
      const stream = rig.channel.stream(talk);
      const log = heard(stream);
      await rig.pass(1);
      stream.pause();
      stream.write(Buffer.from('flood 60'));
      await rig.until('the request', () => rig.server.includes('needs drain'));
      await rig.pass(200);
      const held = rig.server.filter((line) => line.startsWith('taken')).length;
      // 60 messages of 10,000 bytes are about nine windows.
      expect(held).toBeGreaterThanOrEqual(5);
      expect(held).toBeLessThan(40);
      stream.resume();
      await rig.until('the rest', () => rig.server.includes('taken 59') && log.length === 60);
    }
  });
});
