// The corpus, and two thousand requests of a fixed seed, against a real member: no crash, every answer typed, and
// nothing left behind. scripts/fuzz.ts sends the same by the million to three members.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planMembers, ProcessCluster, waitFor } from '../../scripts/cluster/process-cluster.ts';
import type { World } from '../../scripts/fuzz/cases.ts';
import { callCases } from '../../scripts/fuzz/call-cases.ts';
import { Draw } from '../../scripts/fuzz/draw.ts';
import { FuzzRun } from '../../scripts/fuzz/fuzz-run.ts';
import { misuseCases } from '../../scripts/fuzz/misuse-cases.ts';
import { sumOf } from '../../scripts/fuzz/vitals.ts';
import { FuzzWorld } from '../../scripts/fuzz/world.ts';
import { must } from '../../src/base/assert.ts';
import { corpus } from './corpus.ts';

const seed = 20_261_121 % 2 ** 21;
let directory: string;
let cluster: ProcessCluster;
let run: FuzzRun;
let stopping = false;
const breaches: string[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rollcall-fuzz-'));
  const onExit = (id: string, code: number | null): void => {
    if (stopping) return;
    run.stop();
    breaches.push(`member ${id} ended (${code}); its last words: ${cluster.logTail(id, 2)}`);
  };
  cluster = new ProcessCluster({ directory, members: await planMembers(1), onExit });
  cluster.startAll();
  await cluster.leader(20_000);
  const onBreach = (text: string): void => void breaches.push(text);
  run = new FuzzRun({ targets: cluster.members, corpus, seed, lanes: 48, kinds: 'all', onBreach });
});

afterAll(async () => {
  stopping = true;
  run.close();
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** The cases of the first numbers, unsent. */
function planned(count: number): string[] {
  const world: World = new FuzzWorld([{ client: 1, peer: 1, http: 1 }], corpus);
  const kinds = [...callCases, ...misuseCases];
  return Array.from({ length: count }, (_, number) => {
    const draw = new Draw(seed, number);
    const { kind, method, sent } = draw.weighted(kinds).make(world, draw);
    return `${kind} ${method} ${Buffer.concat(sent).toString('hex')}`;
  });
}

describe('what is sent', () => {
  it('is the same again for the same seed', () => {
    const cases = planned(300);
    expect(planned(300)).toEqual(cases);
    expect(new Set(cases).size).toBeGreaterThan(250);
  });

  it('covers every method that a member serves, by the corpus too', () => {
    const { own } = new FuzzWorld([], corpus).methods;
    const names = own.map(({ name }) => name);
    const entriesOf = (name: string): number => corpus.filter(({ method }) => method === name).length;
    expect(names.filter((name) => entriesOf(name) < 10)).toEqual([]);
    expect(corpus.filter(({ method }) => !names.includes(method))).toEqual([]);
  });
});

describe('a member', () => {
  it('answers every request of the corpus with a type', async () => {
    await run.runCorpus();
    expect(breaches).toEqual([]);
    expect(run.cases).toBe(corpus.length);
  });

  it('answers two thousand more, and misuse of gRPC and HTTP/2 between them', async () => {
    const before = run.requests;
    await run.runUntil(before + 2_000);
    expect(breaches).toEqual([]);
    expect(run.lostConnections).toBe(0);
    // All of it was met: what is taken, what is refused, and what breaks the protocol.
    const answers = new Set(run.byMethod.rows().flatMap(({ columns }) => columns.map(([name]) => name)));
    for (const answer of ['OK', 'INVALID_ARGUMENT INVALID_FIELD', 'INVALID_ARGUMENT MALFORMED_MESSAGE']) {
      expect(answers).toContain(answer);
    }
  });

  it('holds nothing of them, says nothing bad in its log, and still runs', async () => {
    run.close();
    const { id, http } = must(cluster.members[0], 'the member');
    await waitFor('all streams to have ended', 10_000, async () => {
      const text = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
      const names = ['rollcall_grpc_open_streams', 'rollcall_watches', 'rollcall_api_calls_in_flight'];
      return names.every((name) => sumOf(text, name) === 0) ? true : undefined;
    });
    const lines = readFileSync(cluster.logFileOf(id), 'utf8').trimEnd().split('\n');
    expect(lines.filter((line) => !/^\{"level":"(?:info|warn)",.*\}$/.test(line))).toEqual([]);
    expect(cluster.isRunning(id)).toBe(true);
  });
});
