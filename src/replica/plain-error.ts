import { InvariantError } from '../base/assert.ts';
import { type Reason, RollcallError, StorageError } from '../base/errors.ts';

/** An error as it passes between threads: a clone keeps neither its class nor its fields. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  readonly storage?: { readonly kind: StorageError['kind']; readonly file: string; readonly offset?: number };
  /** Of an error of the operating system, e.g. EADDRINUSE of listen. */
  readonly system?: { readonly code: string; readonly syscall: string };
  readonly call?: { readonly reason: Reason; readonly retryAfterMs?: number };
}

export function toPlainError(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), stack: '' };
  const plain: PlainError = { name: error.name, message: error.message, stack: error.stack ?? '' };
  if (error instanceof StorageError) {
    const { kind, file, offset } = error;
    return { ...plain, storage: offset === undefined ? { kind, file } : { kind, file, offset } };
  }
  if (error instanceof RollcallError) {
    const { reason, retryAfterMs } = error;
    return { ...plain, call: retryAfterMs === undefined ? { reason } : { reason, retryAfterMs } };
  }
  const { code, syscall } = error as NodeJS.ErrnoException;
  return code === undefined || syscall === undefined ? plain : { ...plain, system: { code, syscall } };
}

/** The same error, of the class that decides what becomes of it, with the stack of the thread that it comes from. */
export function fromPlainError(plain: PlainError): Error {
  const error = revived(plain);
  if (plain.stack !== '') error.stack = plain.stack;
  return error;
}

function revived({ name, message, storage, system, call }: PlainError): Error {
  if (storage !== undefined) {
    const { kind, file, offset } = storage;
    const error = new StorageError(kind, file, message, offset === undefined ? {} : { offset });
    // The message that came names file and offset already.
    error.message = message;
    return error;
  }
  if (call !== undefined) {
    const { reason, retryAfterMs } = call;
    return new RollcallError(reason, message, retryAfterMs === undefined ? {} : { retryAfterMs });
  }
  if (name === 'InvariantError') return new InvariantError(message);
  const error = new Error(message);
  error.name = name;
  return system === undefined ? error : Object.assign(error, system);
}
