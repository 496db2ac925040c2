import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { playTranscript } from './transcript.ts';

const folder = join(import.meta.dirname, 'testdata');
const rewrite = process.env['REWRITE'] === '1';

/** REWRITE=1 writes what is printed now into the files; the difference is reviewed like code. */
describe('transcripts', () => {
  it.each(readdirSync(folder).sort())('%s', (file) => {
    const path = join(folder, file);
    const text = readFileSync(path, 'utf8');
    const played = playTranscript(text);
    if (rewrite) writeFileSync(path, played);
    expect(played).toBe(rewrite ? played : text);
  });

  it('cover every situation that is listed here', () => {
    expect(readdirSync(folder).sort()).toEqual([
      'check-quorum.txt',
      'conflict-repair.txt',
      'disruptive-rejoiner.txt',
      'election.txt',
      'failover-by-evidence.txt',
      'figure-8.txt',
      'joint-membership.txt',
      'lagging-follower-snapshot.txt',
      'leader-removal.txt',
      'leadership-transfer.txt',
      'persist-truncation-race.txt',
      'read-rounds.txt',
      'replication.txt',
      'slow-follower-window.txt',
      'split-vote.txt',
    ]);
  });
});
