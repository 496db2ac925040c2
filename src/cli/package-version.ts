import { readFileSync } from 'node:fs';

/** The version of this package. `src/cli` and `dist/cli` lie equally deep, so the path holds for both. */
export function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const version = typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : '';
  return typeof version === 'string' ? version : '';
}
