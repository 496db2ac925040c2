#!/usr/bin/env node
// The `rollcall` executable. CommonJS on purpose: the statements below run before any module of ours is loaded,
// and so before anything can have started libuv's thread pool, whose size is read once, at its first use.

const nodeMajorMin = 20;
const nodeMinorMin = 19;

// File syncs, LevelDB and name lookups share this pool; with the default of four threads a log write waits behind
// them for seconds (measured: 5.6 s), long enough to lose leadership.
process.env['UV_THREADPOOL_SIZE'] ??= '16';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < nodeMajorMin || (major === nodeMajorMin && minor < nodeMinorMin)) {
  process.stderr.write(
    `rollcall needs Node.js ${nodeMajorMin}.${nodeMinorMin} or newer, this is ${process.versions.node} ` +
      `(${process.execPath}). Install a newer one and try again.\n`,
  );
  process.exitCode = 2;
} else {
  import('./main.ts').catch((error: unknown) => {
    process.stderr.write(`rollcall could not start: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = 1;
  });
}
