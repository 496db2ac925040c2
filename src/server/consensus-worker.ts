// The thread of the consensus side: started by consensus-thread.ts, told everything by its owner.
import { parentPort, workerData } from 'node:worker_threads';
import { must } from '../base/assert.ts';
import { SystemClock } from '../base/system-clock.ts';
import { SystemRandom } from '../base/system-random.ts';
import { ConsensusHost } from '../replica/consensus-host.ts';
import { LocalConsensus } from '../replica/local-consensus.ts';
import { replicaTimes } from '../replica/times.ts';
import { NodeDisk } from '../storage/node-disk.ts';
import { measuredDisk } from '../telemetry/measured-disk.ts';
import { GrpcTransport } from '../transport/grpc-transport.ts';
import { consensusStorage } from './member-storage.ts';
import { clockOriginMs, portEndpoint } from './thread-port.ts';

/** What the thread is started with; plain values. */
export interface ConsensusThreadData {
  readonly memberId: string;
  readonly dataDirectory: string;
  readonly segmentBytes: number;
  /** Where it listens for peers. */
  readonly host: string;
  readonly port: number;
  readonly tickMs: number;
  readonly heartbeatTicks: number;
  readonly electionTicksMin: number;
  readonly electionTicksMax: number;
  /** `clockOriginMs` of the thread that starts it: each has a monotonic clock that begins with itself. */
  readonly ownerOriginMs: number;
}

/**
 * Election timeouts without a sign of the serving side after which a leader gives up: long enough for a burst of calls
 * or a pause of the memory's cleaning, since a change of leader helps nobody where all members are equally busy.
 */
const servingSilenceTimeoutsMax = 5;

const port = must(parentPort, 'owner of the consensus thread');
const { dataDirectory, heartbeatTicks, electionTicksMax, electionTicksMin, host, memberId, ownerOriginMs, ...rest } =
  workerData as ConsensusThreadData;
const clock = new SystemClock();
const random = new SystemRandom();
const times = replicaTimes(rest.tickMs, heartbeatTicks, electionTicksMin, electionTicksMax);
const disk = measuredDisk(await NodeDisk.open(dataDirectory), clock, (path, bytes, ms) => {
  consensusHost.tellDiskWrite(path, bytes, ms);
});
const consensusHost = new ConsensusHost({
  endpoint: portEndpoint(port, () => port.close()),
  consensus: new LocalConsensus({
    memberId,
    clock,
    random,
    transport: new GrpcTransport({ clock, random, host, port: rest.port }),
    storage: consensusStorage({ clock, disk, segmentBytes: rest.segmentBytes }),
    times,
  }),
  servingSilenceTicksMax: servingSilenceTimeoutsMax * electionTicksMax,
  clockOffsetMs: clockOriginMs() - ownerOriginMs,
});
