import type { Logger } from 'pino';
import { pino, stdTimeFunctions } from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { Clock } from '../base/clock.ts';
import type { LogDestination } from './log-destination.ts';
import { openLogDestination } from './log-destination.ts';

export type { Logger };

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** auto: pretty on a terminal, otherwise json. */
  readonly format: 'auto' | 'json' | 'pretty';
  /** Goes with every line as `member`. */
  readonly memberId: string;
  readonly clock: Clock;
  /** Default 1, standard output. */
  readonly descriptor?: 1 | 2;
  /** In place of a descriptor. */
  readonly destination?: LogDestination;
}

export interface Log {
  readonly logger: Logger;
  /** Lines that found no room because their reader had stopped. */
  droppedLines(): number;
  /** Resolves when all is written, at the latest after `graceMs`. Call it before the process exits. */
  close(graceMs: number): Promise<void>;
}

/** What a client put into a registration is never logged, whatever object it comes in. */
const clientFields = ['metadata', 'spec', 'tags', 'token', 'authorization'];

/**
 * The log of a process: one JSON object a line with `time` (ISO 8601, UTC), `level` (a word), `member` and `msg`, or
 * the same for people. Never blocks on a reader that has stopped: see LogDestination.
 */
export function openLog(options: LogOptions): Log {
  const descriptor = options.descriptor ?? 1;
  const target = options.destination ?? openLogDestination(descriptor, options.clock);
  const stream = isPretty(options.format, descriptor) ? prettyOver(target, descriptor) : target;
  const logger = pino(
    {
      level: options.level,
      base: { member: options.memberId },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: clientFields.flatMap((name) => [name, `*.${name}`]), censor: '***' },
    },
    stream,
  );
  return {
    logger,
    droppedLines: () => target.droppedLines,
    close: (graceMs) => target.close(graceMs),
  };
}

function isPretty(format: LogOptions['format'], descriptor: 1 | 2): boolean {
  return format === 'auto' ? isTerminal(descriptor) : format === 'pretty';
}

function isTerminal(descriptor: 1 | 2): boolean {
  return (descriptor === 1 ? process.stdout : process.stderr).isTTY;
}

function prettyOver(target: LogDestination, descriptor: 1 | 2): { write(line: string): void } {
  const pretty = prettyFactory({
    colorize: isTerminal(descriptor),
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'member',
    messageFormat: '{member}: {msg}',
    singleLine: true,
  });
  return { write: (line) => target.write(pretty(line)) };
}
