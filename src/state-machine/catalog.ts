import { assert } from '../base/assert.ts';
import type { ArenaTable } from './arena-table.ts';
import { WireWriter } from '../base/wire-writer.ts';
import type { ServiceSummary } from './interfaces.ts';
import { instanceKey, serviceKey } from './keys.ts';
import type { PersistedRecords } from './persisted-records.ts';
import type { ServiceArena } from './service-arena.ts';
import { SortedStrings } from './sorted-strings.ts';
import { decodeStrictly, expectFormat } from '../base/strict-decode.ts';
import type { InstanceName } from './types.ts';

const serviceFormat = 1;
const writer = new WireWriter();

interface Namespace {
  readonly services: Map<string, ServiceArena>;
  readonly names: SortedStrings;
}

/** All instances by namespace and service. A service without instances is not kept. */
export class Catalog {
  readonly #records: PersistedRecords;
  readonly #arenas: ArenaTable;
  readonly #namespaces = new Map<string, Namespace>();
  #services = 0;
  #instances = 0;

  constructor(records: PersistedRecords, arenas: ArenaTable) {
    this.#records = records;
    this.#arenas = arenas;
  }

  get services(): number {
    return this.#services;
  }

  get instances(): number {
    return this.#instances;
  }

  service(namespace: string, service: string): ServiceArena | undefined {
    return this.#namespaces.get(namespace)?.services.get(service);
  }

  view(name: InstanceName): Uint8Array | undefined {
    return this.service(name.namespace, name.service)?.get(name.id);
  }

  /**
   * Puts a view in the place of whatever is there, and returns the service.
   *
   * @param view Copied.
   * @param kept The same bytes in memory that is never written again; kept until the change is flushed.
   */
  put(name: InstanceName, view: Uint8Array, kept: Uint8Array, revision: number): ServiceArena {
    const arena = this.#obtain(name.namespace, name.service);
    this.#records.changed(instanceKey(name.namespace, name.service, name.id), arena.get(name.id), kept);
    this.#store(arena, name.id, view);
    arena.modifyRevision = revision;
    return arena;
  }

  /** Removes an instance that is there, and is on no lease any more. */
  remove(name: InstanceName, revision: number): void {
    const arena = this.service(name.namespace, name.service);
    const view = arena?.get(name.id);
    assert(arena !== undefined && view !== undefined, 'removal of an absent instance');
    this.#records.changed(instanceKey(name.namespace, name.service, name.id), view, undefined);
    arena.delete(name.id);
    arena.modifyRevision = revision;
    this.#instances -= 1;
    this.#recordRemoval(arena, revision);
    if (arena.count === 0) this.#drop(arena);
  }

  /** An instance from the store. */
  load(name: InstanceName, view: Uint8Array, modifyRevision: number): ServiceArena {
    const arena = this.#obtain(name.namespace, name.service);
    assert(arena.get(name.id) === undefined, 'instance loaded twice');
    this.#store(arena, name.id, view);
    if (modifyRevision > arena.modifyRevision) arena.modifyRevision = modifyRevision;
    return arena;
  }

  /** A service's record of its last removal, from the store. */
  loadRemoval(namespace: string, service: string, bytes: Uint8Array, revisionMax: number): void {
    const arena = this.service(namespace, service);
    assert(arena !== undefined && arena.removalRevision === 0, 'record of a service without instances');
    const revision = decodeStrictly('service record', bytes, (reader) => {
      expectFormat(reader, serviceFormat);
      return reader.varint();
    });
    assert(revision > 0 && revision <= revisionMax, 'removal from the future');
    arena.removalRevision = revision;
    if (revision > arena.modifyRevision) arena.modifyRevision = revision;
  }

  /** Services in order of their names, those that begin with `prefix` and come after `afterService`. */
  *summaries(namespace: string, prefix: string, afterService: string): Iterable<ServiceSummary> {
    const found = this.#namespaces.get(namespace);
    if (found === undefined) return;
    const resumes = afterService >= prefix;
    for (const service of found.names.from(resumes ? afterService : prefix, !resumes)) {
      if (!service.startsWith(prefix)) return;
      const arena = found.services.get(service) as ServiceArena;
      yield { namespace, service, instances: arena.count, modifyRevision: arena.modifyRevision };
    }
  }

  #store(arena: ServiceArena, id: string, view: Uint8Array): void {
    const countBefore = arena.count;
    arena.put(id, view);
    this.#instances += arena.count - countBefore;
  }

  #obtain(namespaceName: string, service: string): ServiceArena {
    let namespace = this.#namespaces.get(namespaceName);
    if (namespace === undefined) {
      namespace = { services: new Map(), names: new SortedStrings() };
      this.#namespaces.set(namespaceName, namespace);
    }
    let arena = namespace.services.get(service);
    if (arena === undefined) {
      arena = this.#arenas.add(namespaceName, service);
      namespace.services.set(service, arena);
      namespace.names.add(service);
      this.#services += 1;
    }
    return arena;
  }

  /** What remains of a removal is its revision; without it modifyRevision would go back at a restart. */
  #recordRemoval(arena: ServiceArena, revision: number): void {
    const before = arena.removalRevision;
    const after = arena.count === 0 ? 0 : revision;
    if (before === after) return;
    arena.removalRevision = after;
    this.#records.changed(
      serviceKey(arena.namespace, arena.service),
      before === 0 ? undefined : encodeRemoval(before),
      after === 0 ? undefined : encodeRemoval(after),
    );
  }

  #drop(arena: ServiceArena): void {
    const namespace = this.#namespaces.get(arena.namespace);
    assert(namespace?.services.get(arena.service) === arena, 'drop of an unknown service');
    namespace.services.delete(arena.service);
    namespace.names.delete(arena.service);
    this.#arenas.drop(arena);
    this.#services -= 1;
    if (namespace.services.size === 0) this.#namespaces.delete(arena.namespace);
  }
}

function encodeRemoval(revision: number): Uint8Array {
  writer.reset();
  return writer.byte(serviceFormat).varint(revision).finish();
}
