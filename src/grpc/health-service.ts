import type { Server, ServerWritableStream, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { ServingStatus } from 'grpc-health-check';
import { HealthImplementation } from 'grpc-health-check';
import { assert } from '../base/assert.ts';
import type { RollcallError } from '../base/errors.ts';
import { OpenStreams } from './open-streams.ts';
import { checkedService } from './standard-requests.ts';
import { callStatusOf } from './status-errors.ts';

type HealthStream = ServerWritableStream<object, object>;

/**
 * grpc.health.v1.Health for the server as a whole ('') and each service named. NOT_SERVING until told otherwise. Its
 * Watch streams never end by themselves, so they are kept to be ended when the member stops.
 */
export class HealthService {
  readonly #health: HealthImplementation;
  readonly #services: readonly string[];
  readonly #watches = new OpenStreams(() => undefined);

  constructor(services: readonly string[]) {
    this.#services = ['', ...services];
    this.#health = new HealthImplementation(
      Object.fromEntries(this.#services.map((service) => [service, 'NOT_SERVING' as const])),
    );
  }

  addTo(server: Server): void {
    this.#health.addToServer({
      addService: (definition, implementation) => {
        const { watch } = implementation;
        assert(watch !== undefined, 'this version of grpc-health-check has no watch');
        const kept = (call: HealthStream): void => {
          this.#keep(call);
          (watch as unknown as (call: HealthStream) => void)(call);
        };
        const withKept = { ...implementation, watch: kept } as unknown as UntypedServiceImplementation;
        const checked = checkedService(definition, withKept);
        server.addService(checked.definition, checked.implementation);
      },
    });
  }

  setServing(serving: boolean): void {
    const status: ServingStatus = serving ? 'SERVING' : 'NOT_SERVING';
    for (const service of this.#services) this.#health.setStatus(service, status);
  }

  endStreams(error: RollcallError): void {
    this.#watches.endAll(error);
  }

  #keep(call: HealthStream): void {
    const stream = {
      endWith: (error: RollcallError): void => {
        this.#watches.remove(stream);
        call.emit('error', callStatusOf(error));
      },
    };
    this.#watches.add(stream);
    call.on('cancelled', () => this.#watches.remove(stream));
  }
}
