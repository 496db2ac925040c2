/** A cluster of three processes on 127.0.0.1 that takes writes: ours, or another to compare with. */
export interface MeasuredCluster {
  readonly name: string;
  readonly ids: readonly string[];
  startAll(): Promise<void>;
  start(id: string): void;
  /** Ends a member; resolves when its process is gone. */
  kill(id: string, signal: NodeJS.Signals): Promise<void>;
  /** Sends a signal that does not end it. */
  signal(id: string, signal: NodeJS.Signals): void;
  /** Who leads, once all running members say the same. */
  leader(timeoutMs: number): Promise<string>;
  client(name: string): MeasuredClient;
  /** Ends everything that was started. */
  stop(): Promise<void>;
}

/** Writes values under slots of its own. Every method rejects with what gRPC gave. */
export interface MeasuredClient {
  /** One attempt, by member number `at`. A repeat of a write has the same value, and is the same write. */
  write(at: number, slot: number, value: number): Promise<void>;
  /** What stands in each slot, linearizably. */
  read(at: number): Promise<ReadonlyMap<number, number>>;
  close(): void;
}

/** How long one attempt may take, ms. */
export const attemptMsMax = 1_000;
