/**
 * How many times more cases than usual the tests of storage try: `STORAGE_TEST_SCALE=20 npx vitest run test/storage`.
 * Where a test samples positions, 20 is enough for all of them.
 */
export const scale = Number(process.env['STORAGE_TEST_SCALE'] ?? 1);

/** For the tests that try more cases then. */
export const scaledTimeoutMs = 20_000 * Math.max(1, scale);
