import { must } from '../../src/base/assert.ts';
import type { Reason } from '../../src/base/errors.ts';
import type { rollcall } from '../../src/gen/rollcall.js';
import type { Stream } from './fake-member.ts';
import { statusOf, v1 } from './fake-member.ts';

type Request = rollcall.v1.SessionRequest;
type Response = rollcall.v1.SessionResponse.$Properties;
type Operation = rollcall.v1.SessionOperation.$Properties;
type Result = rollcall.v1.SessionResult.$Properties;

const S = v1.SessionResultStatus;

interface BookSession {
  readonly sessionId: number;
  readonly ttlMs: number;
  attachment: number;
  lastSequence: number;
  last: Response;
  readonly lost: Response[];
  moreLost: boolean;
}

export interface BookInstance {
  readonly sessionId: number;
  readonly incarnation: number;
  readonly spec: rollcall.v1.InstanceSpec.$Properties;
}

/** One stream as a script sees it. */
export interface BookStream {
  readonly stream: Stream;
  /** 0 until it is open. */
  sessionId: number;
  attachment: number;
  /** Carries the request out as a member would; the answer is for the script to send or to withhold. */
  carryOut(request: Request): Response[];
  send(...responses: Response[]): void;
  /** The stream ends with an error of the member. */
  fail(reason: Reason, field?: string): void;
}

/** Sees each request first; true: it has done what is to be done. */
export type Script = (request: Request, at: BookStream) => boolean | undefined;

/** What members keep of sessions, as scripted members share it: the contract of the proto file in its smallest form. */
export class SessionBook {
  readonly sessions = new Map<number, BookSession>();
  readonly instances = new Map<string, BookInstance>();
  readonly requests: Request[] = [];
  readonly streams: BookStream[] = [];
  readonly closed: number[] = [];
  revision = 100;
  readonly #byRequest = new Map<string, number>();

  /** What a scripted member does with a stream. */
  serve(script?: Script): (stream: Stream) => void {
    return (stream) => {
      const at: BookStream = {
        stream,
        sessionId: 0,
        attachment: 0,
        carryOut: (request) => this.#carryOut(at, request),
        send: (...responses) => {
          for (const response of responses) stream.write(Buffer.from(v1.SessionResponse.encode(response).finish()));
        },
        fail: (reason, field) =>
          void stream.emit('error', statusOf(field === undefined ? { reason } : { reason, field })),
      };
      this.streams.push(at);
      stream.on('data', (bytes: Buffer) => {
        const request = v1.SessionRequest.decode(bytes);
        this.requests.push(request);
        if (script?.(request, at) === true) return;
        try {
          at.send(...at.carryOut(request));
        } catch (error) {
          if (!(error instanceof BookRefusal)) throw error;
          at.fail(error.reason);
        }
      });
      stream.on('end', () => {
        // A stream that is cancelled ends first, and is reset behind that.
        setTimeout(() => {
          if (!stream.cancelled) this.#close(at);
        }, 20);
      });
    };
  }

  get writes(): rollcall.v1.SessionWrite.$Properties[] {
    return this.requests.flatMap(({ write }) => (write === undefined || write === null ? [] : [write]));
  }

  get opens(): rollcall.v1.SessionOpen.$Properties[] {
    return this.requests.flatMap(({ open }) => (open === undefined || open === null ? [] : [open]));
  }

  get pings(): number {
    return this.requests.filter(({ ping }) => ping !== undefined && ping !== null).length;
  }

  held(sessionId: number): string[] {
    return [...this.instances].flatMap(([key, instance]) => (instance.sessionId === sessionId ? [key] : [])).sort();
  }

  /** Its time to live has run out. */
  expire(sessionId: number): void {
    this.sessions.delete(sessionId);
    for (const key of this.held(sessionId)) this.instances.delete(key);
  }

  /** Another process registers the id, or somebody deregisters it; returns what the session that had it is told. */
  take(key: string, by: 'another' | 'nobody'): Response {
    const old = must(this.instances.get(key), `instance ${key}`);
    this.revision += 1;
    if (by === 'nobody') this.instances.delete(key);
    else this.instances.set(key, { sessionId: 0, incarnation: this.revision, spec: old.spec });
    const [namespace = '', service = '', id = ''] = key.split('/');
    const cause = by === 'nobody' ? 2 : 1;
    const notice = {
      lost: { key: { namespace, service, id }, cause, incarnation: by === 'nobody' ? 0 : this.revision },
    };
    this.sessions.get(old.sessionId)?.lost.push(notice);
    return notice;
  }

  #carryOut(at: BookStream, { open, write, ping }: Request): Response[] {
    if (open !== undefined && open !== null) return this.#open(at, open);
    const session = this.sessions.get(at.sessionId);
    if (session === undefined) throw new BookRefusal('UNKNOWN_SESSION');
    if (session.attachment !== at.attachment) throw new BookRefusal('SESSION_TAKEN');
    if (write !== undefined && write !== null) return [this.#write(session, write)];
    return [{ pong: { pingId: ping?.pingId ?? 0, renewed: true } }];
  }

