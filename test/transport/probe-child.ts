// A program for prober.test.ts: a member that listens and says on which port. It ends with its input.
import { Member } from './member.ts';
import { grpcTwin } from './twins.ts';

const member = await new Member(grpcTwin(), 'a').start();
process.stdout.write(`${member.port}\n`);
process.stdin.on('end', () => void member.transport.stop(0));
process.stdin.resume();
