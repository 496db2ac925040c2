import type { Timer } from '../../../src/base/clock.ts';
import type { ClientWire, PendingCall } from './client-calls.ts';
import { unavailable } from './client-calls.ts';
import type { HostClock, Links } from './pipe.ts';
import { Inbox, Pipe } from './pipe.ts';
import type { EndStatus } from './server-calls.ts';
import type { ServerCall, ServingProcess } from './serving-process.ts';

/** How each end notices that the other is gone without a word. */
export interface KeepAlive {
  readonly timeMs: number;
  readonly timeoutMs: number;
}

export interface ConnectionOptions {
  readonly links: Links;
  readonly clientHost: string;
  readonly clientClock: HostClock;
  readonly clientKeepAlive: KeepAlive;
  /** See Reading. */
  readonly clientWindowBytes: number;
  readonly serverHost: string;
  /** Whoever listens there when the opening arrives. */
  readonly listener: () => ServingProcess | undefined;
  readonly number: number;
  readonly onReady: () => void;
  /** No connection came about. */
  readonly onRefused: (cause: string) => void;
  /** The member asks to leave: no more calls on it. */
  readonly onGoingAway: () => void;
  /** It is over; its calls were told. */
  readonly onLost: () => void;
}

/** A member that takes no connection within this is given up, ms, as grpc-js does. */
const connectMsMax = 20_000;

/**
 * One connection of a client to a member, both ends of it. Each end knows only what came through its pipe; what arrives
 * for an end that is gone is answered by a reset.
 */
export class MemoryConnection {
  readonly clientHost: string;
  readonly number: number;
  readonly #options: ConnectionOptions;
  readonly #toServer: Pipe;
  readonly #toClient: Pipe;
  readonly #clientInbox: Inbox;
  readonly #calls = new Map<number, PendingCall>();
  readonly #queued: PendingCall[] = [];
  #nextId = 1;
  #clientState: 'connecting' | 'ready' | 'gone' = 'connecting';
  #connectTimer: Timer | undefined;
  #clientPing: Timer | undefined;
  #clientLeaves = false;

