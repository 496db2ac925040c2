// Assertions stay on in production: a broken invariant must stop the member before it can be acknowledged or stored.

/**
 * A relation that the code relies on does not hold, which is a fault of ours and of nobody's input. Never caught to go
 * on: whoever sees one ends the process.
 */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/**
 * Throws InvariantError unless `condition` holds.
 *
 * @param message What should have been true. Give a function when building the text costs anything: it is called only
 *   on failure.
 */
export function assert(condition: boolean, message: string | (() => string)): asserts condition {
  if (condition) return;
  throw new InvariantError(typeof message === 'string' ? message : message());
}

/** Throws InvariantError naming both values unless they are equal; NaN equals itself. */
export function assertEqual<T extends string | number | bigint | boolean | null | undefined>(
  actual: T,
  expected: T,
  what: string,
): void {
  if (actual === expected || Object.is(actual, expected)) return;
  throw new InvariantError(`${what}: is ${printed(actual)}, expected ${printed(expected)}`);
}

/** Throws InvariantError unless `value` is an integer that a double holds exactly (|value| < 2^53). */
export function assertSafeInteger(value: number, what: string): void {
  if (Number.isSafeInteger(value)) return;
  throw new InvariantError(`${what}: is ${printed(value)}, expected a safe integer`);
}

/**
 * The default branch of a switch over a closed union: the compiler refuses the call while a case is missing, and at run
 * time a value that the types did not foresee stops here.
 */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable case: ${printed(value)}`);
}

/** Returns `value`, or throws InvariantError when it is null or undefined. */
export function must<T>(value: T, what: string): NonNullable<T> {
  if (value !== null && value !== undefined) return value;
  throw new InvariantError(`${what}: is ${printed(value)}, expected a value`);
}

function printed(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value !== 'object' || value === null) return String(value);
  // Only a tagged union ends here, and its tag is what a reader needs.
  return Object.entries(value)
    .map(([key, field]) => (typeof field === 'object' ? key : `${key}=${String(field)}`))
    .join(' ');
}
