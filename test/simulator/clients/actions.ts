import { unreachable } from '../../../src/base/assert.ts';
import type { ClientHost } from './client-host.ts';
import type { ClientProcess } from './client-process.ts';
import type { Draw } from './draw.ts';
import { services } from './keys.ts';
import { duplicatedWrite, plainRead, plainWrite, renew } from './raw-calls.ts';
import { takenOverSession } from './raw-session.ts';
import { SimSession } from './sim-session.ts';
import { SimWatch } from './sim-watch.ts';
import { batch, deregister, discover, grant, grantAlone, register, revoke, update } from './unary-actions.ts';

/** Shares of the kinds of actions. */
export interface ActionMix {
  readonly writes: number;
  readonly reads: number;
  readonly leases: number;
  readonly sessions: number;
  readonly watches: number;
}

const sessionsMax = 2;
const watchesMax = 4;

/** Does one thing on one host: which, and how, is decided by what is drawn for this action alone. */
export async function act(host: ClientHost, draw: Draw, { writes, reads, leases, sessions, watches }: ActionMix) {
  const { process } = host;
  const kind = draw.weighted({ writes, reads, leases, sessions, watches, process: sessions / 10 });
  switch (kind) {
    case 'writes':
      await write(process, draw);
      return;
    case 'reads':
      if (draw.chance(0.25)) await plainRead(process, draw);
      else await discover(process, draw);
      return;
    case 'leases':
      await lease(process, draw);
      return;
    case 'sessions':
      await session(process, draw);
      return;
    case 'watches':
      watch(host, draw);
      return;
    case 'process':
      disturb(host, draw);
      return;
    case undefined:
      return;
    default:
      unreachable(kind);
  }
}

async function write(process: ClientProcess, draw: Draw): Promise<void> {
  const kind =
    draw.weighted({ register: 4, update: 3, deregister: 2, batch: 1, duplicated: 1, plain: 4 }) ?? 'register';
  switch (kind) {
    case 'register':
      await register(process, draw, undefined);
      return;
    case 'update':
      await update(process, draw);
      return;
    case 'deregister':
      await deregister(process, draw);
      return;
    case 'batch':
      await batch(process, draw);
      return;
    case 'duplicated':
      await duplicatedWrite(process, draw);
      return;
    case 'plain':
      await plainWrite(process, draw);
      return;
    default:
      unreachable(kind);
  }
}

async function lease(process: ClientProcess, draw: Draw): Promise<void> {
  const kind = draw.weighted({ grant: 2, register: 4, renew: 4, revoke: 1, brink: 2 }) ?? 'grant';
  if (kind === 'brink') {
    await brink(process, draw);
    return;
  }
  const held = process.leases.length === 0 ? undefined : draw.pick(process.leases);
  if (held === undefined || kind === 'grant') {
    await grant(process, draw);
  } else if (kind === 'register') {
    await register(process, draw, held);
  } else if (kind === 'revoke') {
    await revoke(process, draw);
  } else {
    const told = process.leases.filter(({ isKept }) => !isKept);
    if (told.length > 0) await renew(process, draw, draw.pick(told));
  }
}

/** Longer than a lease lives beyond its time with the slowest tick of these runs. */
const brinkMsMost = 450;

/** Leases that are left alone until about the moment of their end, and are wanted then: it may be on its way. */
async function brink(process: ClientProcess, draw: Draw): Promise<void> {
  const ttlMs = draw.within(1_000, 2_500);
  const offsets = Array.from({ length: draw.within(2, 5) }, () => draw.within(0, brinkMsMost));
  await Promise.all(offsets.map((offsetMs) => wantedLate(process, draw, ttlMs, offsetMs)));
}

