import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { parseStatus } from '../api/parse-reads.ts';
import type { ClusterApi } from '../api/types.ts';
import type { CallContext } from './call-context.ts';
import { bytesService } from './method-table.ts';
import { renderStatus } from './render-cluster.ts';
import { unaryHandler } from './unary-call.ts';

export const clusterServiceName = 'rollcall.v1.Cluster';

/** rollcall.v1.Cluster for grpc-js: parses, calls the use cases, renders. */
export class ClusterService {
  readonly definition: ServiceDefinition = bytesService(clusterServiceName, { Status: 'unary' });
  readonly implementation: UntypedServiceImplementation;

  constructor(cluster: ClusterApi, context: CallContext) {
    this.implementation = {
      Status: unaryHandler(context, {
        name: 'Status',
        parse: parseStatus,
        run: async () => cluster.status(),
        render: renderStatus,
      }),
    };
  }
}
