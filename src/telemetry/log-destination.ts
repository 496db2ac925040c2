import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import { destination as fileDestination } from 'pino';
import type { Clock } from '../base/clock.ts';

/** Where lines of the log go. */
export interface LogDestination {
  /** One line with its line break. Never blocks on a pipe or a disk; what finds no room is dropped and counted. */
  write(line: string): void;
  readonly droppedLines: number;
  /** Resolves when all is written, or after `graceMs`: a reader that has stopped does not keep a process alive. */
  close(graceMs: number): Promise<void>;
}

/** Lines that wait for their reader, bytes. */
export const logBufferBytesMax: number = 4 * 1024 * 1024;

/**
 * The destination for one of the process's own descriptors. Pipes and sockets are written by libuv's event loop and not
 * by its threads: a thread that is stuck in a full pipe would hold up the exit of the process. Files have no reader
 * that could stop. A terminal is written at once, as every program does.
 *
 * @param descriptor 1 or 2.
 */
export function openLogDestination(descriptor: 1 | 2, clock: Clock): LogDestination {
  const status = fstatSync(descriptor);
  if (status.isFIFO() || status.isSocket()) return new PipeDestination(descriptor, clock);
  const terminal = descriptor === 1 ? process.stdout : process.stderr;
  return terminal.isTTY ? new TerminalDestination(terminal) : new FileDestination(descriptor, clock);
}

class PipeDestination implements LogDestination {
  readonly #socket: Socket;
  readonly #clock: Clock;
  #dropped = 0;
  #broken = false;

  constructor(descriptor: number, clock: Clock) {
    this.#clock = clock;
    this.#socket = new Socket({ fd: descriptor, readable: false, writable: true });
    this.#socket.unref();
    // The reader has gone: the member goes on without a log.
    this.#socket.on('error', () => (this.#broken = true));
  }

  get droppedLines(): number {
    return this.#dropped;
  }

  write(line: string): void {
    if (this.#broken || this.#socket.writableLength + line.length > logBufferBytesMax) this.#dropped += 1;
    else this.#socket.write(line);
  }

  close(graceMs: number): Promise<void> {
    if (this.#broken) return Promise.resolve();
    return within(this.#clock, graceMs, (done) => {
      this.#socket.on('error', done);
      this.#socket.write('', done);
    });
  }
}

class FileDestination implements LogDestination {
  readonly #file: ReturnType<typeof fileDestination>;
  readonly #clock: Clock;
  #dropped = 0;

  constructor(descriptor: number, clock: Clock) {
    this.#clock = clock;
    this.#file = fileDestination({ dest: descriptor, sync: false, maxLength: logBufferBytesMax });
    this.#file.on('drop', () => (this.#dropped += 1));
    // A full disk: the data directory has its own way to find out.
    this.#file.on('error', () => (this.#dropped += 1));
  }

  get droppedLines(): number {
    return this.#dropped;
  }

  write(line: string): void {
    this.#file.write(line);
  }

  close(graceMs: number): Promise<void> {
    return within(this.#clock, graceMs, (done) => this.#file.flush(done));
  }
}

class TerminalDestination implements LogDestination {
  readonly #terminal: NodeJS.WriteStream;
  readonly droppedLines = 0;

  constructor(terminal: NodeJS.WriteStream) {
    this.#terminal = terminal;
  }

  write(line: string): void {
    this.#terminal.write(line);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function within(clock: Clock, graceMs: number, start: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(graceMs, resolve);
    start(() => {
      timer.cancel();
      resolve();
    });
  });
}
