import { once } from 'node:events';
import { createServer } from 'node:net';
import type { MemberPlan } from '../cluster/process-cluster.ts';

/** A port that a member needs and somebody else listens on. */
export interface TakenPort {
  readonly member: string;
  readonly use: 'clients' | 'peers' | 'http';
  readonly port: number;
}

/** The ports on 127.0.0.1 that the members cannot have, in the order of the plans. */
export async function takenPorts(plans: readonly MemberPlan[]): Promise<TakenPort[]> {
  const wanted = plans.flatMap(({ id, client, peer, http }): TakenPort[] => [
    { member: id, use: 'clients', port: client },
    { member: id, use: 'peers', port: peer },
    { member: id, use: 'http', port: http },
  ]);
  const taken: TakenPort[] = [];
  for (const each of wanted) if (await isTaken(each.port)) taken.push(each);
  return taken;
}

async function isTaken(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return false;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return true;
    throw error;
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}
