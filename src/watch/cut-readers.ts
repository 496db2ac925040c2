import { must } from '../base/assert.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import type { ChangeLog } from './change-log.ts';
import type { Cut, CutReader, CutSubject } from './cut.ts';
import { modifyRevisionOf } from './view-reader.ts';

/** Read from the state at a time. */
const chunkCountMax = 256;
const servicesAtOnceMax = 64;
/** What one instance costs beside its bytes, in bytes of work: read in order, and looked for alone (about 4 us). */
const nextWorkBytes = 64;
const lookWorkBytes = 1_024;
/** What a key takes in the list of those that are to be read. */
const listedKeyBytes = 16;

/** Everything that is there, service by service in the order of their names. */
export class SnapshotReader implements CutReader {
  readonly kind = 'all';
  readonly from = 0;
  readonly bytes = 0;
  readonly #subject: CutSubject;
  #service = '';
  #id = '';
  #done = false;

  constructor(subject: CutSubject) {
    this.#subject = subject;
  }

  get done(): boolean {
    return this.#done;
  }

  begin(): boolean {
    return true;
  }

  read(state: Registry, cut: Cut, bytesMax: number): number {
    const { service } = this.#subject;
    if (service === '') return this.#readServices(state, cut, bytesMax);
    const { bytes, more } = this.#readService(state, cut, service, bytesMax);
    this.#done = !more;
    return bytes;
  }

  /** The service begun, to its end, or some services after it. */
  #readServices(state: Registry, cut: Cut, bytesMax: number): number {
    const { namespace, servicePrefix } = this.#subject;
    if (this.#id !== '') {
      const { bytes, more } = this.#readService(state, cut, this.#service, bytesMax);
      if (!more) this.#id = '';
      return bytes;
    }
    const { services, more } = state.services(namespace, servicePrefix, this.#service, servicesAtOnceMax);
    let looked = 0;
    for (const { service } of services) {
      this.#service = service;
      const read = this.#readService(state, cut, service, bytesMax);
      looked += read.bytes;
      if (read.more) return looked;
      this.#id = '';
      if (looked >= bytesMax) return looked;
    }
    if (!more) this.#done = true;
    return looked;
  }

  /** One chunk of instances. */
  #readService(state: Registry, cut: Cut, service: string, bytesMax: number): { bytes: number; more: boolean } {
    const { namespace, matcher } = this.#subject;
    const { views, lastId, more } = state.views(namespace, service, this.#id, chunkCountMax, bytesMax);
    let bytes = 0;
    for (const view of views) {
      bytes += view.length + nextWorkBytes;
      if (matcher.matches(view)) cut.add(modifyRevisionOf(view), view);
    }
    this.#id = lastId;
    return { bytes, more };
  }
}

/** The last state of what changed behind a revision, out of a log of changed keys. */
export class ChangesReader implements CutReader {
  readonly kind = 'changes';
  readonly #subject: CutSubject;
  /** Until it has begun. */
  #log: ChangeLog | undefined;
  #from: number;
  #keys: string[] = [];
  #revisions: number[] = [];
  #at = 0;
  #begun = false;

  constructor(subject: CutSubject, log: ChangeLog, from: number) {
    this.#subject = subject;
    this.#log = log;
    this.#from = from;
  }

  get done(): boolean {
    return this.#begun && this.#at === this.#keys.length;
  }

  get from(): number {
    return this.#from;
  }

  get bytes(): number {
    return this.#keys.length * listedKeyBytes;
  }

  /** Before it has begun: it is wanted from an earlier revision on as well. */
  include(from: number): void {
    if (from < this.#from) this.#from = from;
  }

  begin(): boolean {
    const log = must(this.#log, 'log of changes that are not read yet');
    this.#log = undefined;
    if (log.users.size === 0 || log.since > this.#from) return false;
    const { service, servicePrefix } = this.#subject;
    const prefix = service === '' ? servicePrefix : '';
    let changes = log.behind(this.#from, prefix);
    // Others may ask soon for what changed a little earlier: with at most twice the keys there is one for all.
    if (log.size <= 2 * changes.keys.length && log.since < this.#from) {
      this.#from = log.since;
      changes = log.behind(this.#from, prefix);
    }
    this.#keys = changes.keys;
    this.#revisions = changes.revisions;
    this.#begun = true;
    return true;
  }

  read(state: Registry, cut: Cut, bytesMax: number): number {
    const end = Math.min(this.#keys.length, this.#at + chunkCountMax);
    let bytes = 0;
    for (; this.#at < end && bytes < bytesMax; this.#at++) {
      const key = must(this.#keys[this.#at], 'changed key');
      bytes += lookWorkBytes + this.#readOne(state, cut, key, must(this.#revisions[this.#at], 'its revision'));
    }
    if (this.done) {
      // The cut lives longer.
      this.#keys = [];
      this.#revisions = [];
      this.#at = 0;
    }
    return bytes;
  }

  #readOne(state: Registry, cut: Cut, key: string, revision: number): number {
    const { namespace, matcher } = this.#subject;
    // The name of a service holds no slash.
    const slash = this.#subject.service === '' ? key.indexOf('/') : -1;
    const service = slash < 0 ? this.#subject.service : key.slice(0, slash);
    const id = slash < 0 ? key : key.slice(slash + 1);
    const view = state.view(namespace, service, id);
    if (view === undefined) {
      cut.addGone(revision, 'delete', { namespace, service, id });
      return 0;
    }
    // Where it has changed since, that is told yet, and put in its place then.
    if (matcher.matches(view)) cut.add(revision, view);
    else cut.addGone(revision, 'leaves', { namespace, service, id });
    return view.length;
  }
}
