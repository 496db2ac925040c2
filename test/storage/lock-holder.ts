// Run as a process of its own: takes the lock of the directory named, says so, and holds it until it is ended.
import { setInterval } from 'node:timers';
import { lockDirectory } from '../../src/storage/directory-lock.ts';

lockDirectory(process.argv[2] ?? '').then(
  () => process.stdout.write('locked\n'),
  (error: unknown) => process.stdout.write(`${String(error)}\n`),
);
setInterval(() => undefined, 1_000);
