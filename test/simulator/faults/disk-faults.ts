import type { Directory } from '../cluster/machine-disk.ts';
import type { SimMember } from '../cluster/sim-cluster.ts';
import type { BegunFault, FaultContext, FaultKind } from './fault-kinds.ts';

const slowDisk: FaultKind = {
  name: 'slow-disk',
  area: 'disk',
  weight: 5,
  begin: (context) => {
    const member = context.victim(context.cluster.running);
    if (member === undefined) return undefined;
    const slowMs = context.between(30, 5_000);
    const forMs = context.between(500, 10_000);
    member.disk.slowMs = slowMs;
    return {
      text: `each sync of ${member.id} takes ${slowMs} ms more for ${forMs} ms`,
      forMs,
      mend: () => {
        member.disk.slowMs = 0;
      },
    };
  },
};

const paths = [
  ['the log', /\.seg$/],
  ['the hard state', /^hard-state/],
  ['the marks and names', /^(?:log\/mark|identity|state\/CURRENT)/],
] as const;

/** One step of the disk fails; the member ends, and starts again on what is there. */
function fails(name: string, weight: number, step: 'write' | 'sync', fault: 'EIO' | 'ENOSPC' | 'short') {
  const begin = (context: FaultContext): BegunFault | undefined => {
    const member = context.victim(context.cluster.running);
    if (member === undefined) return undefined;
    const [what, path] = context.pick(paths);
    member.suffered.add('io');
    member.disk.failNext({ step, path, fault });
    const forMs = 3_000;
    return {
      text: `the next ${step} of ${what} of ${member.id} fails with ${fault}`,
      forMs,
      mend: () => member.disk.clearFailures(),
    };
  };
  return { name, area: 'disk', weight, begin } satisfies FaultKind;
}

/** LevelDB's own failures: see the facts on a full disk and on failed syncs. */
function stateFails(name: string, weight: number, fault: 'disk-full' | 'sync') {
  const begin = (context: FaultContext): BegunFault | undefined => {
    const member = context.victim(context.cluster.running);
    if (member === undefined) return undefined;
    member.suffered.add('io');
    void member.disk.activeMedium().then((medium) => medium?.failNextWrite(fault));
    return { text: `the next batch of the state of ${member.id} fails: ${fault}` };
  };
  return { name, area: 'disk', weight, begin } satisfies FaultKind;
}

const full: FaultKind = {
  name: 'disk-full',
  area: 'disk',
  weight: 3,
  begin: (context) => {
    const member = context.victim(context.cluster.running);
    if (member === undefined) return undefined;
    member.suffered.add('io');
    void member.disk.fill();
    void member.disk.activeMedium().then((medium) => medium?.failNextWrite('disk-full'));
    const forMs = context.between(1_000, 6_000);
    return {
      text: `the disk of ${member.id} is full for ${forMs} ms`,
      forMs,
      mend: () => {
        member.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
      },
    };
  },
};

/** However many members there are: a whole cluster of empty directories would form anew. */
const lostMax = 2;

/** Too many directories that cannot be used leave no majority: at most a minority at a time. */
export function mayLose(context: FaultContext, member: SimMember): boolean {
  const lost = context.cluster.members.filter(
    ({ suffered, held }) => held || suffered.has('data') || suffered.has('odd'),
  );
  if (lost.includes(member) || lost.length >= lostMax) return false;
  return lost.length < context.cluster.membership.voters.length - context.majority;
}

/**
 * Damages the directory of a member that is down, and starts it. Where it refuses to start, as it should where what is
 * damaged matters, it gets its directory back as it was before: nothing has run on it meanwhile.
 */
function damages(
  name: string,
  weight: number,
  damage: (context: FaultContext, member: SimMember) => Promise<string | undefined>,
) {
  const begin = (context: FaultContext): BegunFault | undefined => {
    const { cluster } = context;
    const member = context.victim(cluster.running);
    if (member === undefined || !mayLose(context, member)) return undefined;
    const power = context.chance(2);
    cluster.kill(member, power, false);
    member.held = true;
    member.ranOn = false;
    const forMs = context.between(1_500, 6_000);
    let before: Directory | undefined;
    let isOver = false;
    void member.disk
      .damaged((copy) => {
        before = copy;
        member.suffered.add('data');
        return damage(context, member);
      })
      .then((what) => {
        // A fault that found nothing to damage is told as such: no run counts it as one that was survived.
        if (what === undefined) {
          // Another one may damage it from now on: this one must not undo that.
          isOver = true;
          member.suffered.delete('data');
          context.note(`${name} finds nothing to damage`);
        } else context.detail(`${name} of ${member.id}: ${what}`);
        member.held = false;
        cluster.start(member);
      });
    return {
      text: `${member.id} goes down, and is started on a directory with ${name} for ${forMs} ms`,
      forMs,
      mend: () => {
        if (isOver) return;
        member.suffered.delete('data');
        // It has run in spite of the damage: then this is its directory.
        if (member.ranOn) return;
        cluster.kill(member, false, false);
        if (before !== undefined) member.disk.replace(before);
        cluster.start(member);
      },
    };
  };
  return { name, area: 'disk', weight, begin } satisfies FaultKind;
}

