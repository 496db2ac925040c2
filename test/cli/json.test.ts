import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { folder, printedDocuments, withPrinted } from './reference-pages.ts';

describe('docs/reference/json.md', () => {
  // Written anew by: npx vitest run test/cli/json.test.ts -u
  it('names every field of every document', async () => {
    await expect(withPrinted('json.md', printedDocuments())).toMatchFileSnapshot(join(folder, 'json.md'));
  });
});