async function wantedLate(process: ClientProcess, draw: Draw, ttlMs: number, offsetMs: number): Promise<void> {
  const { clock } = process;
  const sentMs = clock.monotonicMs();
  const leaseId = await grantAlone(process, ttlMs);
  if (leaseId === undefined) return;
  const lease = { leaseId, ttlMs, isKept: false };
  const restMs = sentMs + ttlMs + offsetMs - clock.monotonicMs();
  await new Promise<void>((resolve) => void clock.setTimer(Math.max(0, restMs), resolve));
  if (draw.chance(0.5)) await renew(process, draw, lease);
  else await register(process, draw, lease);
}

async function session(process: ClientProcess, draw: Draw): Promise<void> {
  const { keys, recorder } = process.world;
  const kind = draw.weighted({ open: 1, register: 5, update: 4, deregister: 2, close: 0.7, abandon: 0.3, raw: 0.6 });
  const usable = process.sessions.filter(({ isUsable }) => isUsable);
  if (kind === 'raw') {
    await takenOverSession(process, draw);
    return;
  }
  if (usable.length === 0 || (kind === 'open' && usable.length < sessionsMax)) {
    new SimSession(process, draw.within(1_000, 5_000) * process.world.ttlScale, draw.chance(0.6));
    return;
  }
  const chosen = draw.pick(usable);
  const held = [...chosen.started].filter((key) => chosen.holds(key));
  if (kind === 'update' && held.length > 0) await chosen.update(draw.pick(held), recorder.next('value'));
  else if (kind === 'deregister' && held.length > 0) await chosen.deregister(draw.pick(held));
  else if (kind === 'close') await chosen.close();
  else if (kind === 'abandon') chosen.abandon();
  else await chosen.register(keys.pick(draw, process.host, true), recorder.next('value'));
}

function watch(host: ClientHost, draw: Draw): void {
  const { process } = host;
  const kind = draw.weighted({ open: 5, close: 1, slow: 3, quick: 1, clogged: 4 });
  const some = process.watches.length === 0 ? undefined : draw.pick(process.watches);
  if (some !== undefined && kind === 'close') {
    some.close();
  } else if (some !== undefined && kind === 'slow') {
    some.pauseMs = draw.within(100, 8_000);
  } else if (some !== undefined && kind === 'quick') {
    some.pauseMs = process.watchPauseMs = 0;
  } else if (some !== undefined && kind === 'clogged') {
    process.watchPauseMs = draw.within(200, 8_000);
  } else if (process.watches.length < watchesMax) {
    const all = draw.chance(0.3);
    // Goes on where another watch of the same scope stands, as a process does that has kept where it was.
    const since = some !== undefined && draw.chance(0.3) ? some.revision : 0;
    const scope =
      since > 0 && some !== undefined
        ? { service: some.scope.service, prefix: some.scope.prefix, tagged: some.scope.tagged }
        : {
            service: all ? '' : draw.pick(services),
            prefix: all && draw.chance(0.5) ? 's' : '',
            tagged: draw.chance(0.25),
          };
    const pauseMs = draw.chance(0.4) ? draw.within(200, 5_000) : 0;
    // A reader that is behind, and is to be told how fresh things are, is where marks could hide what waits.
    const progressIntervalMs = draw.chance(pauseMs > 0 ? 0.8 : 0.4)
      ? draw.within(100, 2_000) * process.world.ttlScale
      : undefined;
    new SimWatch(process, { ...scope, since, stale: draw.chance(0.3), progressIntervalMs }, pauseMs);
  }
}

function disturb(host: ClientHost, draw: Draw): void {
  const { recorder } = host.process.world;
  const newValue = (): number => recorder.next('value');
  const kind = draw.weighted({ crash: 2, freeze: 3, replace: 2, drift: 1, wall: 1 });
  if (kind === 'crash') host.crash(draw.within(50, 4_000), newValue);
  else if (kind === 'freeze') host.freeze(draw.within(50, 10_000));
  else if (kind === 'replace') host.replace(draw.within(500, 8_000), draw.within(1_000, 8_000), newValue);
  else if (kind === 'drift') host.machine.setRate(draw.within(70, 140) / 100);
  else host.machine.jumpWall(draw.within(-100_000_000, 100_000_000));
}
