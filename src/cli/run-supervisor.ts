import { setTimeout as sleep } from 'node:timers/promises';
import type { RollcallClient } from '../client/client.ts';
import type { LostInstance } from '../client/session-types.ts';
import { runCheck } from './check.ts';
import { ChildCommand } from './child-command.ts';
import type { CliContext, PassedSignal } from './context.ts';
import { CliError, cliErrorOf, exitCodes } from './exit-codes.ts';
import { Presence } from './run-presence.ts';
import type { RunPlan } from './run-plan.ts';
import { runTimes } from './run-plan.ts';
import { troubleOf } from './trouble.ts';
import { formatDuration } from './values.ts';

/** Runs one command and has it registered while it is ready. */
export class Supervisor {
  readonly #plan: RunPlan;
  readonly #context: CliContext;
  readonly #presence: Presence;
  readonly #name: string;
  #child: ChildCommand | undefined;
  /** Signals that came before the command was there. */
  readonly #early: PassedSignal[] = [];
  /** The command ends, or is to end: it is not looked after any more. */
  readonly #ending = new AbortController();
  #leaving: Promise<void> | undefined;
  #stopping = false;
  /** What the run ends with in place of the command's own code. */
  #failure: Error | undefined;

  constructor(plan: RunPlan, context: CliContext, client: RollcallClient) {
    const { instance, ttlMs } = plan;
    this.#plan = plan;
    this.#context = context;
    this.#name = `${instance.service}/${instance.id}`;
    this.#presence = new Presence({
      client,
      instance,
      ttlMs,
      listener: {
        onRegistered: (incarnation, replaced) => {
          this.#notice(`${replaced ? 'took over' : 'registered'} ${this.#name}: incarnation ${incarnation}`);
        },
        onAway: (error) => this.#warn(`the registry is away (${troubleOf(error)}); ${this.#commandName} goes on`),
        onBack: () => this.#notice('the registry is back'),
        onLost: (lost) => this.#lost(lost),
        onRefused: (error) => this.#fail(cliErrorOf(error)),
      },
    });
  }

  /** @returns What the command ended with. @throws CliError where it cannot be started, or must not go on. */
  async run(): Promise<number> {
    const stopListening = this.#context.io.onSignal((signal) => this.#onSignal(signal));
    try {
      const { command, environment } = this.#plan;
      const child = await ChildCommand.start({ command, environment });
      this.#child = child;
      for (const signal of this.#early) this.#onSignal(signal);
      this.#lookAfter().catch((error: Error) => this.#fail(error));
      const exitCode = await child.ended;
      await this.#leave(`its command ended with ${exitCode}`);
      if (this.#failure !== undefined) throw this.#failure;
      return exitCode;
    } finally {
      stopListening();
    }
  }

  async #lookAfter(): Promise<void> {
    await this.#untilReady();
    if (this.#isEnding) return;
    await Promise.all([this.#presence.join(), this.#watchHealth()]);
  }

  async #untilReady(): Promise<void> {
    const { readiness, checkTimeoutMs, startTimeoutMs = Number.POSITIVE_INFINITY } = this.#plan;
    const startedMs = performance.now();
    let told = false;
    while (readiness.length > 0 && !this.#isEnding) {
      const answers = await Promise.all(readiness.map((check) => runCheck(check, checkTimeoutMs)));
      if (answers.includes(undefined)) return;
      const waitedMs = performance.now() - startedMs;
      if (this.#isEnding) return;
      if (waitedMs >= startTimeoutMs) {
        const message = `${this.#commandName} is not ready after ${formatDuration(startTimeoutMs)}: ${answers[0]}`;
        const hint = 'see what it says; give it longer by --start-timeout, or see that --endpoint or --check is right';
        this.#fail(new CliError(exitCodes.timeout, message, hint, { reason: 'NOT_READY', field: 'start-timeout' }));
        return;
      }
      if (!told && waitedMs >= runTimes.readyTellMs) {
        told = true;
        this.#warn(`not registered yet, since ${this.#commandName} is not ready: ${answers[0]}`);
      }
      await this.#pause(Math.min(runTimes.readyIntervalMs, startTimeoutMs - waitedMs));
    }
  }

  async #watchHealth(): Promise<void> {
    const { health, checkIntervalMs, checkTimeoutMs, checkFailures } = this.#plan;
    let failures = 0;
    let down = false;
    while (health !== undefined) {
      await this.#pause(checkIntervalMs);
      if (this.#isEnding || this.#presence.over) return;
      const why = await runCheck(health, checkTimeoutMs);
      if (this.#isEnding) return;
      failures = why === undefined ? 0 : failures + 1;
      if (failures >= checkFailures === down) continue;
      down = !down;
      if (down) this.#warn(`its check fails (${why}): down`);
      else this.#notice('its check passes again: up');
      // Not waited for: with the registry away it goes on looking, and tells what holds in the end.
      this.#presence.setStatus(down ? 'down' : 'up').catch((error: Error) => this.#fail(error));
    }
  }

  #onSignal(signal: PassedSignal): void {
    const child = this.#child;
    if (child === undefined) this.#early.push(signal);
    else if (signal !== 'SIGTERM' && signal !== 'SIGINT') child.signal(signal);
    else if (!this.#stopping) this.#stop(signal);
    else if (child.running) {
      this.#warn(`a second signal: ${this.#commandName} is killed`);
      child.kill();
      this.#presence.abandon();
    } else this.#presence.abandon();
  }

  /** First nobody is sent here any more, then the command is told. */
  #stop(signal: PassedSignal): void {
    if (this.#stopping) return;
    this.#stopping = true;
    const { graceMs } = this.#plan;
    const grace = formatDuration(graceMs);
    this.#leave(`stopped by ${signal}`)
      .then(() =>
        this.#child?.stop(signal, graceMs, () => {
          this.#warn(`${this.#commandName} (pid ${this.#child?.pid}) goes on ${grace} after ${signal}: killed`);
        }),
      )
      .catch((error: Error) => {
        this.#failure ??= error;
        this.#child?.kill();
      });
  }

  #leave(reason: string): Promise<void> {
    this.#ending.abort();
    this.#leaving ??= this.#presence
      .leave(reason, Math.min(runTimes.leaveMs, this.#context.timeoutMs))
      .then((error) => {
        if (error === undefined) return;
        const ttl = formatDuration(this.#plan.ttlMs);
        this.#warn(`not deregistered (${troubleOf(error)}); ${this.#name} leaves by itself within ${ttl}`);
      });
    return this.#leaving;
  }

  #lost({ cause, incarnation }: LostInstance): void {
    const who = cause === 'deregistered' ? 'somebody has deregistered it' : `incarnation ${incarnation} has its place`;
    if (!this.#plan.exitWhenSuperseded || cause === 'deregistered') {
      this.#warn(`${this.#name} is not registered any more: ${who}; ${this.#commandName} goes on without`);
      return;
    }
    const hint = `see who it is: \`rollcall discover ${this.#plan.instance.service}\``;
    const message = `${this.#name} is superseded: ${who}`;
    this.#fail(new CliError(exitCodes.conflict, message, hint, { reason: 'SUPERSEDED', field: 'id' }));
  }

  /** Ends the command, and the run with `error`. */
  #fail(error: Error): void {
    if (this.#stopping) return;
    this.#failure = error;
    this.#stop('SIGTERM');
  }

  get #isEnding(): boolean {
    return this.#ending.signal.aborted;
  }

  get #commandName(): string {
    return this.#plan.command[0] ?? '';
  }

  async #pause(ms: number): Promise<void> {
    // Rejects where it ends, which the caller sees by itself.
    await sleep(Math.max(1, ms), undefined, { signal: this.#ending.signal }).catch(() => {});
  }

  #notice(text: string): void {
    if (!this.#plan.quiet) this.#warn(text);
  }

  #warn(text: string): void {
    this.#context.output.message(`rollcall: ${text}`);
  }
}