  #process: ServingProcess | undefined;
  #serverInbox: Inbox | undefined;
  readonly #serverCalls = new Map<number, ServerCall>();
  #serverState: 'none' | 'open' | 'draining' | 'gone' = 'none';
  #serverPing: Timer | undefined;
  #age: Timer | undefined;
  #resetPosted = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { links, clientHost, clientClock, serverHost } = options;
    this.clientHost = clientHost;
    this.number = options.number;
    this.#toServer = new Pipe(links, clientHost, serverHost);
    this.#toClient = new Pipe(links, serverHost, clientHost);
    this.#clientInbox = new Inbox(links.world, clientClock);
    this.#connectTimer = clientClock.setTimer(connectMsMax, () => this.#refused('connect ETIMEDOUT'));
    this.#toServer.post(() => this.#arriveAtServer());
  }

  get isReady(): boolean {
    return this.#clientState === 'ready';
  }

  /** Calls of the client that are not over. */
  get calls(): number {
    return this.#calls.size + this.#queued.length;
  }

  // The client's end.

  /** Begins a call; beyond what a member takes on one connection it waits without a word, as HTTP/2 has it. */
  begin(call: PendingCall): void {
    const max = this.#process?.limits.streamsPerConnectionMax ?? Infinity;
    if (this.#calls.size >= max) this.#queued.push(call);
    else this.#start(call);
  }

  /** The connection ends with its last call. */
  leave(): void {
    this.#clientLeaves = true;
    this.#leaveIfIdle();
  }

  /** The client's process is gone. */
  killClient(): void {
    if (this.#clientState === 'gone') return;
    this.#closeClient();
    this.#calls.clear();
    this.#queued.length = 0;
    if (!this.#toServer.isCut) this.#toServer.post(() => this.#resetAtServer());
  }

  #start(call: PendingCall): void {
    const id = this.#nextId++;
    this.#calls.set(id, call);
    const { path, request, timeoutMs } = call;
    this.#sendToServer((process) => {
      let isEnded = false;
      const serverCall = process.accept(path, request, timeoutMs, this.#peer, {
        message: (bytes) => this.#sendToClient(() => this.#calls.get(id)?.receive(bytes)),
        end: (ending) => {
          isEnded = true;
          this.#serverCalls.delete(id);
          this.#sendToClient(() => this.#finish(id, ending));
          this.#endIfDrained();
        },
        credit: (bytes) => this.#sendToClient(() => this.#calls.get(id)?.credit(bytes)),
        windowBytes: this.#options.clientWindowBytes,
      });
      if (serverCall !== undefined && !isEnded) this.#serverCalls.set(id, serverCall);
    });
    call.attach(this.#wireOf(id));
  }

  #wireOf(id: number): ClientWire {
    const toCall = (use: (call: ServerCall) => void): void => {
      this.#sendToServer(() => {
        const call = this.#serverCalls.get(id);
        if (call !== undefined) use(call);
      });
    };
    return {
      message: (bytes) => toCall((call) => call.receive(bytes)),
      halfClose: () => toCall((call) => call.receive(undefined)),
      reset: (alsoHalfClose) => {
        // Both in one packet: they are written at once.
        toCall((call) => {
          if (alsoHalfClose) call.receive(undefined);
          this.#serverCalls.delete(id);
          call.reset();
          this.#endIfDrained();
        });
      },
      credit: (bytes) => toCall((call) => call.credit(bytes)),
      release: () => {
        if (!this.#calls.delete(id)) return;
        const next = this.#queued.shift();
        if (next !== undefined && !next.isOver) this.#start(next);
        this.#leaveIfIdle();
      },
    };
  }

  #finish(id: number, ending: EndStatus): void {
    this.#calls.get(id)?.finish(ending);
  }

  #leaveIfIdle(): void {
    if (!this.#clientLeaves || this.calls > 0 || this.#clientState === 'gone') return;
    this.#closeClient();
    this.#toServer.post(() => this.#resetAtServer());
  }

  #refused(cause: string): void {
    if (this.#clientState !== 'connecting') return;
    this.#closeClient();
    this.#options.onRefused(cause);
  }

  #lost(details: string): void {
    if (this.#clientState === 'gone') return;
    this.#closeClient();
    for (const call of [...this.#calls.values(), ...this.#queued]) call.finish(unavailable(details));
    this.#calls.clear();
    this.#queued.length = 0;
    this.#options.onLost();
  }

  #closeClient(): void {
    this.#clientState = 'gone';
    this.#connectTimer?.cancel();
    this.#clientPing?.cancel();
    this.#clientInbox.clear();
    this.#forgetIfOver();
  }

  #pingServer(): void {
    const { clientClock, clientKeepAlive } = this.#options;
    this.#clientPing = clientClock.setTimer(clientKeepAlive.timeMs, () => {
      this.#sendToServer(() =>
        this.#sendToClient(() => {
          this.#clientPing?.cancel();
          this.#pingServer();
        }),
      );
      this.#clientPing = clientClock.setTimer(clientKeepAlive.timeoutMs, () => {
        // The kernel tells the other end, if it can.
        if (!this.#toServer.isCut) this.#toServer.post(() => this.#resetAtServer());
        this.#lost('Keepalive timeout');
      });
    });
  }

  // The member's end.

  /** The member stops: no more calls; those that are there may end. */
  goAway(): void {
    if (this.#serverState !== 'open') return;
    this.#serverState = 'draining';
    this.#sendToClient(() => this.#options.onGoingAway());
    this.#endIfDrained();
  }

  /** The member cuts the connection; or its process is gone, and its kernel does so in its place. */
  killServer(processIsGone: boolean): void {
    if (this.#serverState === 'gone') return;
    const isOpen = this.#serverState !== 'none';
    // Nothing runs any more in a process that is gone.
    if (processIsGone) this.#serverCalls.clear();
    this.#closeServer();
    if (isOpen && !this.#toClient.isCut) this.#resetClient();
  }

  get #peer(): string {
    return `${this.clientHost}:${this.number}`;
  }

  #arriveAtServer(): void {
    const process = this.#options.listener();
    if (process === undefined) {
      this.#toClient.post(() => this.#clientInbox.push(() => this.#refused('connect ECONNREFUSED')));
      return;
    }
    this.#process = process;
    this.#serverInbox = new Inbox(this.#options.links.world, process.clock);
    this.#serverState = 'open';
    process.enter(this);
    // The kernel takes the connection; its first frame comes from the process.
    this.#serverInbox.push(() => this.#openServer(process));
  }

  #openServer(process: ServingProcess): void {
    this.#sendToClient(() => this.#connected());
    this.#pingClient(process);
    const { connectionAgeMs, connectionAgeGraceMs } = process.limits;
    this.#age = process.clock.setTimer(connectionAgeMs, () => {
      this.goAway();
      this.#age = process.clock.setTimer(connectionAgeGraceMs, () => this.killServer(false));
    });
  }

  #connected(): void {
    if (this.#clientState !== 'connecting') return;
    this.#clientState = 'ready';
    this.#connectTimer?.cancel();
    this.#pingServer();
    this.#options.onReady();
  }

  #pingClient({ clock, limits }: ServingProcess): void {
    this.#serverPing = clock.setTimer(limits.keepaliveTimeMs, () => {
      this.#sendToClient(() =>
        this.#sendToServer((process) => {
          this.#serverPing?.cancel();
          this.#pingClient(process);
        }),
      );
      this.#serverPing = clock.setTimer(limits.keepaliveTimeoutMs, () => this.killServer(false));
    });
  }

  #endIfDrained(): void {
    if (this.#serverState !== 'draining' || this.#serverCalls.size > 0) return;
    this.#closeServer();
    this.#resetClient();
  }

  #closeServer(): void {
    this.#serverState = 'gone';
    this.#serverPing?.cancel();
    this.#age?.cancel();
    this.#serverInbox?.clear();
    this.#process?.exit(this);
    for (const call of this.#serverCalls.values()) {
      // To a handler of Node the end of a connection looks like a half-close for a moment.
      call.receive(undefined);
      call.reset();
    }
    this.#serverCalls.clear();
    this.#forgetIfOver();
  }

  #resetAtServer(): void {
    if (this.#serverState === 'gone') return;
    if (this.#serverState === 'none') this.#serverState = 'gone';
    else this.#serverInbox?.push(() => this.#closeServer());
  }

  // Between both.

  #forgetIfOver(): void {
    if (this.#clientState !== 'gone' || this.#serverState !== 'gone') return;
    this.#toServer.close();
    this.#toClient.close();
  }

  #sendToServer(read: (process: ServingProcess) => void): void {
    if (this.#clientState === 'gone') return;
    this.#toServer.post(() => {
      const process = this.#process;
      if (process === undefined || this.#serverState === 'gone') this.#resetClient();
      else {
        this.#serverInbox?.push(() => {
          if (this.#serverState !== 'gone') read(process);
        });
      }
    });
  }

  #sendToClient(read: () => void): void {
    if (this.#serverState === 'gone' || this.#serverState === 'none') return;
    this.#toClient.post(() => {
      if (this.#clientState !== 'gone') {
        this.#clientInbox.push(() => {
          if (this.#clientState !== 'gone') read();
        });
      } else if (!this.#toServer.isCut) {
        this.#toServer.post(() => this.#resetAtServer());
      }
    });
  }

  #resetClient(): void {
    if (this.#resetPosted) return;
    this.#resetPosted = true;
    this.#toClient.post(() => this.#clientInbox.push(() => this.#lost('Connection dropped')));
  }
}
