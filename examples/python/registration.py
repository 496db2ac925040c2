"""Keeps one instance registered: over broken streams, lost members and elections, until it is told to stop."""

import asyncio
import math
import time
import uuid
from collections.abc import Callable

import grpc

from members import ANSWER_SECONDS, PERMANENT, MemberFailed, Members, Refused, describe, reason_of
from rollcall.v1 import instance_pb2, registry_pb2, registry_pb2_grpc

# After a ping that no leader confirmed, the next one comes sooner.
UNCONFIRMED_PAUSE_SECONDS = 0.2

# How long to try to deregister at the end. Whatever happens then, the session ends by its time to live.
CLOSE_SECONDS = 10.0

Report = Callable[..., None]


class Registration:
    """One session with one instance in it. The session outlives the streams it speaks over."""

    def __init__(self, members: Members, spec: instance_pb2.InstanceSpec, ttl_ms: int, report: Report) -> None:
        self._members = members
        self._spec = spec
        self._ttl_ms = ttl_ms
        self._report = report
        self._incarnation = 0
        self._begin_session()

    async def run(self, stop: asyncio.Event) -> None:
        """Returns once `stop` is set and the instance is deregistered. Raises Refused where it cannot be registered."""
        stopped = asyncio.ensure_future(stop.wait())
        close_by = math.inf
        try:
            while True:
                if await self._stream_once(stopped):
                    self._report("deregistered")
                    return
                if stopped.done():
                    if self._session_id == 0:
                        return  # There is no session that could hold anything.
                    close_by = min(close_by, time.monotonic() + CLOSE_SECONDS)
                    if time.monotonic() >= close_by:
                        raise Refused("not deregistered in time; the session ends by its time to live")
        finally:
            stopped.cancel()

    async def _stream_once(self, stopped: asyncio.Future) -> bool:
        """One stream to one member, as long as it lasts. True: the session is closed."""
        try:
            async with self._members.channel() as channel:
                call = registry_pb2_grpc.RegistryStub(channel).Session()
                await self._open(call)
                await self._keep(call, stopped)
            return True
        except grpc.aio.AioRpcError as error:
            if reason_of(error) == "UNKNOWN_SESSION":
                # Away for longer than the time to live: the instance is gone.
                self._begin_session()
            elif error.code() in PERMANENT:
                raise Refused(describe(error)) from error
            await self._members.failed(error)
        except (MemberFailed, asyncio.TimeoutError) as problem:
            await self._members.failed(problem)
        return False

    def _begin_session(self) -> None:
        self._session_id = 0
        # Counts the streams of the session, so that members know which one is the latest.
        self._attachment = 1
        # Finds the session again where the answer to `open` was lost.
        self._request_id = uuid.uuid4().hex
        # The first time it takes the id over, whoever has it. It comes back only where nobody else has taken it since.
        again = self._incarnation != 0
        register = registry_pb2.SessionRegister(
            instance=self._spec,
            mode=registry_pb2.SESSION_REGISTER_MODE_RESTORE if again else registry_pb2.SESSION_REGISTER_MODE_START,
            own_incarnation=self._incarnation,
        )
        # Sent on every stream until it is answered: the sequence tells a repeat from a second write.
        self._unanswered: registry_pb2.SessionWrite | None = registry_pb2.SessionWrite(
            sequence=1, operations=[registry_pb2.SessionOperation(register=register)]
        )

    async def _open(self, call: grpc.aio.StreamStreamCall) -> None:
        if self._session_id == 0:
            request = registry_pb2.SessionOpen(ttl_ms=self._ttl_ms, request_id=self._request_id)
        else:
            self._attachment += 1
            request = registry_pb2.SessionOpen(session_id=self._session_id, attachment=self._attachment)
        await call.write(registry_pb2.SessionRequest(open=request))
        response = await asyncio.wait_for(call.read(), ANSWER_SECONDS)
        if response is grpc.aio.EOF or response.WhichOneof("response") != "opened":
            raise MemberFailed("the stream began without `opened`")
        self._session_id = response.opened.session_id
        self._ttl_ms = response.opened.ttl_ms
        self._members.worked()

    async def _keep(self, call: grpc.aio.StreamStreamCall, stopped: asyncio.Future) -> None:
        """Writes, pings and listens. Returns once the session is closed; every other end is an exception."""
        if self._unanswered is not None:
            await call.write(registry_pb2.SessionRequest(write=self._unanswered))
        pings = Pings(self._ttl_ms / 3000)
        reading = asyncio.ensure_future(call.read())
        # When this stream is given up, once its end was asked for.
        closing: float | None = None
        try:
            while True:
                timeout = (closing or pings.due) - time.monotonic()
                waited_for = {reading} if closing else {reading, stopped}
                await asyncio.wait(waited_for, timeout=max(0.0, timeout), return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    response = reading.result()
                    if response is grpc.aio.EOF:
                        if closing and await call.code() == grpc.StatusCode.OK:
                            return
                        raise MemberFailed("the stream has ended")
                    reading = asyncio.ensure_future(call.read())
                    self._take(response, pings)
                elif closing:
                    raise MemberFailed("the session was not closed in time")
                elif stopped.done():
                    # Closing our side deregisters all that the session holds; any other end of the stream would not.
                    await call.done_writing()
                    closing = time.monotonic() + ANSWER_SECONDS
                else:
                    await call.write(registry_pb2.SessionRequest(ping=pings.next()))
        finally:
            reading.cancel()

    def _take(self, response: registry_pb2.SessionResponse, pings: "Pings") -> None:
        match response.WhichOneof("response"):
            case "pong":
                pings.answered(response.pong)
                if response.pong.renewed:
                    self._members.worked()
                else:
                    self._members.trouble("no leader confirms the registration")
            case "written":
                result = response.written.results[0]
                self._unanswered = None
                if result.status == registry_pb2.SESSION_RESULT_STATUS_REFUSED:
                    raise Refused(f"{result.error_reason}: {result.error_message}")
                self._incarnation = result.incarnation
                self._report("registered", incarnation=result.incarnation)
            case "lost":
                # The session never registers it again, and neither do we: who took the id over has it now.
                cause = registry_pb2.SessionLostCause.Name(response.lost.cause)
                raise Refused(f"the instance is not ours any more: {cause.removeprefix('SESSION_LOST_CAUSE_').lower()}")


class Pings:
    """When to send the next sign of life, and when one has gone unanswered for too long."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        # Leaves time to go on elsewhere before the session ends.
        self._patience = min(ANSWER_SECONDS, interval)
        self._next = time.monotonic() + interval
        self._id = 0
        # When the oldest ping without an answer was sent.
        self._unanswered_since: float | None = None

    @property
    def due(self) -> float:
        if self._unanswered_since is None:
            return self._next
        return min(self._next, self._unanswered_since + self._patience)

    def next(self) -> registry_pb2.SessionPing:
        """The ping that is due. Raises MemberFailed where one before it got no answer in time."""
        now = time.monotonic()
        if self._unanswered_since is None:
            self._unanswered_since = now
        elif now >= self._unanswered_since + self._patience:
            raise MemberFailed("no answer to a ping")
        self._next = now + self._interval
        self._id += 1
        return registry_pb2.SessionPing(ping_id=self._id)

    def answered(self, pong: registry_pb2.SessionPong) -> None:
        self._unanswered_since = None
        if not pong.renewed:
            # No leader confirmed it: the session may still live, and time runs.
            self._next = min(self._next, time.monotonic() + UNCONFIRMED_PAUSE_SECONDS)