  #open(at: BookStream, open: rollcall.v1.SessionOpen.$Properties): Response[] {
    const { requestId = '', ttlMs = 0, attachment = 0 } = open;
    let sessionId = open.sessionId ?? 0;
    if (sessionId === 0) {
      sessionId = this.#byRequest.get(requestId ?? '') ?? ++this.revision;
      this.#byRequest.set(requestId ?? '', sessionId);
      const fresh = {
        sessionId,
        ttlMs: ttlMs ?? 0,
        attachment: 1,
        lastSequence: 0,
        last: {},
        lost: [],
        moreLost: false,
      };
      if (!this.sessions.has(sessionId)) this.sessions.set(sessionId, fresh);
    }
    const session = this.sessions.get(sessionId);
    if (session === undefined) throw new BookRefusal('UNKNOWN_SESSION');
    const asked = Math.max(1, attachment ?? 0);
    if (asked < session.attachment) throw new BookRefusal('SESSION_TAKEN');
    session.attachment = at.attachment = asked;
    at.sessionId = sessionId;
    const { lastSequence, moreLost } = session;
    const instances = this.held(sessionId).length;
    const opened = { header: this.#header(), sessionId, ttlMs: session.ttlMs, lastSequence, instances, moreLost };
    return [{ opened }, ...session.lost];
  }

  #write(session: BookSession, { sequence, operations }: rollcall.v1.SessionWrite.$Properties): Response {
    const { lastSequence } = session;
    if (sequence === lastSequence) return session.last;
    if (sequence !== lastSequence + 1) throw new BookRefusal(`SUPERSEDED`);
    this.revision += 1;
    session.lastSequence = sequence;
    const results = (operations ?? []).map((operation) => this.#apply(session, operation));
    session.last = { written: { header: this.#header(), sequence, results } };
    return session.last;
  }

  #apply({ sessionId }: BookSession, { register, update, deregister }: Operation): Result {
    const spec = register?.instance ?? update?.instance;
    const { namespace, service, id } = spec ?? deregister?.key ?? {};
    const key = `${namespace}/${service}/${id}`;
    const current = this.instances.get(key);
    const isOwn = current?.sessionId === sessionId;
    const incarnation = current?.incarnation ?? 0;
    if (register !== undefined && register !== null) {
      const restores = register.mode === v1.SessionRegisterMode.SESSION_REGISTER_MODE_RESTORE;
      const mayRestore = current === undefined || incarnation === register.ownIncarnation;
      if (restores && !mayRestore) return refused('SUPERSEDED', incarnation);
      this.instances.set(key, { sessionId, incarnation: this.revision, spec: must(spec, 'spec') });
      const status = current === undefined ? S.SESSION_RESULT_STATUS_REGISTERED : S.SESSION_RESULT_STATUS_REPLACED;
      return { status, incarnation: this.revision };
    }
    if (current === undefined) {
      if (update !== undefined && update !== null) return refused('UNKNOWN_INSTANCE', 0);
      return { status: S.SESSION_RESULT_STATUS_ABSENT };
    }
    const meant = update?.incarnation ?? deregister?.incarnation ?? 0;
    if (!isOwn || (meant !== 0 && meant !== incarnation)) return refused('SUPERSEDED', incarnation);
    if (update === undefined || update === null) {
      this.instances.delete(key);
      return { status: S.SESSION_RESULT_STATUS_DEREGISTERED };
    }
    const isEqual = JSON.stringify(current.spec) === JSON.stringify(spec);
    if (!isEqual) this.instances.set(key, { ...current, spec: must(spec, 'spec') });
    const status = isEqual ? S.SESSION_RESULT_STATUS_UNCHANGED : S.SESSION_RESULT_STATUS_UPDATED;
    return { status, incarnation };
  }

  #close(at: BookStream): void {
    const session = this.sessions.get(at.sessionId);
    if (session === undefined) at.fail('UNKNOWN_SESSION');
    else if (session.attachment !== at.attachment) at.fail('SESSION_TAKEN');
    else {
      this.expire(at.sessionId);
      this.closed.push(at.sessionId);
      at.stream.end();
    }
  }

  #header(): rollcall.v1.ResponseHeader.$Properties {
    return { revision: this.revision, member: 'a' };
  }
}

class BookRefusal extends Error {
  readonly reason: Reason;

  constructor(reason: Reason) {
    super(reason);
    this.reason = reason;
  }
}

function refused(reason: Reason, incarnation: number): Result {
  return {
    status: S.SESSION_RESULT_STATUS_REFUSED,
    incarnation,
    errorReason: reason,
    errorMessage: `refused: ${reason}`,
  };
}
