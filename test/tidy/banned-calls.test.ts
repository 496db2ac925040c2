import { describe, expect, it } from 'vitest';
import { bannedCalls } from './banned-calls.ts';
import { readFloors } from './floors.ts';
import { readText } from './project.ts';
import { sourceFile } from './source-text.ts';

const floors = readFloors(readText('docs/ARCHITECTURE.md'));

function complaints(path: string, text: string): string[] {
  return bannedCalls([sourceFile(path, text)], floors);
}

describe('bannedCalls', () => {
  it.each([
    ['src/storage/a.ts', 'const t = Date.now();', /"Date.now" .*Clock/],
    ['src/storage/a.ts', 'const t = new Date();', /Clock/],
    ['src/storage/a.ts', 'const t = new Date;', /Clock/],
    ['src/storage/a.ts', 'const t = Date();', /Clock/],
    ['src/api/a.ts', 'performance.now();', /monotonicMs/],
    ['src/watch/a.ts', 'setTimeout(f, 1);', /setTimer/],
    ['src/watch/a.ts', 'globalThis.setInterval(f, 1);', /setTimer/],
    ['src/transport/a.ts', 'setImmediate(f);', /nextTurn/],
    ['src/client/a.ts', 'Math.random();', /Random/],
    ['src/client/a.ts', 'crypto.randomUUID();', /Random/],
    ['src/replica/a.ts', 'process.hrtime.bigint();', /system-\*/],
    ['src/replica/a.ts', "process['env'];", /system-\*/],
    ['src/base/bytes.ts', 'process.env;', /system-\*/],
    ['src/storage/a.ts', "import { setTimeout as wait } from 'node:timers/promises'; wait(1);", /Clock/],
    ['src/storage/a.ts', "import { performance as p } from 'node:perf_hooks';", /Clock/],
    ['src/api/a.ts', "import { status } from '@grpc/grpc-js';", /src\/grpc/],
    ['src/api/a.ts', "import { createServer } from 'node:http';", /src\/http/],
    ['src/grpc/a.ts', 'process.env;', /src\/server/],
    ['src/cli/a.ts', 'console.log(1);', /process.stdout/],
    ['src/cli/a.ts', 'f(x as any);', /unknown/],
    ['test/a.ts', 'f(x as any);', /unknown/],
    ['src/api/a.ts', "export * from './b.ts';", /barrel/],
    ['src/raft/a.ts', 'async function f() {}', /host/],
    ['src/raft/a.ts', 'let p: Promise<void>;', /host/],
    ['src/raft/a.ts', "import { readFileSync } from 'node:fs';", /src\/base only/],
    ['src/raft/a.ts', 'Math.log2(x);', /to the last bit/],
    ['src/state-machine/a.ts', 'Math.min(x, y);', /integers/],
    ['src/state-machine/a.ts', 'a.localeCompare(b);', /code unit/],
    ['src/state-machine/a.ts', 'a.toLowerCase();', /Unicode/],
    ['src/state-machine/a.ts', 'new Date(0);', /ticks or from the command/],
    ['src/state-machine/a.ts', "import { createHash } from 'node:crypto';", /src\/base only/],
  ])('refuses in %s: %s', (path, text, complaint) => {
    expect(complaints(path, text)[0] ?? '').toMatch(complaint);
  });

  it.each([
    ['src/base/system-clock.ts', "import { performance } from 'node:perf_hooks'; performance.now(); setTimeout(f, 1);"],
    ['src/base/system-random.ts', "import { randomFillSync } from 'node:crypto'; randomFillSync(x);"],
    ['src/storage/a.ts', '// Date.now() and process.env\nconst text = "Math.random() setTimeout()";'],
    ['src/storage/a.ts', 'const shown = new Date(wallMs).toISOString();'],
    ['src/storage/a.ts', "import { createHash } from 'node:crypto';"],
    ['src/transport/a.ts', "import { Client } from '@grpc/grpc-js';"],
    ['src/raft/a.ts', 'Math.min(a, Math.max(b, Math.imul(c, Math.floor(d / 2))));'],
    ['src/grpc/a.ts', 'setTimeout(f, 1); process.memoryUsage();'],
    ['src/server/a.ts', 'process.env;'],
    ['src/telemetry/a.ts', 'process.stdout.isTTY;'],
    ['test/raft/a.test.ts', 'console.log(Date.now());'],
  ])('accepts in %s: %s', (path, text) => {
    expect(complaints(path, text)).toEqual([]);
  });

  it('says where', () => {
    expect(complaints('src/raft/a.ts', '\n\nawait x;')).toEqual([
      expect.stringMatching(/^src\/raft\/a\.ts:3: "await"/),
    ]);
  });
});
