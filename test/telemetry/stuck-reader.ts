// Logs far more than its reader takes, then ends. Run by log-destination.test.ts; tells on the other descriptor.
import { writeSync } from 'node:fs';
import { SystemClock } from '../../src/base/system-clock.ts';
import { openLog } from '../../src/telemetry/logger.ts';

const clock = new SystemClock();
const log = openLog({ level: 'info', format: 'json', memberId: 'a', clock, descriptor: 2 });
const filler = 'x'.repeat(1_000);
const lines = 20_000;
for (let i = 0; i < lines; i++) log.logger.info({ i, filler }, 'a line');
const startedMs = clock.monotonicMs();
clock.setTimer(50, () => {
  const lateMs = clock.monotonicMs() - startedMs - 50;
  void log.close(200).then(() => {
    writeSync(1, JSON.stringify({ lateMs, dropped: log.droppedLines() }));
    process.exit(0);
  });
});