async function segmentOf(context: FaultContext, member: SimMember): Promise<string | undefined> {
  const names = (await member.disk.disk.list('log')).filter((one) => one.endsWith('.seg'));
  const used = names.filter((one) => member.disk.disk.contentOf(`log/${one}`).some((byte) => byte !== 0));
  if (used.length === 0) return undefined;
  // What was written last is what nothing that follows bears witness of.
  return `log/${context.chance(2) ? used.at(-1) : context.pick(used)}`;
}

const pageBytes = 4_096;

function usedPages(content: Buffer): number {
  let used = content.length / pageBytes;
  while (used > 0 && content.subarray((used - 1) * pageBytes, used * pageBytes).every((byte) => byte === 0)) used--;
  return used;
}

async function flipInLog(context: FaultContext, member: SimMember): Promise<string | undefined> {
  const path = await segmentOf(context, member);
  if (path === undefined) return undefined;
  const { disk } = member.disk;
  const pages = usedPages(disk.contentOf(path));
  if (pages === 0) return undefined;
  const page = context.chance(2) ? pages - 1 : context.below(pages);
  const offset = page * pageBytes + context.below(pageBytes);
  disk.flipBit(path, offset, context.below(8));
  return `${path} at ${offset}`;
}

/** A page stands where another should. The last one is left: a frame that was never written looks like it. */
async function misdirectInLog(context: FaultContext, member: SimMember): Promise<string | undefined> {
  const path = await segmentOf(context, member);
  if (path === undefined) return undefined;
  const { disk } = member.disk;
  const content = disk.contentOf(path);
  const pages = usedPages(content);
  if (pages < 3) return undefined;
  const to = context.below(pages - 1);
  const from = (to + 1 + context.below(pages - 1)) % pages;
  disk.overwrite(path, to * pageBytes, Buffer.from(content.subarray(from * pageBytes, (from + 1) * pageBytes)));
  return `${path}: page ${from} over page ${to}`;
}

async function zeroInLog(context: FaultContext, member: SimMember): Promise<string | undefined> {
  const path = await segmentOf(context, member);
  if (path === undefined) return undefined;
  const { disk } = member.disk;
  const pages = usedPages(disk.contentOf(path));
  if (pages < 3) return undefined;
  disk.overwrite(path, context.below(pages - 2) * pageBytes, Buffer.alloc(pageBytes));
  return path;
}

async function flipInHardState(context: FaultContext, member: SimMember): Promise<string | undefined> {
  const { disk } = member.disk;
  const [name] = (await disk.list('')).filter((one) => one.startsWith('hard-state'));
  if (name === undefined) return undefined;
  // One slot of two: the other one holds.
  disk.flipBit(name, context.below(2) * pageBytes + context.below(60), context.below(8));
  return name;
}

async function damageState(context: FaultContext, member: SimMember): Promise<string | undefined> {
  const medium = await member.disk.activeMedium();
  const pairs = medium?.sorted(Buffer.alloc(0)) ?? [];
  if (medium === undefined || pairs.length < 3) return undefined;
  const { key, sealed } = context.pick(pairs);
  switch (context.below(3)) {
    case 0:
      medium.loseRecords([key]);
      return 'a lost record';
    case 1:
      medium.flipBit(key, context.below(sealed.length * 8));
      return 'a flipped bit';
    default:
      medium.misdirect(context.pick(pairs.filter((pair) => pair.key !== key)).key, key);
      return 'a record in the place of another';
  }
}

async function loseCurrent(_context: FaultContext, member: SimMember): Promise<string | undefined> {
  const medium = await member.disk.activeMedium();
  medium?.loseCurrent();
  return medium === undefined ? undefined : 'no CURRENT';
}

export const diskFaults: readonly FaultKind[] = [
  slowDisk,
  fails('write-fails', 2, 'write', 'EIO'),
  fails('write-short', 2, 'write', 'short'),
  fails('write-no-space', 2, 'write', 'ENOSPC'),
  fails('sync-fails', 3, 'sync', 'EIO'),
  stateFails('state-full', 2, 'disk-full'),
  stateFails('state-sync-fails', 2, 'sync'),
  full,
  damages('flip-in-log', 4, flipInLog),
  damages('misdirect-in-log', 1, misdirectInLog),
  damages('zeros-in-log', 1, zeroInLog),
  damages('flip-in-hard-state', 2, flipInHardState),
  damages('damage-in-state', 5, damageState),
  damages('current-lost', 1, loseCurrent),
];
