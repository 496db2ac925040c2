import type { CheckedConfig } from './config-schema.ts';
import { formatHostPort, isLoopback } from './config-fields.ts';

type Path = readonly (string | number)[];

/** What is wrong with the configuration as a whole, and the key to tell it by. */
export interface ConfigProblem {
  readonly path: Path;
  readonly text: string;
}

/** As much of a configuration as is well formed: the rest has been complained about by itself. */
export interface PartialConfig {
  readonly memberId?: string;
  readonly insecure?: boolean;
  readonly initialMembers: readonly Partial<CheckedConfig['initialMembers'][number]>[];
  readonly listen: Partial<CheckedConfig['listen']>;
  readonly raft: Partial<CheckedConfig['raft']>;
}

/** Problems between keys. Each is told once, at the later of two keys that disagree. */
export function checkTogether(config: PartialConfig): ConfigProblem[] {
  return [
    ...duplicateMembers(config),
    ...ownMember(config),
    ...listeners(config),
    ...openListeners(config),
    ...raftTimes(config),
  ];
}

/** What is allowed and rarely meant. */
export function warningsOf(config: CheckedConfig): ConfigProblem[] {
  const count = config.initialMembers.length;
  // A member that joins forms nothing out of them.
  if (count % 2 === 1 || config.join.length > 0) return [];
  const survived = count / 2 - 1;
  const text =
    `holds ${count} members, an even number: they survive the loss of ${survived}, as ${count - 1} would; ` +
    `write ${count - 1} or ${count + 1}`;
  return [{ path: ['initialMembers'], text }];
}

function duplicateMembers({ initialMembers }: PartialConfig): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const idAt = new Map<string, number>();
  const addressAt = new Map<string, string>();
  for (const [index, member] of initialMembers.entries()) {
    if (member.id !== undefined) {
      const first = idAt.get(member.id);
      idAt.set(member.id, first ?? index);
      if (first !== undefined) {
        const text = `is "${member.id}", as initialMembers[${first}].id is; write another id, each member has its own`;
        problems.push({ path: ['initialMembers', index, 'id'], text });
      }
    }
    for (const name of ['peer', 'client'] as const) {
      const address = member[name];
      if (address === undefined) continue;
      const shown = formatHostPort(address);
      const here = `initialMembers[${index}].${name}`;
      const first = addressAt.get(shown.toLowerCase());
      addressAt.set(shown.toLowerCase(), first ?? here);
      if (first === undefined) continue;
      const text = `is ${shown}, as ${first} is; write another address, each is used once`;
      problems.push({ path: ['initialMembers', index, name], text });
    }
  }
  return problems;
}

function ownMember({ memberId, initialMembers }: PartialConfig): ConfigProblem[] {
  const ids = initialMembers.map((member) => member.id);
  // With an id missing in the list, whether this member is in it cannot be said.
  if (memberId === undefined || ids.length === 0 || ids.includes(undefined) || ids.includes(memberId)) return [];
  const known = ids.join(', ');
  return [{ path: ['memberId'], text: `is "${memberId}", which initialMembers does not hold; write one of ${known}` }];
}

const listenNames = ['client', 'peer', 'http'] as const;

function listeners({ listen }: PartialConfig): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const [index, name] of listenNames.entries()) {
    const own = listen[name];
    if (own === undefined || own.port === 0) continue;
    const other = listenNames.slice(0, index).find((earlier) => {
      const address = listen[earlier];
      return address?.port === own.port && (address.host === own.host || isWildcard(address.host, own.host));
    });
    if (other === undefined) continue;
    const text = `is ${formatHostPort(own)}, where listen.${other} listens already; write another port`;
    problems.push({ path: ['listen', name], text });
  }
  return problems;
}

function isWildcard(...hosts: readonly string[]): boolean {
  return hosts.some((host) => host === '0.0.0.0' || host === '::');
}

/** There is neither TLS nor authentication yet: whoever reaches a port may do everything. */
function openListeners({ listen, insecure }: PartialConfig): ConfigProblem[] {
  if (insecure !== false) return [];
  const problems: ConfigProblem[] = [];
  for (const name of listenNames) {
    const address = listen[name];
    if (address === undefined || isLoopback(address.host)) continue;
    const text =
      `is ${formatHostPort(address)}, which other machines may reach, and nothing is encrypted or authenticated yet; ` +
      'write 127.0.0.1, or "insecure: true" if the network around it is trusted';
    problems.push({ path: ['listen', name], text });
  }
  return problems;
}

function raftTimes({ raft }: PartialConfig): ConfigProblem[] {
  const { heartbeatTicks, electionTicksMin, electionTicksMax } = raft;
  const problems: ConfigProblem[] = [];
  if (heartbeatTicks !== undefined && electionTicksMin !== undefined && electionTicksMin < 2 * heartbeatTicks) {
    const text =
      `is ${electionTicksMin}, less than two heartbeats (raft.heartbeatTicks is ${heartbeatTicks}): one late message ` +
      `would unseat a leader; write at least ${2 * heartbeatTicks}, better ${5 * heartbeatTicks}`;
    problems.push({ path: ['raft', 'electionTicksMin'], text });
  }
  if (electionTicksMin !== undefined && electionTicksMax !== undefined && electionTicksMax <= electionTicksMin) {
    const text =
      `is ${electionTicksMax}, not above raft.electionTicksMin (${electionTicksMin}): all members would campaign at ` +
      `once; write ${2 * electionTicksMin}`;
    problems.push({ path: ['raft', 'electionTicksMax'], text });
  }
  return problems;
}
