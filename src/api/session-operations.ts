import { assertEqual, must, unreachable } from '../base/assert.ts';
import type { InstanceName, SessionOperation, SessionOutcome } from '../state-machine/types.ts';
import type { CheckedOperation, SessionResult } from './types.ts';

/** As they stand in the command. */
export function toOperations(operations: readonly CheckedOperation[]): SessionOperation[] {
  return operations.map((operation): SessionOperation => {
    switch (operation.kind) {
      case 'register': {
        const { spec, restore, ownIncarnation } = operation;
        return { kind: 'register', name: spec.name, spec: spec.bytes, restore, ownIncarnation };
      }
      case 'update': {
        const { spec, incarnation } = operation;
        return { kind: 'update', name: spec.name, spec: spec.bytes, incarnation };
      }
      case 'deregister': {
        const { name, incarnation, reason } = operation;
        return { kind: 'deregister', name, incarnation, reason };
      }
      default:
        return unreachable(operation);
    }
  });
}

/** The outcomes with the texts that apply does not keep. */
export function resultsOf(
  operations: readonly CheckedOperation[],
  outcomes: readonly SessionOutcome[],
): readonly SessionResult[] {
  assertEqual(outcomes.length, operations.length, 'outcomes of a write');
  return outcomes.map((outcome, i) => {
    if (outcome.status !== 'refused') return { ...outcome, message: '' };
    return { ...outcome, message: refusalText(must(operations[i], 'operation'), outcome) };
  });
}

function refusalText(operation: CheckedOperation, { incarnation }: SessionOutcome): string {
  const { namespace, service, id } = nameOf(operation);
  const printed = `${namespace}/${service}/${id}`;
  if (incarnation > 0) return `${printed} is registered as incarnation ${incarnation}, which is not this session's`;
  return operation.kind === 'register'
    ? `this session lost ${printed}; only an explicit start registers it again`
    : `${printed} is not registered`;
}

function nameOf(operation: CheckedOperation): InstanceName {
  return operation.kind === 'deregister' ? operation.name : operation.spec.name;
}
