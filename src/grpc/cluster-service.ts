import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import {
  parseAddMember,
  parseListMembers,
  parsePromoteMember,
  parseRemoveMember,
  parseReplaceMember,
  parseTransferLeadership,
} from '../api/parse-cluster.ts';
import { parseStatus } from '../api/parse-reads.ts';
import type { ChangeMembershipRequest, ClusterApi } from '../api/types.ts';
import type { CallContext } from './call-context.ts';
import { bytesService } from './method-table.ts';
import type { MethodName } from './observer.ts';
import { renderMembership, renderStatus, renderTransfer } from './render-cluster.ts';
import type { UnaryHandler } from './unary-call.ts';
import { unaryHandler } from './unary-call.ts';

export const clusterServiceName = 'rollcall.v1.Cluster';

/** rollcall.v1.Cluster for grpc-js: parses, calls the use cases, renders. */
export class ClusterService {
  readonly definition: ServiceDefinition = bytesService(clusterServiceName, {
    Status: 'unary',
    ListMembers: 'unary',
    AddMember: 'unary',
    PromoteMember: 'unary',
    RemoveMember: 'unary',
    ReplaceMember: 'unary',
    TransferLeadership: 'unary',
  });
  readonly implementation: UntypedServiceImplementation;

  constructor(cluster: ClusterApi, context: CallContext) {
    const change = (name: MethodName, parse: (bytes: Uint8Array) => ChangeMembershipRequest): UnaryHandler =>
      unaryHandler(context, {
        name,
        parse,
        run: (request) => cluster.changeMembership(request),
        render: renderMembership,
      });
    this.implementation = {
      Status: unaryHandler(context, {
        name: 'Status',
        parse: parseStatus,
        run: async () => cluster.status(),
        render: renderStatus,
      }),
      ListMembers: unaryHandler(context, {
        name: 'ListMembers',
        parse: parseListMembers,
        run: () => cluster.listMembers(),
        render: renderMembership,
      }),
      AddMember: change('AddMember', parseAddMember),
      PromoteMember: change('PromoteMember', parsePromoteMember),
      RemoveMember: change('RemoveMember', parseRemoveMember),
      ReplaceMember: change('ReplaceMember', parseReplaceMember),
      TransferLeadership: unaryHandler(context, {
        name: 'TransferLeadership',
        parse: parseTransferLeadership,
        run: (to) => cluster.transferLeadership(to),
        render: renderTransfer,
      }),
    };
  }
}
