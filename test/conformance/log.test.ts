import { memoryDiskFixture, nodeDiskFixture } from './fixtures.ts';
import { logSuite } from './log-suite.ts';

logSuite('MemoryDisk', memoryDiskFixture);
logSuite('NodeDisk', nodeDiskFixture);
