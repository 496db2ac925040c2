import type { ServerDuplexStream, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { parseDiscover, parseListServices } from '../api/parse-reads.ts';
import {
  parseBatchRegister,
  parseDeregister,
  parseGrantLease,
  parseRegister,
  parseRevokeLease,
  parseUpdate,
} from '../api/parse-writes.ts';
import type { CheckedSpec, RegistryApi } from '../api/types.ts';
import type { RollcallError } from '../base/errors.ts';
import type { CallContext } from './call-context.ts';
import { toCallerError } from './call-context.ts';
import { KeepAliveCall } from './keep-alive-call.ts';
import { bytesService } from './method-table.ts';
import type { EndableStream } from './open-streams.ts';
import { OpenStreams } from './open-streams.ts';
import {
  renderBatchRegister,
  renderDeregister,
  renderDiscover,
  renderGrantLease,
  renderListServices,
  renderRegister,
  renderRevokeLease,
  renderUpdate,
} from './render-registry.ts';
import { SessionStreamCall } from './session-call.ts';
import { callStatusOf } from './status-errors.ts';
import { unaryHandler } from './unary-call.ts';
import { WatchCall } from './watch-call.ts';

export const registryServiceName = 'rollcall.v1.Registry';

type BytesStream = ServerDuplexStream<Buffer, Buffer>;

/** rollcall.v1.Registry for grpc-js: parses, calls the use cases, renders. */
export class RegistryService {
  readonly definition: ServiceDefinition = bytesService(registryServiceName, {
    Register: 'unary',
    BatchRegister: 'unary',
    Update: 'unary',
    Deregister: 'unary',
    GrantLease: 'unary',
    RevokeLease: 'unary',
    KeepAlive: 'bidi',
    Session: 'bidi',
    Discover: 'unary',
    ListServices: 'unary',
    Watch: 'bidi',
  });
  readonly implementation: UntypedServiceImplementation;
  readonly #registry: RegistryApi;
  readonly #context: CallContext;
  readonly #keepAlives: OpenStreams;
  readonly #sessions: OpenStreams;
  readonly #watches: OpenStreams;

  constructor(registry: RegistryApi, context: CallContext) {
    this.#registry = registry;
    this.#context = context;
    this.#keepAlives = new OpenStreams((open) => context.observer.streamsChanged('KeepAlive', open));
    this.#sessions = new OpenStreams((open) => context.observer.streamsChanged('Session', open));
    this.#watches = new OpenStreams((open) => context.observer.streamsChanged('Watch', open));
    this.implementation = { ...this.#writes(), ...this.#reads(), ...this.#streams() };
  }

  /** Ends every stream with `error`, no session: renewals already taken are answered first. */
  endStreams(error: RollcallError): void {
    this.#watches.endAll(error);
    this.#sessions.endAll(error);
    this.#keepAlives.endAll(error);
  }

  #writes(): UntypedServiceImplementation {
    const registry = this.#registry;
    const context = this.#context;
    return {
      Register: unaryHandler(context, {
        name: 'Register',
        parse: (bytes) => this.#counted(parseRegister(bytes)),
        run: (request, caller) => registry.register(request, caller),
        render: renderRegister,
      }),
      BatchRegister: unaryHandler(context, {
        name: 'BatchRegister',
        parse: (bytes) => {
          const request = parseBatchRegister(bytes);
          for (const item of request.items) this.#counted(item);
          return request;
        },
        run: (request, caller) => registry.batchRegister(request, caller),
        render: renderBatchRegister,
      }),
      Update: unaryHandler(context, {
        name: 'Update',
        parse: (bytes) => this.#counted(parseUpdate(bytes)),
        run: (request, caller) => registry.update(request, caller),
        render: renderUpdate,
      }),
      Deregister: unaryHandler(context, {
        name: 'Deregister',
        parse: parseDeregister,
        run: (request, caller) => registry.deregister(request, caller),
        render: renderDeregister,
      }),
      GrantLease: unaryHandler(context, {
        name: 'GrantLease',
        parse: parseGrantLease,
        run: (request, caller) => registry.grantLease(request, caller),
        render: renderGrantLease,
      }),
      RevokeLease: unaryHandler(context, {
        name: 'RevokeLease',
        parse: parseRevokeLease,
        run: (request, caller) => registry.revokeLease(request, caller),
        render: renderRevokeLease,
      }),
    };
  }

  #reads(): UntypedServiceImplementation {
    const registry = this.#registry;
    return {
      Discover: unaryHandler(this.#context, {
        name: 'Discover',
        parse: parseDiscover,
        run: (request, caller) => registry.discover(request, caller),
        render: renderDiscover,
      }),
      ListServices: unaryHandler(this.#context, {
        name: 'ListServices',
        parse: parseListServices,
        run: (request, caller) => registry.listServices(request, caller),
        render: renderListServices,
      }),
    };
  }

  #streams(): UntypedServiceImplementation {
    const registry = this.#registry;
    const context = this.#context;
    return {
      KeepAlive: (call: BytesStream) =>
        this.#open(call, this.#keepAlives, (closed) => new KeepAliveCall(call, registry, context, closed)),
      Session: (call: BytesStream) =>
        this.#open(call, this.#sessions, (closed) => new SessionStreamCall(call, registry, context, closed)),
      Watch: (call: BytesStream) =>
        this.#open(call, this.#watches, (closed) => new WatchCall(call, registry, context, closed)),
    };
  }

  #open(call: BytesStream, streams: OpenStreams, make: (closed: () => void) => EndableStream): void {
    if (call.cancelled) return;
    try {
      const stream = make(() => streams.remove(stream));
      streams.add(stream);
    } catch (thrown) {
      call.emit('error', callStatusOf(toCallerError(this.#context, thrown)));
    }
  }

  #counted<Request extends { readonly spec: CheckedSpec }>(request: Request): Request {
    if (request.spec.unknownFields > 0) this.#context.observer.unknownFields(request.spec.unknownFields);
    return request;
  }
}
