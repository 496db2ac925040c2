import type { Reporter, TestCase, TestModule } from 'vitest/node';

type Skipped = { readonly name: string; readonly reason: string };

/**
 * Says at the end of a run how many tests were skipped, which, and why; with `CI=true` (or `1`) any skipped test
 * fails the run. A test skips itself with a reason: `context.skip('needs docker')`.
 */
export default class SkipReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap((module) => skippedTests(module));
    if (skipped.length === 0) return;
    const lines = skipped.map(({ name, reason }) => `  - ${name}: ${reason}`);
    process.stderr.write(`\nSKIPPED: ${skipped.length} test(s) did not run\n${lines.join('\n')}\n`);
    const ci = process.env['CI'] ?? '';
    if (ci !== '' && ci !== '0' && ci !== 'false') {
      process.stderr.write('CI is set: a skipped test fails the run\n');
      process.exitCode = 1;
    }
  }
}

function skippedTests(module: TestModule): Skipped[] {
  const skipped: Skipped[] = [];
  for (const test of module.children.allTests('skipped')) {
    skipped.push({ name: `${module.relativeModuleId} > ${test.fullName}`, reason: reasonOf(test) });
  }
  return skipped;
}

function reasonOf(test: TestCase): string {
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  if (note !== undefined && note !== '') return note;
  return test.options.mode === 'todo' ? 'not written yet' : 'no reason given';
}
