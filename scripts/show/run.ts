import { RollcallClient } from '../../src/client/client.ts';
import { commandsToTry } from './hints.ts';
import type { Home } from './home.ts';
import { type Interruption, Interruptions } from './interruption.ts';
import type { RunProcess } from './run-record.ts';
import type { Scene } from './scene.ts';
import { duration, type Screen, seconds } from './screen.ts';
import { Stage } from './stage.ts';
import { type Step, steps } from './steps.ts';

/** The fleet's leases: short, so that a death is seen soon. */
const ttlMs = 3_000;
const logLines = 15;

type Outcome = { readonly step: Step; readonly held: boolean; readonly measured: string };

/** How the steps went: all held, one failed, or somebody ended the run meanwhile. */
type Ending =
  | { readonly kind: 'held' }
  | { readonly kind: 'failed' }
  | { readonly kind: 'interrupted'; readonly by: Interruption };

/** One run from the first member to the last process gone. */
export class Run {
  readonly #screen: Screen;
  readonly #home: Home;
  readonly #stage: Stage;
  readonly #client: RollcallClient;
  readonly #scene: Scene;
  readonly #interruptions: Interruptions;
  readonly #outcomes: Outcome[] = [];
  /** Ends the step under way: a process has ended that should be there. */
  #onLoss: (error: Error) => void = () => undefined;
  /** A step that is still under way fails now because everything is taken from it: nobody wants to hear of that. */
  #ending = false;
  #playedMs = 0;

  constructor(screen: Screen, home: Home) {
    this.#screen = screen;
    this.#home = home;
    this.#stage = new Stage({ home, ttlMs, onLost: (name, how) => this.#lost(name, how) });
    this.#client = new RollcallClient({ servers: this.#stage.cluster.clientAddresses });
    this.#scene = {
      screen,
      stage: this.#stage,
      client: this.#client,
      ttlMs,
      watch: undefined,
      killed: undefined,
    };
    this.#interruptions = new Interruptions(() => process.exit(1));
    // Whatever way this process ends, short of SIGKILL, it takes its children with it.
    process.once('exit', () => this.#stage.killAll());
  }

  /** Resolves with the exit code once everything has ended. */
  async run(once: boolean): Promise<number> {
    let ending = await this.#play();
    this.#playedMs = this.#screen.elapsedMs;
    this.#summarize();
    if (ending.kind === 'failed') this.#explain();
    if (ending.kind === 'held' && !once) {
      this.#invite();
      ending = { kind: 'interrupted', by: await this.#interruptions.first };
      if (ending.by.reason in { SIGINT: 0, SIGTERM: 0, SIGHUP: 0 }) ending = { kind: 'held' };
    }
    if (ending.kind === 'interrupted') this.#tell(ending.by);
    const left = await this.#end();
    if (ending.kind === 'interrupted') return ending.by.exitCode;
    return ending.kind === 'held' && left.length === 0 ? 0 : 1;
  }

  async #play(): Promise<Ending> {
    const interrupted = this.#interruptions.first.then((by): Ending => ({ kind: 'interrupted', by }));
    for (const [i, step] of steps.entries()) {
      const ending = await Promise.race([this.#playStep(step, `${i + 1}/${steps.length}`), interrupted]);
      if (ending === undefined) continue;
      this.#ending = true;
      return ending;
    }
    return { kind: 'held' };
  }

  /** undefined where it held. */
  async #playStep(step: Step, position: string): Promise<Ending | undefined> {
    this.#screen.step(position, step.title);
    const loss = new Promise<never>((_resolve, reject) => {
      this.#onLoss = reject;
    });
    try {
      const measured = await Promise.race([step.run(this.#scene), loss]);
      if (this.#ending) return undefined;
      this.#screen.held(measured);
      this.#outcomes.push({ step, held: true, measured });
      return undefined;
    } catch (error) {
      const measured = reasons(error);
      if (this.#ending) return undefined;
      this.#screen.failed(measured);
      this.#outcomes.push({ step, held: false, measured });
      return { kind: 'failed' };
    }
  }

  #lost(name: string, how: string): void {
    this.#screen.alarm(name.replace(/^.*\//, ''), `has ended: ${how}`);
    this.#onLoss(new Error(`${name} has ended by itself: ${how}`));
  }

  #summarize(): void {
    this.#screen.title('Summary');
    for (const [i, { step, held, measured }] of this.#outcomes.entries()) {
      this.#screen.summary(held, `${i + 1}`, step.title, measured);
    }
  }

  /** What helps to understand a failure: the ends of the logs, and what the fleet complained of. */
  #explain(): void {
    for (const { id } of this.#stage.plans) {
      this.#screen.title(`The end of ${this.#stage.cluster.logFileOf(id)}`);
      this.#screen.faint(logTail(this.#stage, id));
    }
    for (const { name, errors } of this.#stage.fleet) {
      if (errors === '') continue;
      this.#screen.title(`What ${name} wrote to its standard error`);
      this.#screen.faint(errors.trimEnd());
    }
  }

  #invite(): void {
    const { size } = this.#scene.watch?.instances ?? { size: 0 };
    this.#screen.title(`The cluster and its ${size} instances go on until Ctrl-C. In another terminal:`);
    this.#screen.text('');
    for (const command of commandsToTry(this.#stage)) this.#screen.text(`  ${command}`);
    this.#screen.text('');
    this.#screen.faint(`data and logs: ${this.#home.directory}; what the watch sees follows here`);
    this.#screen.text('');
  }

  #tell({ reason, mute }: Interruption): void {
    if (mute) this.#screen.close();
    else this.#screen.alarm('npm start', `interrupted: ${reason}`);
  }

  /** Ends all, and says whether that is so. */
  async #end(): Promise<readonly RunProcess[]> {
    const startMs = performance.now();
    this.#onLoss = () => undefined;
    this.#screen.step('end', 'The fleet deregisters itself, the members stop');
    await this.#stage.stopFleet();
    await this.#scene.watch?.close();
    this.#client.close();
    const left = await this.#stage.stopMembers();
    const tookMs = performance.now() - startMs;
    if (left.length > 0) {
      const names = left.map(({ name, pid }) => `${name} (pid ${pid})`).join(', ');
      this.#screen.failed(`still running: ${names}`);
    } else this.#screen.held(`${this.#stage.startedCount} processes were started, none is left; ${duration(tookMs)}`);
    const failed = this.#outcomes.find(({ held }) => !held);
    if (failed !== undefined) this.#screen.failed(`FAILED: ${failed.step.title}: ${failed.measured}`);
    else if (this.#outcomes.length === steps.length) {
      this.#screen.held(`All ${steps.length} steps held, in ${seconds(this.#playedMs)}`);
    }
    return left;
  }
}

function logTail(stage: Stage, id: string): string {
  try {
    return stage.cluster.logTail(id, logLines);
  } catch (error) {
    return reasons(error);
  }
}

/** An error and what caused it, in one line. */
function reasons(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message} (${reasons(error.cause)})`;
}
