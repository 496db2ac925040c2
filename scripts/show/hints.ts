import { relative } from 'node:path';
import type { Stage } from './stage.ts';

/** Where the command line looks without being told; the rest of its list is the same. */
const defaultPorts: readonly number[] = [7410, 7420, 7430];

/** Commands to try against what runs, with its real names, addresses and process ids. */
export function commandsToTry(stage: Stage): readonly string[] {
  const [plan] = stage.plans;
  const found = stage.plans.every(({ client }) => defaultPorts.includes(client));
  const kills = stage.fleet.map(({ pid, name }) => `kill -9 ${pid ?? ''}   # ${name}: the watch sees it leave`);
  return [
    ...(found ? [] : [`export ROLLCALL_SERVER=${stage.cluster.clientAddresses.join(',')}`]),
    'npx rollcall cluster status',
    'npx rollcall services',
    'npx rollcall discover greeter',
    'npx rollcall watch greeter',
    'npx rollcall register greeter --id mine --endpoint main=grpc://127.0.0.1:50051 --ttl 5s --keep-alive',
    ...kills.slice(0, 1),
    `kill -9 ${stage.cluster.pidOf(plan?.id ?? '') ?? ''}   # member ${plan?.id ?? ''}: the others go on`,
    `npx rollcall serve --config ${relative('', plan?.configuration ?? '')}   # it comes back`,
    `curl -s http://127.0.0.1:${plan?.http ?? 0}/metrics | grep ^rollcall_`,
  ];
}
