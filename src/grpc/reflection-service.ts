import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor.js';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkedService } from './standard-requests.ts';

/** The proto files of this package: as far from src/grpc as from dist/grpc. */
const protoFolder = join(import.meta.dirname, '../../proto');

/** Server reflection v1 (and v1alpha, which older tools ask for) over the public services. */
export function addReflection(server: Server, services: readonly string[]): void {
  const files = { fileDescriptorProtos: fileDescriptors() };
  // The type asks for a package of proto-loader; of each of its entries only the descriptors are read.
  const packageDefinition = { rollcall: files } as unknown as ConstructorParameters<typeof ReflectionService>[0];
  new ReflectionService(packageDefinition, { services: [...services] }).addToServer({
    addService: (definition, implementation) => {
      const checked = checkedService(definition, implementation);
      server.addService(checked.definition, checked.implementation);
    },
  });
}

/** google.protobuf.FileDescriptorProto of every public package, encoded. */
function fileDescriptors(): Buffer[] {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => join(protoFolder, target);
  const publicFolder = 'rollcall/v1';
  const names = readdirSync(join(protoFolder, publicFolder)).filter((name) => name.endsWith('.proto'));
  root.loadSync(
    names.sort().map((name) => `${publicFolder}/${name}`),
    { keepCase: true },
  );
  root.resolveAll();
  const { file } = root.toDescriptor('proto3');
  return (file ?? []).map((one) => Buffer.from(descriptor.FileDescriptorProto.encode(one).finish()));
}
