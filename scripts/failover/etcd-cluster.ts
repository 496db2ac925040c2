import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { WireReader } from '../../src/base/wire-reader.ts';
import { WireWriter } from '../../src/base/wire-writer.ts';
import { type MemberPlan, waitFor } from '../cluster/process-cluster.ts';
import { GrpcCalls } from './grpc-calls.ts';
import type { MeasuredClient, MeasuredCluster } from './peer.ts';

const emptyMessage = new Uint8Array(0);

/** Three etcd members with the settings that they have by default. */
export class EtcdCluster implements MeasuredCluster {
  readonly name = 'etcd';
  readonly ids: readonly string[];
  readonly #plans: readonly MemberPlan[];
  readonly #directory: string;
  readonly #processes = new Map<string, ChildProcess>();
  readonly #calls: GrpcCalls;
  #isNew = true;

  constructor(directory: string, plans: readonly MemberPlan[]) {
    this.#directory = directory;
    this.#plans = plans;
    this.ids = plans.map(({ id }) => id);
    this.#calls = new GrpcCalls(this.#addresses);
    mkdirSync(directory, { recursive: true });
  }

  async startAll(): Promise<void> {
    for (const id of this.ids) this.start(id);
    await this.leader(30_000);
    this.#isNew = false;
  }

  start(id: string): void {
    const plan = this.#plans.find((one) => one.id === id);
    if (plan === undefined) throw new Error(`no member ${id}`);
    const url = (port: number): string => `http://127.0.0.1:${port}`;
    const log = openSync(join(this.#directory, `${id}.log`), 'a');
    const settings = {
      name: id,
      'data-dir': join(this.#directory, id),
      'listen-client-urls': url(plan.client),
      'advertise-client-urls': url(plan.client),
      'listen-peer-urls': url(plan.peer),
      'initial-advertise-peer-urls': url(plan.peer),
      'initial-cluster': this.#plans.map(({ id: name, peer }) => `${name}=${url(peer)}`).join(','),
      'initial-cluster-state': this.#isNew ? 'new' : 'existing',
    };
    const flags = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
    const process = spawn('etcd', flags, { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#processes.set(id, process);
    process.once('exit', () => {
      if (this.#processes.get(id) === process) this.#processes.delete(id);
    });
  }

  async kill(id: string, signal: NodeJS.Signals): Promise<void> {
    const process = this.#processes.get(id);
    if (process === undefined) return;
    const gone = once(process, 'exit');
    process.kill(signal);
    await gone;
  }

  signal(id: string, signal: NodeJS.Signals): void {
    this.#processes.get(id)?.kill(signal);
  }

  leader(timeoutMs: number): Promise<string> {
    return waitFor('a leader that all running members know', timeoutMs, async () => {
      const told = await Promise.all(
        this.ids.map((id, at) => (this.#processes.has(id) ? this.#status(at) : Promise.resolve(undefined))),
      );
      const running = told.filter((status) => status !== undefined);
      const leaders = new Set(running.map(({ leader }) => leader));
      if (running.length < this.#processes.size || leaders.size !== 1) return undefined;
      const at = told.findIndex((status) => status !== undefined && status.member === status.leader);
      return this.ids[at];
    });
  }

  client(name: string): MeasuredClient {
    return new EtcdWriter(name, new GrpcCalls(this.#addresses));
  }

  async stop(): Promise<void> {
    this.#calls.close();
    await Promise.all(
      [...this.#processes].map(async ([id, process]) => {
        process.kill('SIGCONT');
        const timer = setTimeout(() => process.kill('SIGKILL'), 5_000);
        await this.kill(id, 'SIGTERM');
        clearTimeout(timer);
      }),
    );
  }

  get #addresses(): string[] {
    return this.#plans.map(({ client }) => `127.0.0.1:${client}`);
  }

  /** Ids of etcd's members fill 64 bits: they are compared as the bytes that they are. */
  async #status(at: number): Promise<{ readonly member: string; readonly leader: string } | undefined> {
    try {
      const bytes = await this.#calls.call(at, '/etcdserverpb.Maintenance/Status', emptyMessage);
      const reader = new WireReader(bytes);
      let member = '';
      let leader = '';
      while (reader.next()) {
        if (reader.field === 1) {
          const header = reader.message();
          while (header.next()) {
            if (header.field === 2) member = skipped(header, bytes);
            else header.skip();
          }
        } else if (reader.field === 4) leader = skipped(reader, bytes);
        else reader.skip();
      }
      return leader === '' ? undefined : { member, leader };
    } catch {
      return undefined;
    }
  }
}

/** The bytes of a field that is passed over, in hex. */
function skipped(reader: WireReader, bytes: Uint8Array): string {
  const start = reader.offset;
  reader.skip();
  return Buffer.from(bytes.subarray(start, reader.offset)).toString('hex');
}

class EtcdWriter implements MeasuredClient {
  readonly #name: string;
  readonly #calls: GrpcCalls;

  constructor(name: string, calls: GrpcCalls) {
    this.#name = name;
    this.#calls = calls;
  }

  async write(at: number, slot: number, value: number): Promise<void> {
    const put = new WireWriter().string(1, `${this.#name}/${slot}`).string(2, String(value)).finish();
    await this.#calls.call(at, '/etcdserverpb.KV/Put', put);
  }

  async read(at: number): Promise<ReadonlyMap<number, number>> {
    // From `name/` up to the character behind the slash.
    const range = new WireWriter().string(1, `${this.#name}/`).string(2, `${this.#name}0`).finish();
    const reader = new WireReader(await this.#calls.call(at, '/etcdserverpb.KV/Range', range, 5_000));
    const found = new Map<number, number>();
    while (reader.next()) {
      if (reader.field !== 2) {
        reader.skip();
        continue;
      }
      const pair = reader.message();
      let key = '';
      let value = '';
      while (pair.next()) {
        if (pair.field === 1) key = pair.string();
        else if (pair.field === 5) value = pair.string();
        else pair.skip();
      }
      found.set(Number(key.slice(this.#name.length + 1)), Number(value));
    }
    return found;
  }

  close(): void {
    this.#calls.close();
  }
}
