import type {
  ServerDuplexStream,
  ServiceDefinition,
  UntypedHandleCall,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { invalidField, RollcallError } from '../base/errors.ts';
import { callStatusOf } from './status-errors.ts';

/**
 * Requests of the standard services (health, reflection), whose packages decode and answer by themselves. What cannot
 * be decoded they would leave to grpc-js, which calls it INTERNAL; and they put the names asked for into their answers,
 * so that a long one gives trailers that no client takes.
 */
export const standardRequestBytesMax = 1_024;

/** What the handler finds in place of a request that is refused. */
class RefusedRequest {
  readonly error: RollcallError;

  constructor(error: RollcallError) {
    this.error = error;
  }
}

type Handler = (call: AnyCall, callback: (error: unknown) => void) => void;
type AnyCall = ServerDuplexStream<unknown, unknown> & { readonly request: unknown };

/** The same service; what is malformed or too long is INVALID_ARGUMENT, and the package's handlers do not see it. */
export function checkedService(
  definition: ServiceDefinition,
  implementation: UntypedServiceImplementation,
): { readonly definition: ServiceDefinition; readonly implementation: UntypedServiceImplementation } {
  const checked: Record<string, ServiceDefinition[string]> = {};
  const handlers: UntypedServiceImplementation = {};
  for (const [name, method] of Object.entries(definition)) {
    const { requestDeserialize } = method;
    checked[name] = { ...method, requestDeserialize: (bytes) => decoded(bytes, requestDeserialize) };
    // A package names its handlers as the proto file does or in camel case.
    const key = [name, method.originalName ?? ''].find((one) => implementation[one] !== undefined);
    if (key === undefined) continue;
    const handler = implementation[key] as unknown as Handler;
    const checkedHandler = method.requestStream ? checkedStream(handler) : checkedCall(handler, method.responseStream);
    handlers[key] = checkedHandler as unknown as UntypedHandleCall;
  }
  return { definition: checked, implementation: handlers };
}

function decoded(bytes: Buffer, decode: (bytes: Buffer) => unknown): unknown {
  if (bytes.length > standardRequestBytesMax) {
    const problem = `has ${bytes.length} bytes, allowed are at most ${standardRequestBytesMax}`;
    return new RefusedRequest(invalidField('request', problem));
  }
  try {
    return decode(bytes);
  } catch {
    const message = 'the request is no valid protobuf: use the standard proto files of this service';
    return new RefusedRequest(new RollcallError('MALFORMED_MESSAGE', message));
  }
}

/** One request. */
function checkedCall(handler: Handler, answersByStream: boolean): Handler {
  return (call, callback) => {
    const { request } = call;
    if (!(request instanceof RefusedRequest)) handler(call, callback);
    else if (answersByStream) call.emit('error', callStatusOf(request.error));
    else callback(callStatusOf(request.error));
  };
}

/**
 * Many requests. The packages answer each at once, whether or not answers are taken: here a client that does not read
 * is not read either.
 */
function checkedStream(handler: Handler): Handler {
  return (call, callback) => {
    handler(call, callback);
    const listeners = call.listeners('data');
    call.removeAllListeners('data');
    let refused = false;
    call.on('data', (request: unknown) => {
      if (refused) return;
      if (request instanceof RefusedRequest) {
        refused = true;
        call.emit('error', callStatusOf(request.error));
        return;
      }
      for (const listener of listeners) listener.call(call, request);
      if (call.writableNeedDrain) call.pause();
    });
    call.on('drain', () => call.resume());
  };
}
