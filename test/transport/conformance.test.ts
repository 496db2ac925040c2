import { transportSuite } from '../conformance/transport-suite.ts';
import { grpcTwin, memoryTwin } from './twins.ts';

transportSuite('memory', () => memoryTwin());
transportSuite('gRPC', () => grpcTwin());
