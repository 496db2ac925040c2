import { parseArgs } from 'node:util';

/** Ends the process with code 1: what its caller got wrong is told in one line, without a stack. */
export function refuse(text: string): never {
  process.stderr.write(`error: ${text}\n`);
  process.exit(1);
}

/** `parseArgs` of Node, which refuses what it does not know. */
export const readOptions: typeof parseArgs = (config) => {
  try {
    return parseArgs(config);
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
};

/** The value of an option that is a whole number, `least` or more; anything else is refused. */
export function wholeOption(name: string, text: string, least = 0): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  return refuse(`--${name} is ${JSON.stringify(text)}, expected a whole number from ${least} on`);
}

/** The value of an option that is a number above 0; anything else is refused. */
export function positiveOption(name: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  return refuse(`--${name} is ${JSON.stringify(text)}, expected a number above 0`);
}
