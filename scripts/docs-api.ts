// Makes docs/reference/api.md from the proto files that clients use: `npm run docs:api` writes it,
// `npm run docs:api:check` fails when it is not what they give.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readInterface } from './docs-api/interface.ts';
import { renderPage } from './docs-api/render.ts';

const root = join(import.meta.dirname, '..');
/** In the order of the page. */
const files = ['registry', 'cluster', 'instance'].map((name) => `proto/rollcall/v1/${name}.proto`);
const target = 'docs/reference/api.md';

function committed(): string {
  try {
    return readFileSync(join(root, target), 'utf8');
  } catch {
    return '';
  }
}

const page = renderPage(readInterface(root, files));
if (!process.argv.includes('--check')) {
  writeFileSync(join(root, target), page);
} else if (committed() === page) {
  process.stdout.write(`${target} is up to date with ${files.length} proto files\n`);
} else {
  process.stderr.write(`${target}: not what proto/ gives; run \`npm run docs:api\` and commit the result\n`);
  process.exitCode = 1;
}
