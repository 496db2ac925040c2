import { relative } from 'node:path';
import type { FleetProcess } from './fleet-process.ts';
import type { Stage } from './stage.ts';

/** Commands to try against what runs, with its real names and addresses. */
export function commandsToTry(stage: Stage): readonly string[] {
  const service: FleetProcess | undefined = stage.fleet.find((each) => each.service === 'greeter');
  const [plan] = stage.plans;
  const greeter = service?.service ?? 'greeter';
  return [
    `export ROLLCALL_SERVER=${stage.cluster.clientAddresses.join(',')}`,
    'npx rollcall cluster status',
    'npx rollcall services',
    `npx rollcall discover ${greeter}`,
    `npx rollcall watch ${greeter}`,
    `npx rollcall register ${greeter} --id mine --endpoint main=grpc://127.0.0.1:50051 --ttl 10s`,
    `npx rollcall deregister ${greeter} --id mine`,
    `kill -9 ${service?.pid ?? ''}   # ${service?.name ?? ''}: the watch sees it leave`,
    `kill -9 ${stage.cluster.pidOf(plan?.id ?? '') ?? ''}   # member ${plan?.id ?? ''}: the others go on`,
    `npx rollcall serve --config ${relative('', plan?.configuration ?? '')}   # it comes back`,
    `curl -s http://127.0.0.1:${plan?.http ?? 0}/metrics | grep ^rollcall`,
  ];
}
