import { StatusAsker } from '../cluster/cluster-status.ts';
import type { Home } from './home.ts';
import { takenPorts } from './ports.ts';
import { readRunRecord, survivors } from './run-record.ts';

/** Why this run may not start: somebody else has its ports, or an earlier run is still there. Lines for a person. */
export async function refusal(home: Home): Promise<readonly string[] | undefined> {
  const record = readRunRecord(home.recordFile);
  const left = record === undefined ? undefined : survivors(record);
  if (record !== undefined && left !== undefined && (left.show || left.processes.length > 0)) {
    const names = left.processes.map(({ name, pid }) => `${name} (pid ${pid})`).join(', ');
    if (left.show) {
      return [
        `An earlier npm start is still running (pid ${record.pid}): ${names}.`,
        `Use it as it is, or end it with Ctrl-C in its terminal or with: kill ${record.pid}`,
      ];
    }
    return [
      `An earlier npm start was killed and left behind: ${names}.`,
      `End them and start again: kill ${left.processes.map(({ pid }) => pid).join(' ')}`,
    ];
  }
  return portsRefusal(home);
}

async function portsRefusal(home: Home): Promise<readonly string[] | undefined> {
  const taken = await takenPorts(home.plans);
  if (taken.length === 0) return undefined;
  const asker = new StatusAsker();
  try {
    const lines: string[] = [];
    for (const { member, use, port } of taken) {
      const status = use === 'clients' ? await asker.ask(`127.0.0.1:${port}`, statusTimeoutMs) : undefined;
      const by = status === undefined ? 'another process' : `a Rollcall member ${status.memberId}, not started here`;
      lines.push(`127.0.0.1:${port}, which member ${member} needs for ${use}, is taken by ${by}.`);
    }
    const [first] = taken;
    return [
      ...lines,
      `See who it is with: ss -ltnp 'sport = :${first?.port ?? 0}'   (or: lsof -iTCP:${first?.port ?? 0} -sTCP:LISTEN)`,
      'End it and start again, or take free ports and another directory: npm start -- --directory DIR',
    ];
  } finally {
    asker.close();
  }
}

const statusTimeoutMs = 500;
