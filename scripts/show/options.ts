import { parseArgs } from 'node:util';

export interface ShowOptions {
  /** End after the last step instead of leaving the cluster running. */
  readonly once: boolean;
  /**
   * Data, logs and configurations here, on ports that are free, instead of `.rollcall/` and the ports of
   * cluster-configs.
   */
  readonly directory: string | undefined;
  readonly help: boolean;
}

export const usage = `Usage: npm start [-- OPTIONS]

Starts three members on 127.0.0.1 from cluster-configs/three-members, runs a fleet of gRPC servers against them, kills
one of the fleet and then the leader, shows what happens, and leaves everything running until Ctrl-C.

  --once            end after the show: 0 if every step held, 1 otherwise; nothing is left running
  --directory DIR   keep data and logs in DIR instead of .rollcall, on free ports that are drawn at the first start
  --help            print this

Environment: NO_COLOR turns colours off; they are used on a terminal alone.`;

/** @throws {Error} naming the argument that is not understood. */
export function parseShowOptions(args: readonly string[]): ShowOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      once: { type: 'boolean', default: false },
      directory: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.directory === '') throw new Error('--directory needs the name of a directory');
  return { once: values.once, directory: values.directory, help: values.help };
}
