// Every method that a member serves, out of the proto files, so that no new one is forgotten.
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import protobuf from 'protobufjs';

export interface FuzzMethod {
  readonly service: string;
  readonly name: string;
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly request: protobuf.Type;
  readonly response: protobuf.Type;
}

export interface FuzzMethods {
  /** rollcall.v1: held to the closed list of reasons. */
  readonly own: readonly FuzzMethod[];
  /**
   * Those of them that are called with whatever is drawn. What changes the members or the leader is not: a request that
   * happens to be right would dial strangers or take the cluster apart. The corpus holds what must be refused of it.
   */
  readonly drawn: readonly FuzzMethod[];
  /** Health and reflection. */
  readonly standard: readonly FuzzMethod[];
  /** rollcall.raft.v1 of the peer port. */
  readonly peer: readonly FuzzMethod[];
}

const changesCluster: ReadonlySet<string> = new Set([
  'AddMember',
  'PromoteMember',
  'RemoveMember',
  'ReplaceMember',
  'TransferLeadership',
]);
const protoFolder = join(import.meta.dirname, '../../proto');

export function loadMethods(): FuzzMethods {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => (target.startsWith('/') ? target : join(protoFolder, target));
  const ownFiles = readdirSync(join(protoFolder, 'rollcall/v1')).filter((name) => name.endsWith('.proto'));
  const files = [
    ...ownFiles.sort().map((name) => `rollcall/v1/${name}`),
    'rollcall/raft/v1/peer.proto',
    packageFile('grpc-health-check', 'proto/health/v1/health.proto'),
    packageFile('@grpc/reflection', 'build/proto/grpc/reflection/v1/reflection.proto'),
  ];
  root.loadSync(files, { keepCase: true });
  root.resolveAll();
  const all = servicesOf(root).flatMap((service) => methodsOf(service));
  const of = (prefix: string): FuzzMethod[] => all.filter(({ service }) => service.startsWith(prefix));
  const own = of('rollcall.v1.');
  const drawn = own.filter(({ name }) => !changesCluster.has(name));
  return { own, drawn, standard: of('grpc.'), peer: of('rollcall.raft.') };
}

function packageFile(name: string, path: string): string {
  const require = createRequire(import.meta.url);
  let folder = dirname(require.resolve(name));
  while (!folder.endsWith(join('node_modules', name))) folder = dirname(folder);
  return join(folder, path);
}

function servicesOf(namespace: protobuf.NamespaceBase): protobuf.Service[] {
  return namespace.nestedArray.flatMap((one) => {
    if (one instanceof protobuf.Service) return [one];
    return one instanceof protobuf.Namespace ? servicesOf(one) : [];
  });
}

function methodsOf(service: protobuf.Service): FuzzMethod[] {
  const fullName = service.fullName.replace(/^\./, '');
  return service.methodsArray.map((method) => {
    method.resolve();
    const { name, resolvedRequestType: request, resolvedResponseType: response } = method;
    if (request === null || response === null) throw new Error(`${fullName}.${name} is not resolved`);
    const requestStream = method.requestStream ?? false;
    const responseStream = method.responseStream ?? false;
    return { service: fullName, name, path: `/${fullName}/${name}`, requestStream, responseStream, request, response };
  });
}
