import { diskSuite } from './disk-suite.ts';
import { memoryDiskFixture, nodeDiskFixture } from './fixtures.ts';

diskSuite('MemoryDisk', memoryDiskFixture);
diskSuite('NodeDisk', nodeDiskFixture);
