import type { Interface, MethodText, TypeText } from './interface.ts';

/** Which types stand below which method: those that no other method needs. The rest is shared. */
export interface Sections {
  readonly ofMethod: ReadonlyMap<string, readonly TypeText[]>;
  readonly shared: readonly TypeText[];
}

/** Lays out the types, each once, in the order in which a reader comes upon them. */
export function layOut({ services, types }: Interface): Sections {
  const byName = new Map(types.map((type) => [type.name, type]));
  const methods = services.flatMap((service) => service.methods);
  const reached = new Map(methods.map((method) => [method.name, reachedFrom(method, byName)]));
  const users = new Map<TypeText, number>();
  for (const found of reached.values()) for (const type of found) users.set(type, (users.get(type) ?? 0) + 1);
  const unused = types.filter((type) => !users.has(type));
  if (unused.length > 0) throw new Error(`no method needs ${unused.map((type) => type.name).join(', ')}`);
  return {
    ofMethod: new Map([...reached].map(([name, found]) => [name, found.filter((type) => users.get(type) === 1)])),
    shared: types.filter((type) => (users.get(type) ?? 0) > 1),
  };
}

/** Depth first, so that a message is followed by what it is made of. */
function reachedFrom(method: MethodText, byName: ReadonlyMap<string, TypeText>): TypeText[] {
  const found = new Set<TypeText>();
  const visit = (name: string): void => {
    const type = byName.get(name);
    if (type === undefined || found.has(type)) return;
    found.add(type);
    if (type.kind === 'message') for (const field of type.fields) visit(field.type);
  };
  visit(method.request);
  visit(method.response);
  return [...found];
}
