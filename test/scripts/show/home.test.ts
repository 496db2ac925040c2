import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultHome, homeAt, rotateLogs } from '../../../scripts/show/home.ts';
import { loadConfig } from '../../../src/server/config.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rollcall-home-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('defaultHome', () => {
  it('takes the configurations that are shipped, with the ports that are documented', () => {
    const { plans } = defaultHome();
    expect(plans.map(({ id, client, peer, http }) => [id, client, peer, http])).toEqual([
      ['a', 7410, 7411, 7412],
      ['b', 7420, 7421, 7422],
      ['c', 7430, 7431, 7432],
    ]);
  });
});

describe('homeAt', () => {
  it('copies the shipped configurations, which a member accepts, with other ports and directories', async () => {
    const { plans, workingDirectory } = await homeAt(directory);
    expect(new Set(plans.flatMap(({ client, peer, http }) => [client, peer, http])).size).toBe(9);
    for (const { id, client, configuration } of plans) {
      const config = await loadConfig(configuration ?? '', workingDirectory);
      expect(config.memberId).toBe(id);
      expect(config.dataDirectory).toBe(join(directory, id));
      expect(config.clientAddress).toBe(`127.0.0.1:${client}`);
      expect(config.initialMembers.map((member) => member.peerAddress)).toEqual(
        plans.map(({ peer }) => `127.0.0.1:${peer}`),
      );
    }
  });

  it('draws the ports once, and makes the rest anew', async () => {
    const first = await homeAt(directory);
    const file = join(directory, 'a.yaml');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, `${text}\nkeyOfAnEarlierVersion: 1\n`);
    expect(await homeAt(directory)).toEqual(first);
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  it('refuses a configuration that listens elsewhere', async () => {
    const { plans } = await homeAt(directory);
    const [{ client, configuration = '' } = { client: 0 }] = plans;
    const text = readFileSync(configuration, 'utf8');
    writeFileSync(configuration, text.replace(`  client: 127.0.0.1:${client}\n  # R`, '  client: 0.0.0.0:1\n  # R'));
    await expect(homeAt(directory)).rejects.toThrow(`${configuration}: listen.client is 0.0.0.0:1`);
  });
});

describe('rotateLogs', () => {
  it('keeps one log of before a member', async () => {
    const home = await homeAt(directory);
    mkdirSync(home.logDirectory);
    for (const run of ['first', 'second']) {
      writeFileSync(join(home.logDirectory, 'a.log'), run);
      rotateLogs(home);
    }
    expect(readdirSync(home.logDirectory)).toEqual(['a.previous.log']);
    expect(readFileSync(join(home.logDirectory, 'a.previous.log'), 'utf8')).toBe('second');
    expect(existsSync(join(home.logDirectory, 'a.log'))).toBe(false);
  });
});
