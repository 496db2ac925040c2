"""Registers an instance, discovers a service, or watches it. Prints JSON, one object a line.

    main.py register SERVICE ID HOST:PORT --ttl 10
    main.py discover SERVICE
    main.py watch SERVICE
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable

from discovery import Watch, discover
from members import Members, Refused
from registration import Registration
from rollcall.v1 import instance_pb2, registry_pb2


def report(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


def on_signal(stop: Callable[[], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


async def run_register(members: Members, options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    on_signal(stop.set)
    spec = instance_pb2.InstanceSpec(
        service=options.service,
        id=options.id,
        endpoints=[options.address],
        version=options.version,
        tags=options.tag,
    )
    await Registration(members, spec, round(options.ttl * 1000), report).run(stop)


async def run_discover(members: Members, options: argparse.Namespace) -> None:
    found = await discover(members, options.service, filter_of(options))
    for view in found.instances:
        report("instance", **facts_of(view))
    report("discovered", instances=len(found.instances), revision=found.revision, member=found.member)


async def run_watch(members: Members, options: argparse.Namespace) -> None:
    following = asyncio.ensure_future(follow(Watch(members, options.service, filter_of(options))))
    on_signal(following.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await following


async def follow(watch: Watch) -> None:
    async for batch in watch.batches():
        if batch.kind == registry_pb2.WATCH_BATCH_KIND_PROGRESS:
            continue  # Comes every 2 s where nothing changes.
        report(
            short_name(registry_pb2.WatchBatchKind, batch.kind),
            fromRevision=batch.from_revision,
            toRevision=batch.to_revision,
            coalesced=batch.coalesced,
            instances=len(watch.instances),
            member=batch.member,
        )
        for change in batch.changes:
            kind = short_name(registry_pb2.WatchEventKind, change.kind)
            report(kind, revision=change.revision, **facts_of_change(change))


def filter_of(options: argparse.Namespace) -> registry_pb2.InstanceFilter:
    return registry_pb2.InstanceFilter(tags=options.tag, version_range=options.version)


def facts_of(view: instance_pb2.InstanceView) -> dict[str, object]:
    spec = view.spec
    endpoints = [f"{end.name}={end.protocol}://{host_in_url(end.address)}:{end.port}" for end in spec.endpoints]
    return {
        "id": spec.id,
        "endpoints": endpoints,
        "version": spec.version,
        "tags": list(spec.tags),
        "incarnation": view.meta.incarnation,
    }


def facts_of_change(change: registry_pb2.WatchEvent) -> dict[str, object]:
    if change.kind == registry_pb2.WATCH_EVENT_KIND_PUT:
        return facts_of(change.instance)
    facts = {"id": change.key.id, "incarnation": change.incarnation}
    if change.kind == registry_pb2.WATCH_EVENT_KIND_LEAVES:
        return facts
    return {
        **facts,
        "cause": short_name(registry_pb2.RemovalCause, change.cause),
        "reason": change.reason,
    }


def host_in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


# What the values of an enum have in common.
PREFIXES = {
    registry_pb2.WatchBatchKind: "WATCH_BATCH_KIND_",
    registry_pb2.WatchEventKind: "WATCH_EVENT_KIND_",
    registry_pb2.RemovalCause: "REMOVAL_CAUSE_",
}


def short_name(enum, number: int) -> str:
    """`lease-expired` for REMOVAL_CAUSE_LEASE_EXPIRED; the number where a newer member has sent a newer value."""
    if number not in enum.values():
        return str(number)
    return enum.Name(number).removeprefix(PREFIXES[enum]).lower().replace("_", "-")


def endpoint_at(text: str) -> instance_pb2.Endpoint:
    host, _, port = text.rpartition(":")
    if host == "" or not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text} is not HOST:PORT")
    return instance_pb2.Endpoint(name="main", protocol="grpc", address=host.strip("[]"), port=int(port))


def parse_options() -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    servers = os.environ.get("ROLLCALL_SERVER", "127.0.0.1:7410,127.0.0.1:7420,127.0.0.1:7430")
    common.add_argument("--server", default=servers, help="members, host:port with commas between (ROLLCALL_SERVER)")
    common.add_argument("--tag", action="append", default=[], help="of the instance, or wanted; may be repeated")
    common.add_argument("--version", default="", help="of the instance; a range such as ^1.2 where versions are wanted")
    parser = argparse.ArgumentParser(prog="main.py", description="Registers, discovers, or watches services.")
    commands = parser.add_subparsers(required=True)
    register = commands.add_parser("register", parents=[common], help="until SIGTERM, which deregisters")
    register.add_argument("service")
    register.add_argument("id")
    register.add_argument("address", type=endpoint_at, metavar="host:port", help="at which the instance serves")
    register.add_argument("--ttl", type=float, default=10, help="seconds that it lives without a sign of life")
    register.set_defaults(run=run_register)
    discover_parser = commands.add_parser("discover", parents=[common], help="prints the instances that are there")
    discover_parser.add_argument("service")
    discover_parser.set_defaults(run=run_discover)
    watch = commands.add_parser("watch", parents=[common], help="prints the instances and every change")
    watch.add_argument("service")
    watch.set_defaults(run=run_watch)
    return parser.parse_args()


def main() -> int:
    options = parse_options()
    try:
        asyncio.run(options.run(Members(options.server.split(",")), options))
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # Discovery alone: the other commands end in order, with 0.
    return 0


if __name__ == "__main__":
    sys.exit(main())
