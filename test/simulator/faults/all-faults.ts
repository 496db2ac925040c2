import { clockFaults } from './clock-faults.ts';
import { combinedFaults } from './combined-faults.ts';
import { directoryFaults } from './directory-faults.ts';
import { diskFaults } from './disk-faults.ts';
import type { FaultKind } from './fault-kinds.ts';
import { membershipFaults } from './membership-faults.ts';
import { networkFaults } from './network-faults.ts';
import { processFaults } from './process-faults.ts';

export const allFaults: readonly FaultKind[] = [
  ...processFaults,
  ...networkFaults,
  ...diskFaults,
  ...directoryFaults,
  ...clockFaults,
  ...combinedFaults,
  ...membershipFaults,
];
