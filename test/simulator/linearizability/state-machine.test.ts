import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { must, unreachable } from '../../../src/base/assert.ts';
import { rollcall } from '../../../src/gen/rollcall.js';
import type {
  CommandBody,
  CommandResult,
  InstanceName,
  SessionOperation,
  SessionOutcome,
} from '../../../src/state-machine/types.ts';
import { ChangeModel } from '../../watch/change-model.ts';
import { checkInstances } from './check-instances.ts';
import type { InstanceInput, InstanceOutput, InstanceOperation, Lifetime } from './types.ts';

const name: InstanceName = { namespace: 'default', service: 'web', id: 'one' };

function specOf(content: number): Uint8Array {
  return rollcall.v1.InstanceSpec.encode({ ...name, version: `${content}` }).finish();
}

type Step = readonly ['unary' | 'keep' | 'own' | 'restore' | 'end', number, number, number];

const step: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom('unary' as const, 'keep' as const, 'own' as const, 'restore' as const, 'end' as const),
  fc.nat(5),
  fc.integer({ min: 1, max: 3 }),
  fc.nat(4),
);

/** Drives the real state machine, one command after the other, and tells what a client would see of one instance. */
class Driver {
  readonly operations: InstanceOperation[] = [];
  readonly #model = new ChangeModel(1_000);
  readonly #sessions = [this.#open(), this.#open()].map((id) => ({ id, sequence: 0 }));
  readonly #incarnations = [999];

  run([kind, what, content, which]: Step): void {
    const incarnation = must(this.#incarnations.at(-1 - (which % this.#incarnations.length)), 'incarnation');
    if (kind === 'end') this.#endLease();
    else if (kind === 'keep') this.#keep(content);
    else if (kind === 'unary') this.#unary(what, content, incarnation, which);
    else this.#ofSession(kind, what, content, incarnation, which % 2);
    this.#read();
  }

  #open(): number {
    const [result] = this.#model.apply({ kind: 'open-session', ttlMs: 10_000 });
    return result?.kind === 'session-opened' ? result.sessionId : 0;
  }

  #unary(what: number, content: number, incarnation: number, which: number): void {
    if (what < 3) {
      const lifetime: Lifetime = which % 2 === 0 ? { kind: 'persistent' } : { kind: 'lease' };
      const condition = must(
        [{ kind: 'none' } as const, { kind: 'if-absent' } as const, { kind: 'if-incarnation', incarnation } as const][
          what
        ],
        'condition',
      );
      const body: CommandBody = {
        kind: 'register',
        name,
        spec: specOf(content),
        lifetime: lifetime.kind === 'persistent' ? lifetime : { kind: 'ttl', ttlMs: 10_000 },
        ifAbsent: what === 1,
        ifIncarnation: what === 2 ? incarnation : 0,
      };
      this.#tell({ kind: 'register', content, lifetime, condition }, this.#apply(body));
    } else if (what === 3) {
      const body = { kind: 'update', name, spec: specOf(content), incarnation } as const;
      this.#tell({ kind: 'update', content, incarnation }, this.#apply(body));
    } else {
      const asked = what === 4 ? incarnation : 0;
      const body = { kind: 'deregister', name, incarnation: asked } as const;
      this.#tell({ kind: 'deregister', incarnation: asked }, this.#apply(body));
    }
  }

  #keep(content: number): void {
    const item = { name, spec: specOf(content), ifAbsent: false, ifIncarnation: 0, keepEqual: true };
    const [result] = this.#model.apply({ kind: 'batch-register', lifetime: { kind: 'persistent' }, items: [item] });
    const outcome = result?.kind === 'batch-registered' ? must(result.items[0], 'item') : undefined;
    const { status, incarnation } = must(outcome, 'outcome');
    const output: InstanceOutput =
      status === 'kept'
        ? { kind: 'kept', incarnation }
        : { kind: 'registered', incarnation, replaced: status === 'replaced' };
    const lifetime = { kind: 'persistent' } as const;
    this.#tell({ kind: 'register', content, lifetime, condition: { kind: 'keep-equal' } }, output);
  }

  #ofSession(kind: 'own' | 'restore', what: number, content: number, asked: number, index: number): void {
    const record = must(this.#sessions[index], 'session');
    const session = `${record.id}`;
    const incarnation = what % 2 === 0 ? 0 : asked;
    const [operation, input] = ofSession(kind === 'restore', what, content, incarnation, session);
    const outcome = this.#writeSession(record, operation);
    if (outcome !== undefined) this.#tell(input, sessionOutput(input, outcome));
  }

  /** undefined: the session has ended, and nothing took effect. */
  #writeSession(
    record: { readonly id: number; sequence: number },
    operation: SessionOperation,
  ): SessionOutcome | undefined {
    const write = { sessionId: record.id, attachment: 1, sequence: ++record.sequence, operations: [operation] };
    const [result] = this.#model.apply({ kind: 'write-session', ...write });
    return result?.kind === 'session-written' ? result.outcomes[0] : undefined;
  }

  /** The lease of what is there, if it has one; a client is not told. */
  #endLease(): void {
    const view = this.#model.setAt(this.#model.revision).get('default/web/one');
    const leaseId = view === undefined ? 0 : Number(rollcall.v1.InstanceView.decode(view).meta?.leaseId ?? 0);
    if (leaseId !== 0) this.#model.apply({ kind: 'revoke-lease', leaseId });
  }

  #read(): void {
    const view = this.#model.setAt(this.#model.revision).get('default/web/one');
    if (view === undefined) return this.#tell({ kind: 'read' }, { kind: 'absent' });
    const { spec, meta } = rollcall.v1.InstanceView.decode(view);
    const incarnation = Number(meta?.incarnation);
    this.#incarnations.push(incarnation);
    this.#tell({ kind: 'read' }, { kind: 'found', incarnation, content: Number(spec?.version) });
  }

  #apply(body: CommandBody): InstanceOutput {
    return outputOf(must(this.#model.apply(body)[0], 'result'));
  }

  #tell(input: InstanceInput, output: InstanceOutput): void {
    const start = this.operations.length * 2;
    this.operations.push({ client: 'c', key: 'one', start, end: start + 1, input, output });
  }
}

