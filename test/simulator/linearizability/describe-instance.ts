import { unreachable } from '../../../src/base/assert.ts';
import type { InstanceInput, InstanceOutput, Lifetime, RegisterCondition } from './types.ts';

/** An operation on an instance, for a person. */
export function describeInstance(input: InstanceInput, output: InstanceOutput | undefined): string {
  return `${describeInput(input)} -> ${output === undefined ? 'unknown' : describeOutput(output)}`;
}

function describeInput(input: InstanceInput): string {
  switch (input.kind) {
    case 'register':
      return (
        `register content ${input.content}, ${describeLifetime(input.lifetime)}` + describeCondition(input.condition)
      );
    case 'update':
      return `update ${whichOf(input)} to content ${input.content}`;
    case 'deregister':
      return `deregister ${whichOf(input)}`;
    case 'read':
      return 'read';
    default:
      return unreachable(input);
  }
}

function whichOf({ incarnation, session }: { readonly incarnation: number; readonly session?: string }): string {
  const which = incarnation === 0 ? 'whichever is there' : `incarnation ${incarnation}`;
  return session === undefined ? which : `${which} through session ${session}`;
}

function describeLifetime(lifetime: Lifetime): string {
  switch (lifetime.kind) {
    case 'persistent':
      return 'persistent';
    case 'lease':
      return 'with a lease';
    case 'session':
      return `of session ${lifetime.session}`;
    default:
      return unreachable(lifetime);
  }
}

function describeCondition(condition: RegisterCondition): string {
  switch (condition.kind) {
    case 'none':
      return '';
    case 'if-absent':
      return ', if absent';
    case 'if-incarnation':
      return `, if incarnation ${condition.incarnation}`;
    case 'keep-equal':
      return ', unless it is equal';
    case 'restore':
      return `, restoring over nothing or ${condition.ownIncarnation}`;
    default:
      return unreachable(condition);
  }
}

function describeOutput(output: InstanceOutput): string {
  switch (output.kind) {
    case 'registered':
      return `registered as ${output.incarnation}${output.replaced === true ? ' in place of another' : ''}`;
    case 'kept':
      return `kept as ${output.incarnation}`;
    case 'updated':
      return output.changed ? 'updated' : 'was the same';
    case 'deregistered':
      return output.existed ? 'deregistered' : 'was not there';
    case 'refused':
      return output.incarnation === undefined
        ? `refused: ${output.reason}`
        : `refused: ${output.reason} by ${output.incarnation}`;
    case 'absent':
      return 'absent';
    case 'found':
      return `incarnation ${output.incarnation} with content ${output.content}`;
    default:
      return unreachable(output);
  }
}
