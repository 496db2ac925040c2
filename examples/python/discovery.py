"""Asks who is there, and follows every change."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc

from members import ANSWER_SECONDS, PERMANENT, MemberFailed, Members, Refused, describe
from rollcall.v1 import instance_pb2, registry_pb2, registry_pb2_grpc

# How long to go on asking where no member answers.
DISCOVER_SECONDS = 10.0

# A quiet watch is told so often that nothing has changed; without a word for longer, the member is given up.
PROGRESS_MS = 2_000
SILENCE_SECONDS = 6.0

# A member that has lost its leader says how old its knowledge is; from here on another one is asked.
AGE_MS_MAX = 6_000

# Reasons for which a watch ends and that no other member would see otherwise.
PERMANENT_REASONS = {"INVALID_FIELD", "MALFORMED_MESSAGE"}
# The point to resume from is of another history: begin with a snapshot.
LOST_HISTORY = {"HISTORY_CHANGED", "OUT_OF_HISTORY"}


@dataclass
class Found:
    instances: list[instance_pb2.InstanceView]
    # The first page is the service as of this revision; a service of one page is all there is to it.
    revision: int
    member: str


async def discover(members: Members, service: str, filter: registry_pb2.InstanceFilter) -> Found:
    """All instances that match. Asks the next member where one fails; raises the last error where none answers."""
    deadline = asyncio.get_running_loop().time() + DISCOVER_SECONDS
    while True:
        try:
            async with members.channel() as channel:
                return await _discover_from(channel, service, filter)
        except grpc.aio.AioRpcError as error:
            if error.code() in PERMANENT or asyncio.get_running_loop().time() > deadline:
                raise Refused(describe(error)) from error
            await members.failed(error)


async def _discover_from(channel: grpc.aio.Channel, service: str, filter: registry_pb2.InstanceFilter) -> Found:
    stub = registry_pb2_grpc.RegistryStub(channel)
    request = registry_pb2.DiscoverRequest(service=service, filter=filter)
    instances: list[instance_pb2.InstanceView] = []
    while True:
        page = await stub.Discover(request, timeout=ANSWER_SECONDS)
        instances += page.instances
        # A page may be short, or empty, and not be the last.
        if page.next_page_token == "":
            return Found(instances, page.first_revision, page.header.member)
        request.page_token = page.next_page_token


@dataclass
class Batch:
    """One step of a watch: the instances as of `from_revision` become those as of `to_revision`."""

    kind: int
    from_revision: int
    to_revision: int
    coalesced: bool
    member: str
    changes: list[registry_pb2.WatchEvent]


class Watch:
    """Follows one service for ever. `instances` is what is there as of the last batch, by id."""

    def __init__(self, members: Members, service: str, filter: registry_pb2.InstanceFilter) -> None:
        self._members = members
        self._service = service
        self._filter = filter
        self._revision = 0
        self.instances: dict[str, instance_pb2.InstanceView] = {}

    async def batches(self) -> AsyncIterator[Batch]:
        """Every batch once and in order, over broken streams and changed members. Raises Refused for a bad request."""
        while True:
            try:
                async with self._members.channel() as channel:
                    async for batch in self._stream_once(channel):
                        yield batch
            except grpc.aio.AioRpcError as error:
                if error.code() in PERMANENT:
                    raise Refused(describe(error)) from error
                await self._members.failed(error)
            except (MemberFailed, asyncio.TimeoutError) as problem:
                await self._members.failed(problem)

    async def _stream_once(self, channel: grpc.aio.Channel) -> AsyncIterator[Batch]:
        create = registry_pb2.WatchCreate(
            watch_id=1,
            service=self._service,
            filter=self._filter,
            # The point up to which all was received in whole batches; 0 begins with a snapshot.
            resume_revision=self._revision,
            progress_interval_ms=PROGRESS_MS,
        )
        call = registry_pb2_grpc.RegistryStub(channel).Watch()
        await call.write(registry_pb2.WatchRequest(create=create))
        # Events of a batch whose last part is not there yet. Where the stream breaks first, they come again.
        events: list[registry_pb2.WatchEvent] = []
        while True:
            response = await asyncio.wait_for(call.read(), SILENCE_SECONDS)
            if response is grpc.aio.EOF:
                raise MemberFailed("the stream has ended")
            if response.kind == registry_pb2.WATCH_BATCH_KIND_ENDED:
                self._end(response)
            if response.header.age_ms > AGE_MS_MAX:
                raise MemberFailed(f"what it knows may be over {AGE_MS_MAX // 1_000} s old")
            self._members.worked()
            events += response.events
            if response.more:
                continue
            yield self._apply(response, events)
            events = []
            ack = registry_pb2.WatchAck(watch_id=1, revision=self._revision)
            await call.write(registry_pb2.WatchRequest(ack=ack))

    def _end(self, response: registry_pb2.WatchResponse) -> None:
        problem = f"{response.error_reason}: {response.error_message}"
        if response.error_reason in PERMANENT_REASONS:
            raise Refused(problem)
        if response.error_reason in LOST_HISTORY:
            self._revision = 0
        raise MemberFailed(problem)

    def _apply(self, last: registry_pb2.WatchResponse, events: list[registry_pb2.WatchEvent]) -> Batch:
        """Brings `instances` to the batch's `to_revision`. `last` is its last part."""
        if last.kind in (registry_pb2.WATCH_BATCH_KIND_SNAPSHOT, registry_pb2.WATCH_BATCH_KIND_RESET):
            # Not steps, but all that is there: what it does not name is gone.
            named = {event.instance.spec.id for event in events}
            gone = [view for id, view in self.instances.items() if id not in named]
            events = [_deleted(view, last.to_revision) for view in gone] + events
        changes = [event for event in events if self._change(event)]
        batch = Batch(last.kind, last.from_revision, last.to_revision, last.coalesced, last.header.member, changes)
        self._revision = last.to_revision
        return batch

    def _change(self, event: registry_pb2.WatchEvent) -> bool:
        """False where it changes nothing: what a reset or a coalesced batch names may be known, or gone, already."""
        if event.kind == registry_pb2.WATCH_EVENT_KIND_PUT:
            id = event.instance.spec.id
            known = self.instances.get(id)
            self.instances[id] = event.instance
            return known is None or known.meta.modify_revision != event.instance.meta.modify_revision
        # DELETE: it is not registered any more. LEAVES: it is, but the filter does not match it any more.
        return self.instances.pop(event.key.id, None) is not None


def _deleted(view: instance_pb2.InstanceView, revision: int) -> registry_pb2.WatchEvent:
    spec = view.spec
    key = instance_pb2.InstanceKey(namespace=spec.namespace, service=spec.service, id=spec.id)
    return registry_pb2.WatchEvent(kind=registry_pb2.WATCH_EVENT_KIND_DELETE, revision=revision, key=key)