/** The same operation as the state machine and as the checker take it. */
function ofSession(
  restore: boolean,
  what: number,
  content: number,
  incarnation: number,
  session: string,
): readonly [SessionOperation, InstanceInput] {
  const spec = specOf(content);
  if (restore || what < 2) {
    const ownIncarnation = restore ? incarnation : 0;
    const condition = restore ? ({ kind: 'restore', ownIncarnation } as const) : ({ kind: 'none' } as const);
    return [
      { kind: 'register', name, spec, restore, ownIncarnation },
      { kind: 'register', content, lifetime: { kind: 'session', session }, condition },
    ];
  }
  if (what < 4)
    return [
      { kind: 'update', name, spec, incarnation },
      { kind: 'update', content, incarnation, session },
    ];
  return [
    { kind: 'deregister', name, incarnation, reason: '' },
    { kind: 'deregister', incarnation, session },
  ];
}

function outputOf(result: CommandResult): InstanceOutput {
  switch (result.kind) {
    case 'registered':
      return { kind: 'registered', incarnation: result.incarnation, replaced: result.replaced };
    case 'updated':
      return { kind: 'updated', changed: result.changed };
    case 'deregistered':
      return { kind: 'deregistered', existed: result.existed };
    case 'refused':
      return { kind: 'refused', reason: result.reason as 'SUPERSEDED' };
    case 'batch-registered':
    case 'lease-ended':
    case 'lease-granted':
    case 'session-opened':
    case 'session-written':
      throw new Error(`unexpected ${result.kind}`);
    default:
      return unreachable(result);
  }
}

function sessionOutput(input: InstanceInput, { status, incarnation, reason }: SessionOutcome): InstanceOutput {
  if (status === 'registered' || status === 'replaced') {
    return { kind: 'registered', incarnation, replaced: status === 'replaced' };
  }
  if (status === 'refused') return { kind: 'refused', reason: reason as 'SUPERSEDED', incarnation };
  if (status === 'unchanged' && input.kind === 'register') return { kind: 'kept', incarnation };
  if (status === 'updated' || status === 'unchanged') return { kind: 'updated', changed: status === 'updated' };
  return { kind: 'deregistered', existed: status === 'deregistered' };
}

describe('the model of an instance, against the state machine', () => {
  it('allows whatever the state machine answers, and no read of another content', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
        const driver = new Driver();
        for (const one of steps) driver.run(one);
        const { operations } = driver;
        for (const { output } of operations) seen.add(output?.kind === 'refused' ? output.reason : `${output?.kind}`);
        const verdict = checkInstances(operations);
        expect(verdict.ok === false ? verdict.text : verdict.ok).toBe(true);

        const last = operations.at(-1);
        if (last?.output?.kind !== 'found') return;
        const wrong = { ...last, output: { ...last.output, content: last.output.content + 1 } };
        expect(checkInstances([...operations.slice(0, -1), wrong]).ok).toBe(false);
      }),
      { numRuns: 500 },
    );
    expect([...seen].sort()).toEqual([
      'ALREADY_REGISTERED',
      'SUPERSEDED',
      'UNKNOWN_INSTANCE',
      'absent',
      'deregistered',
      'found',
      'kept',
      'registered',
      'updated',
    ]);
  });
});
