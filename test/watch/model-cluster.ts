import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { must } from '../../src/base/assert.ts';
import { RollcallError } from '../../src/base/errors.ts';
import type { ManualClock } from '../../src/base/manual-clock.ts';
import { WireReader } from '../../src/base/wire-reader.ts';
import type { RegistryState } from '../../src/state-machine/registry-state.ts';
import type { ChangeEvent } from '../../src/state-machine/types.ts';
import type { WatchBounds } from '../../src/watch/bounds.ts';
import type { WatchStream } from '../../src/watch/types.ts';
import { WatchHub } from '../../src/watch/watch-hub.ts';
import type { ChangeModel } from './change-model.ts';
import { StateFiles } from './change-model.ts';
import { TestSink } from './follower.ts';
import type { FollowedWatch, ModelFollower } from './model-follower.ts';

/** One of the members that apply the model's entries, each at its own pace. */
export class ModelMember {
  readonly id: string;
  readonly clock: ManualClock;
  state: RegistryState;
  hub: WatchHub;
  replacements = 0;
  readonly #model: ChangeModel;
  readonly #bounds: Partial<WatchBounds>;
  #files = new StateFiles();
  #untold: ChangeEvent[] = [];

  constructor(id: string, model: ChangeModel, clock: ManualClock, bounds: Partial<WatchBounds>) {
    this.id = id;
    this.clock = clock;
    this.#model = model;
    this.#bounds = bounds;
    this.state = new StateFiles().load(model.bounds);
    this.hub = this.#newHub();
  }

  get revision(): number {
    return this.state.position.revision;
  }

  apply(entriesMax: number): void {
    const { entries } = this.#model;
    const first = this.state.position.index;
    for (const [i, data] of entries.slice(first, first + entriesMax).entries()) {
      this.#untold.push(...this.state.apply({ index: first + i + 1, term: 1, data }).events);
    }
  }

  tell(): void {
    const events = this.#untold;
    this.#untold = [];
    this.hub.applied({ events, revision: this.revision });
  }

  /** It gets everything by a snapshot of the state. */
  install(files: StateFiles): void {
    this.#untold = [];
    this.state = files.load(this.#model.bounds);
    this.replacements++;
    this.#files = files;
    this.hub.replaced(this.revision);
  }

  /** The process ends and starts again: streams are gone. */
  restart(): void {
    this.#files.flush(this.state);
    this.#untold = [];
    this.state = this.#files.load(this.#model.bounds);
    this.hub = this.#newHub();
  }

  #newHub(): WatchHub {
    const { clock, id } = this;
    return new WatchHub({ state: () => this.state, clock, memberId: id, ageMs: () => 7.5, bounds: this.#bounds });
  }
}

/** A client's stream to one member, with a follower for each watch. */
export class ModelClient {
  readonly member: ModelMember;
  readonly sink = new TestSink();
  readonly stream: WatchStream;
  readonly followers = new Map<number, ModelFollower>();
  readonly all: ModelFollower[] = [];

  constructor(member: ModelMember) {
    this.member = member;
    this.stream = member.hub.open(this.sink);
    this.sink.onSend = (bytes) => {
      this.sink.sent.length = 0;
      const reader = new WireReader(bytes);
      reader.next();
      const watchId = reader.uint();
      const follower = must(this.followers.get(watchId), `follower of watch ${watchId}`);
      follower.receive(bytes);
      if (follower.ended === undefined) return;
      strictEqual(follower.ended.errorReason, '');
      this.followers.delete(watchId);
    };
  }

  create(watch: FollowedWatch, watchesMax: number, follow: () => ModelFollower): void {
    const { watchId, resumeRevision } = watch.spec;
    const { stream, followers } = this;
    const isOpen = stream.has(watchId);
    // An id is free for the server once its watch has ended, though the client may not have read it: it must wait.
    if (followers.has(watchId) && !isOpen) return;
    const isBehind = resumeRevision > this.member.revision;
    if (isOpen || isBehind || stream.watches + stream.endings >= watchesMax) {
      throws(() => stream.create(watch.spec), RollcallError);
      return;
    }
    const follower = follow();
    followers.set(watchId, follower);
    this.all.push(follower);
    stream.create(watch.spec);
  }

  drain(credit: number): void {
    this.sink.credit = credit;
    if (credit > 0) this.stream.drained();
  }

  /** It has read everything. */
  assertAtEnd(): void {
    strictEqual(this.stream.backlogBytes, 0);
    strictEqual(this.stream.watches, this.followers.size);
    for (const follower of this.followers.values()) {
      ok(!follower.watch.spec.once, 'a watch that is to end with what is there goes on');
      follower.assertAtEnd();
    }
  }
}

/** Nothing is left when everybody is gone. */
export function assertIdle(member: ModelMember, cacheBytesMax: number): void {
  const { streams, watches, backlogBytes, changedKeysBytes, behind, snapshotBytes } = member.hub.counts();
  deepStrictEqual([streams, watches, backlogBytes, changedKeysBytes, behind], [0, 0, 0, 0, 0]);
  ok(snapshotBytes <= cacheBytesMax, `${snapshotBytes} bytes of cuts are left`);
}
