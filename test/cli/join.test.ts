import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { freePort } from '../../src/cli/free-port.ts';
import { RollcallProcess, Scratch, startDev } from './rollcall-process.ts';
import { cli } from './run-cli.ts';

interface Members {
  readonly members: readonly { readonly memberId: string; readonly kind: string }[];
}

describe('a member that joins a running cluster', () => {
  const scratch = new Scratch();
  let dev: RollcallProcess;
  let joined: RollcallProcess;
  let address = '';

  beforeAll(async () => {
    ({ process: dev, address } = await startDev());
    vi.stubEnv('ROLLCALL_SERVER', address);
    const [client, peer, http] = [await freePort(), await freePort(), await freePort()].map(
      (port) => `127.0.0.1:${port}`,
    );
    const settings = {
      memberId: 'd',
      dataDirectory: scratch.file('data'),
      initialMembers: [{ id: 'd', peer, client }],
      listen: { client, peer, http },
    };
    writeFileSync(scratch.file('d.yaml'), JSON.stringify(settings));
    joined = new RollcallProcess(['serve', '--config', scratch.file('d.yaml'), '--join', address, '--learner']);
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    await joined.kill();
    await dev.kill();
    scratch.remove();
  });

  async function kinds(): Promise<string[]> {
    const { stdout } = await cli('cluster', 'members', '--output', 'json');
    const { members } = JSON.parse(stdout) as Members;
    return members.map(({ memberId, kind }) => `${memberId} ${kind}`);
  }

  it('is taken in as a learner, promoted, leads, and is removed for good', { timeout: 30_000 }, async () => {
    await joined.says('"event":"joined"');
    let known = await kinds();
    while (known.length < 2) known = await kinds();
    expect(known).toEqual(['d learner', 'dev voter']);
    // The default of promote is to refuse one that lags.
    let promoted = await cli('cluster', 'promote', 'd');
    while (promoted.exitCode === exitCodes.conflict) promoted = await cli('cluster', 'promote', 'd');
    expect([promoted.exitCode, promoted.stdout.split('\n')[0]]).toEqual([exitCodes.ok, 'd is a voter']);
    expect(promoted.stderr).toMatch(/^warning: 2 voters, an even number/);
    expect((await cli('cluster', 'transfer', 'd')).stdout).toBe('d leads\n');
    const status = await cli('cluster', 'status');
    expect(status.stdout).toMatch(/^d +leader .*\ndev +follower /m);
    const removed = await cli('cluster', 'remove', 'd');
    expect([removed.exitCode, await kinds()]).toEqual([exitCodes.ok, ['dev voter']]);
    expect(await joined.exitCode).toBe(exitCodes.other);
    expect(joined.stdout).toContain('member d was removed from cluster');
  });
});
