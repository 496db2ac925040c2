import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';

/** What the proto files say, in the order in which they say it. Comments are '' where there are none. */
export interface Interface {
  readonly files: readonly string[];
  readonly services: readonly ServiceText[];
  readonly types: readonly TypeText[];
}

export interface ServiceText {
  readonly name: string;
  readonly comment: string;
  readonly methods: readonly MethodText[];
}

export interface MethodText {
  /** `Registry.Register`. */
  readonly name: string;
  /** `/rollcall.v1.Registry/Register`. */
  readonly path: string;
  readonly comment: string;
  readonly request: string;
  readonly requestStream: boolean;
  readonly response: string;
  readonly responseStream: boolean;
}

/** A message or an enum: one type by its simple name. */
export type TypeText = MessageText | EnumText;

export interface MessageText {
  readonly kind: 'message';
  readonly name: string;
  readonly comment: string;
  readonly fields: readonly FieldText[];
  readonly choices: readonly ChoiceText[];
}

export interface FieldText {
  readonly name: string;
  readonly number: number;
  /** `uint64`, or the simple name of a type of the interface. */
  readonly type: string;
  readonly label: 'single' | 'optional' | 'repeated' | 'map';
  /** Of a map. */
  readonly keyType: string;
  /** Name of the oneof that it is in, or ''. */
  readonly choice: string;
  readonly comment: string;
}

/** A oneof. */
export interface ChoiceText {
  readonly name: string;
  readonly comment: string;
  readonly fields: readonly string[];
}

export interface EnumText {
  readonly kind: 'enum';
  readonly name: string;
  readonly comment: string;
  readonly values: readonly { readonly name: string; readonly number: number; readonly comment: string }[];
}

/** Reads the proto files at these paths, from the root of the repository; all of one package. */
export function readInterface(root: string, files: readonly string[]): Interface {
  const tree = new protobuf.Root();
  for (const file of files) {
    protobuf.parse(readFileSync(join(root, file), 'utf8'), tree, { keepCase: true, alternateCommentMode: true });
  }
  tree.resolveAll();
  const services: ServiceText[] = [];
  const types: TypeText[] = [];
  const visit = (parent: protobuf.NamespaceBase): void => {
    for (const child of parent.nestedArray) {
      if (child instanceof protobuf.Service) services.push(serviceText(child));
      else if (child instanceof protobuf.Type) types.push(messageText(child));
      else if (child instanceof protobuf.Enum) types.push(enumText(child));
      if (child instanceof protobuf.Namespace) visit(child);
    }
  };
  visit(tree);
  return { files, services, types };
}

function serviceText(service: protobuf.Service): ServiceText {
  return {
    name: service.name,
    comment: commentOf(service.comment),
    methods: service.methodsArray.map((method) => ({
      name: `${service.name}.${method.name}`,
      path: `/${service.fullName.replace(/^\./, '')}/${method.name}`,
      comment: commentOf(method.comment),
      request: simpleName(method.requestType),
      requestStream: method.requestStream === true,
      response: simpleName(method.responseType),
      responseStream: method.responseStream === true,
    })),
  };
}

function messageText(type: protobuf.Type): MessageText {
  // An `optional` field stands alone in a oneof of the compiler's own making.
  const choices = type.oneofsArray.filter((oneof) => !oneof.isProto3Optional);
  return {
    kind: 'message',
    name: type.name,
    comment: commentOf(type.comment),
    fields: type.fieldsArray.map((field) => ({
      name: field.name,
      number: field.id,
      type: simpleName(field.type),
      label: labelOf(field),
      keyType: field instanceof protobuf.MapField ? field.keyType : '',
      choice: choices.find((oneof) => oneof.oneof.includes(field.name))?.name ?? '',
      comment: commentOf(field.comment),
    })),
    choices: choices.map((oneof) => ({
      name: oneof.name,
      comment: commentOf(oneof.comment),
      fields: [...oneof.oneof],
    })),
  };
}

function labelOf(field: protobuf.Field): FieldText['label'] {
  if (field instanceof protobuf.MapField) return 'map';
  if (field.repeated) return 'repeated';
  return field.partOf?.isProto3Optional === true ? 'optional' : 'single';
}

function enumText(type: protobuf.Enum): EnumText {
  return {
    kind: 'enum',
    name: type.name,
    comment: commentOf(type.comment),
    values: Object.entries(type.values).map(([name, number]) => ({
      name,
      number,
      comment: commentOf(type.comments[name] ?? null),
    })),
  };
}

function simpleName(type: string): string {
  return type.slice(type.lastIndexOf('.') + 1);
}

/** One paragraph: the line breaks of a comment mean nothing. */
function commentOf(comment: string | null): string {
  return (comment ?? '').replace(/\s+/g, ' ').trim();
}
