import { join } from 'node:path';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import type { FieldShape, MessageTable } from '../../src/api/message-table.ts';
import {
  addMemberTable,
  batchRegisterTable,
  deregisterTable,
  discoverTable,
  grantLeaseTable,
  instanceSpecTable,
  keepAliveTable,
  listMembersTable,
  listServicesTable,
  promoteMemberTable,
  registerTable,
  removeMemberTable,
  replaceMemberTable,
  revokeLeaseTable,
  sessionTable,
  statusTable,
  transferLeadershipTable,
  updateTable,
  watchTable,
} from '../../src/api/message-table.ts';

const protoFolder = join(import.meta.dirname, '../../proto');
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => join(protoFolder, target);
root.loadSync(['rollcall/v1/registry.proto', 'rollcall/v1/cluster.proto']).resolveAll();

const tables: readonly MessageTable[] = [
  instanceSpecTable,
  registerTable,
  batchRegisterTable,
  sessionTable,
  updateTable,
  deregisterTable,
  grantLeaseTable,
  revokeLeaseTable,
  keepAliveTable,
  discoverTable,
  listServicesTable,
  watchTable,
  statusTable,
  listMembersTable,
  addMemberTable,
  promoteMemberTable,
  removeMemberTable,
  replaceMemberTable,
  transferLeadershipTable,
];

/** A field of the proto file as the table should have it, in one line. */
function declared(field: protobuf.Field): string {
  const explicit = field.partOf !== null && field.resolvedType === null;
  const type = field.resolvedType === null ? field.type : field.resolvedType.fullName.slice(1);
  const map = field instanceof protobuf.MapField ? `map of ${field.keyType} to ` : '';
  return `${field.id} ${map}${field.repeated ? 'repeated ' : ''}${type}${explicit ? ' explicit' : ''}`;
}

function written(shape: FieldShape): string {
  const { number } = shape;
  switch (shape.type) {
    case 'message':
      return `${number} ${shape.table.name}`;
    case 'messages':
      return `${number} repeated ${shape.table.name}`;
    case 'enum':
      return `${number} ${shape.enumName}`;
    case 'strings':
      return `${number} repeated string`;
    case 'uint64s':
      return `${number} repeated uint64`;
    case 'enums':
      return `${number} repeated ${shape.enumName}`;
    case 'string-map':
      return `${number} map of string to string`;
    case 'string':
    case 'bool':
    case 'uint32':
    case 'uint64':
      return `${number} ${shape.type}${shape.present === 'explicit' ? ' explicit' : ''}`;
  }
}

function withInner(table: MessageTable): MessageTable[] {
  return [table, ...Object.values(table.fields).flatMap((shape) => ('table' in shape ? withInner(shape.table) : []))];
}

describe('the tables of requests', () => {
  for (const table of new Set(tables.flatMap((outer) => withInner(outer)))) {
    it(`${table.name} is as the proto file says`, () => {
      const type = root.lookupType(table.name);
      const expected = Object.fromEntries(
        Object.values(type.fields).map((field) => [snakeCase(field.name), declared(field)]),
      );
      const found = Object.fromEntries(Object.entries(table.fields).map(([name, shape]) => [name, written(shape)]));
      expect(found).toEqual(expected);
    });

    it(`${table.name} names every value of its enums`, () => {
      for (const shape of Object.values(table.fields)) {
        if (shape.type !== 'enum' && shape.type !== 'enums') continue;
        const values = Object.entries(root.lookupEnum(shape.enumName).values).toSorted((a, b) => a[1] - b[1]);
        expect(values).toEqual(shape.names.map((name, value) => [name, value]));
      }
    });
  }

  it('are there for the request of every method', () => {
    const services = [root.lookupService('rollcall.v1.Registry'), root.lookupService('rollcall.v1.Cluster')];
    const requests = services.flatMap((service) => Object.values(service.methods).map((method) => method.requestType));
    const known = tables.map((table) => table.name.replace('rollcall.v1.', ''));
    expect(requests.filter((request) => !known.includes(request))).toEqual([]);
  });
});

/** protobufjs gives names in camel case. */
function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
