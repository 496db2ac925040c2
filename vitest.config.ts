import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // Nothing here waits for a condition longer than this; a test that needs more says so itself.
    testTimeout: 20_000,
    hookTimeout: 20_000,
    teardownTimeout: 5_000,
    reporters: ['default', './test/support/skip-reporter.ts'],
    // A forgotten `.only` or a skipped file must never look like a pass.
    allowOnly: false,
    passWithNoTests: false,
    restoreMocks: true,
  },
});
