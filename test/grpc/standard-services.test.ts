import type { GrpcObject, ServiceClientConstructor } from '@grpc/grpc-js';
import { credentials, loadPackageDefinition, status } from '@grpc/grpc-js';
import { service as healthDefinition } from 'grpc-health-check';
import protobuf from 'protobufjs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { standardRequestBytesMax } from '../../src/grpc/standard-requests.ts';
import { detailsOf, drainedStream, failureOf, Harness, until } from './grpc-harness.ts';

let harness: Harness;
afterEach(() => harness.stop());

const statusOf = async (service: string): Promise<number> => {
  const request =
    service === '' ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, service.length]), Buffer.from(service)]);
  const answer = await harness.client().unary('/grpc.health.v1.Health/Check', request);
  return answer[1] ?? 0;
};
const serving = 1;
const notServing = 2;

describe('grpc.health.v1.Health', () => {
  it('serves only while the owner says so, for the server and for the Registry', async () => {
    harness = await Harness.start();
    const services = ['', 'rollcall.v1.Registry'];
    for (const service of services) expect(await statusOf(service)).toBe(notServing);
    harness.server.setServing(true);
    for (const service of services) expect(await statusOf(service)).toBe(serving);
    harness.server.setServing(false);
    for (const service of services) expect(await statusOf(service)).toBe(notServing);
    expect((await failureOf(statusOf('other'))).code).toBe(status.NOT_FOUND);
  });

  it('tells its watchers, also that the member stops', async () => {
    harness = await Harness.start();
    harness.server.setServing(true);
    const constructors = loadPackageDefinition({ Health: healthDefinition }) as GrpcObject;
    const HealthClient = constructors['Health'] as ServiceClientConstructor;
    const client = new HealthClient(`127.0.0.1:${harness.port}`, credentials.createInsecure());
    const stream = client['watch']?.({ service: '' }) as NodeJS.EventEmitter;
    const seen: string[] = [];
    stream.on('data', (message: { status: string }) => seen.push(message.status));
    stream.on('error', (error: { code: number }) => seen.push(`ended ${error.code}`));
    await until(() => seen.length === 1, 'the first state');
    harness.server.setServing(false);
    harness.server.setServing(true);
    await until(() => seen.length === 3, 'two changes');
    const drained = harness.server.drain(5_000);
    await drained;
    client.close();
    await until(() => seen.length === 5, 'the end');
    expect(seen).toEqual(['SERVING', 'NOT_SERVING', 'SERVING', 'NOT_SERVING', `ended ${status.UNAVAILABLE}`]);
    harness = await Harness.start();
  });
});

describe('server reflection', () => {
  const root = protobuf.loadSync(
    join(import.meta.dirname, '../../node_modules/@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto'),
  );
  const requestType = root.lookupType('grpc.reflection.v1.ServerReflectionRequest');
  const responseType = root.lookupType('grpc.reflection.v1.ServerReflectionResponse');

  async function ask(path: string, request: object): Promise<Record<string, never>> {
    const same = (bytes: Buffer): Buffer => bytes;
    const stream = harness.client().grpc.makeBidiStreamRequest(path, same, same);
    stream.write(Buffer.from(requestType.encode(requestType.fromObject(request)).finish()));
    stream.end();
    for await (const message of stream) {
      return responseType.toObject(responseType.decode(message as Buffer)) as Record<string, never>;
    }
    throw new Error('no answer');
  }

  it.each(['v1', 'v1alpha'])('lists the public services and gives their files (%s)', async (version) => {
    harness = await Harness.start();
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    const listed = await ask(path, { listServices: '*' });
    expect(listed).toMatchObject({
      listServicesResponse: { service: [{ name: 'rollcall.v1.Cluster' }, { name: 'rollcall.v1.Registry' }] },
    });
    const file = await ask(path, { fileContainingSymbol: 'rollcall.v1.Registry' });
    const bytes = (file as { fileDescriptorResponse?: { fileDescriptorProto: Buffer[] } }).fileDescriptorResponse
      ?.fileDescriptorProto[0];
    expect(bytes?.includes('InstanceSpec')).toBe(true);
    expect(await ask(path, { fileContainingSymbol: 'rollcall.v1.Nothing' })).toHaveProperty('errorResponse');
  });
});

describe('what the standard services cannot use', () => {
  const health = ['/grpc.health.v1.Health/Check', '/grpc.health.v1.Health/Watch'];
  const reflection = ['v1', 'v1alpha'].map(
    (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
  );

  /** A request with one text: the service's name, or for reflection the symbol. */
  function named(field: number, textBytes: number): Buffer {
    return Buffer.concat([
      Buffer.from([field * 8 + 2, (textBytes % 128) + 128, textBytes >> 7]),
      Buffer.alloc(textBytes, 'a'),
    ]);
  }

  it.each([...health, ...reflection])('is INVALID_ARGUMENT: %s', async (path) => {
    harness = await Harness.start();
    const client = harness.client();
    const garbage = await failureOf(client.unary(path, Buffer.from([0xff, 0xff, 0xff, 1, 2])));
    expect(garbage.code).toBe(status.INVALID_ARGUMENT);
    expect(detailsOf(garbage).errorInfo?.reason).toBe('MALFORMED_MESSAGE');
    const field = health.includes(path) ? 1 : 4;
    const long = await failureOf(client.unary(path, named(field, standardRequestBytesMax - 2)));
    expect(long.code).toBe(status.INVALID_ARGUMENT);
    expect(detailsOf(long).badRequest?.fieldViolations[0]?.field).toBe('request');
    expect(harness.fatal).toEqual([]);
  });

  it('is looked at up to the bound', async () => {
    harness = await Harness.start();
    const request = named(1, standardRequestBytesMax - 3);
    expect(request.length).toBe(standardRequestBytesMax);
    expect((await failureOf(harness.client().unary('/grpc.health.v1.Health/Check', request))).code).toBe(
      status.NOT_FOUND,
    );
  });

  it('ends a reflection stream, whose answers until then are kept', async () => {
    harness = await Harness.start();
    const same = (bytes: Buffer): Buffer => bytes;
    const [path] = reflection;
    const stream = harness.client().grpc.makeBidiStreamRequest(path ?? '', same, same);
    const result = drainedStream(stream);
    stream.write(named(4, 200));
    stream.write(Buffer.from([0xff]));
    stream.write(named(4, 200));
    stream.end();
    const { messages, error } = await result;
    expect([messages.length, error?.code]).toEqual([1, status.INVALID_ARGUMENT]);
  });
});
