import type { Registry } from '../state-machine/interfaces.ts';
import type { BacklogRoom } from './backlog-room.ts';
import type { BatchHeader } from './batch-encoder.ts';
import type { WatchBounds } from './bounds.ts';
import type { ChangeLogs } from './change-logs.ts';
import type { CutStore } from './cut-store.ts';
import type { ProgressWheel } from './progress-wheel.ts';
import type { TurnWork } from './turn-work.ts';
import type { Watch } from './watch.ts';
import type { WatchIndex } from './watch-index.ts';

/** A stream that is called again in a later turn. */
export interface Pumped {
  pump(): void;
}

/** What streams use of their hub. */
export interface HubParts {
  readonly bounds: WatchBounds;
  readonly index: WatchIndex;
  readonly cuts: CutStore;
  readonly logs: ChangeLogs;
  readonly room: BacklogRoom;
  readonly wheel: ProgressWheel<Watch>;
  readonly work: TurnWork;
  readonly counters: {
    resets: number;
    batches: number;
    /** Batches of coalesced changes, sent to their ends. */
    coalesced: number;
    /** Watches that are behind now because they did not read. */
    behind: number;
  };
  state(): Registry;
  /** Up to where the hub was told the changes. */
  served(): number;
  nowMs(): number;
  header(linearizable: boolean): BatchHeader;
  /** Calls `pump` in a later turn. */
  later(stream: Pumped): void;
  stopReason(): string | undefined;
}

/** What the smallest piece of work costs, in bytes: some microseconds. */
export const pieceWorkBytes = 4 * 1024;
