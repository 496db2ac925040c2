import { must, unreachable } from '../../../src/base/assert.ts';
import { WireReader } from '../../../src/base/wire-reader.ts';
import type { KeyText } from '../types.ts';

/** In the order of their numbers in the log. */
const kinds = [
  'register',
  'update',
  'deregister',
  'grant-lease',
  'revoke-lease',
  'expire-lease',
  'reap-lease',
  'batch-register',
  'open-session',
  'attach-session',
  'write-session',
  'close-session',
] as const;
const operationKinds = ['register', 'update', 'deregister'] as const;

export interface LoggedOperation {
  readonly kind: (typeof operationKinds)[number];
  readonly key: KeyText;
  readonly restore: boolean;
  /** Own incarnation of a restore; that which is meant of the others; 0: none. */
  readonly incarnation: number;
}

/** What a command of the log is about. Fields that its kind has not are '' and 0. */
export interface LoggedCommand {
  readonly kind: (typeof kinds)[number];
  readonly key: KeyText;
  readonly incarnation: number;
  /** Lease or session. */
  readonly leaseId: number;
  /** Of a write of a session. */
  readonly operations: readonly LoggedOperation[];
}

/**
 * The commands of one entry, by a second reading of the layout in src/state-machine/command-codec.ts that shares no
 * code with it. Throws WireError or InvariantError where the bytes are something else.
 */
export function readCommands(data: Uint8Array): LoggedCommand[] {
  if (data.length === 0) return [];
  const reader = new WireReader(data);
  reader.byte();
  reader.varint();
  reader.varint();
  const commands: LoggedCommand[] = [];
  for (let left = reader.varint(); left > 0; left--) commands.push(readCommand(new WireReader(reader.sized())));
  return commands;
}

function readCommand(reader: WireReader): LoggedCommand {
  reader.byte();
  for (let i = 0; i < 4; i++) reader.sized();
  const kind = must(kinds[reader.byte()], 'kind of a command');
  const command = { kind, key: '', incarnation: 0, leaseId: 0, operations: [] };
  switch (kind) {
    case 'register':
      return { ...command, kind, key: readKey(reader) };
    case 'update': {
      const key = readKey(reader);
      reader.sized();
      return { ...command, kind, key, incarnation: reader.varint() };
    }
    case 'deregister':
      return { ...command, kind, key: readKey(reader), incarnation: reader.varint() };
    case 'grant-lease':
    case 'batch-register':
    case 'open-session':
      return { ...command, kind };
    case 'revoke-lease':
    case 'expire-lease':
    case 'reap-lease':
    case 'attach-session':
    case 'close-session':
      return { ...command, kind, leaseId: reader.varint() };
    case 'write-session': {
      const leaseId = reader.varint();
      reader.varint();
      reader.varint();
      const operations: LoggedOperation[] = [];
      for (let left = reader.varint(); left > 0; left--) operations.push(readOperation(reader));
      return { ...command, kind, leaseId, operations };
    }
    default:
      return unreachable(kind);
  }
}

function readOperation(reader: WireReader): LoggedOperation {
  const kind = must(operationKinds[reader.byte()], 'kind of an operation');
  const key = readKey(reader);
  switch (kind) {
    case 'register':
      reader.sized();
      return { kind, key, restore: reader.byte() === 1, incarnation: reader.varint() };
    case 'update':
      reader.sized();
      return { kind, key, restore: false, incarnation: reader.varint() };
    case 'deregister': {
      const incarnation = reader.varint();
      reader.sized();
      return { kind, key, restore: false, incarnation };
    }
    default:
      return unreachable(kind);
  }
}

function readKey(reader: WireReader): KeyText {
  return `${reader.sizedString()}/${reader.sizedString()}/${reader.sizedString()}`;
}
