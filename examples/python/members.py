"""The members of a cluster: which one to ask, and when to ask the next one."""

import asyncio
import random
import sys
from pathlib import Path

import grpc
from google.rpc import error_details_pb2, status_pb2

# What generate.py made. Its modules import each other as rollcall.v1.
sys.path.insert(0, str(Path(__file__).parent / "build"))

# A member that is alive answers within two election timeouts (2 s); one that does not is taken for lost.
ANSWER_SECONDS = 3.0

PAUSE_SECONDS_MIN = 0.05
PAUSE_SECONDS_MAX = 2.0

# The same call fails again on every member.
PERMANENT = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
}


class Refused(Exception):
    """The registry has refused what was asked; asking again is of no use."""


class MemberFailed(Exception):
    """This member cannot serve now; another one may."""


class Members:
    """Any member serves every call. One is used as long as it works, then the next one, after a pause."""

    def __init__(self, addresses: list[str]) -> None:
        self._addresses = addresses
        # Clients spread over the members, and do not all come to the same one when theirs is lost.
        self._at = random.randrange(len(addresses))
        self._failures = 0
        self._in_trouble = False

    @property
    def address(self) -> str:
        return self._addresses[self._at]

    def channel(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self.address)

    def worked(self) -> None:
        """To be called at each answer: the next failure is then the first in a row."""
        self._failures = 0
        if self._in_trouble:
            print("works again", file=sys.stderr, flush=True)
        self._in_trouble = False

    def trouble(self, problem: str) -> None:
        """Said once, however many attempts fail; `worked` says when it is over."""
        if not self._in_trouble:
            print(f"{self.address}: {problem}; goes on trying, at the other members too", file=sys.stderr, flush=True)
        self._in_trouble = True

    async def failed(self, problem: Exception) -> None:
        """Goes on to the next member, after a pause that doubles with each failure in a row."""
        self.trouble(describe(problem))
        self._at = (self._at + 1) % len(self._addresses)
        pause = min(PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN * 2 ** min(self._failures, 10))
        self._failures += 1
        # Many clients that lost the same member do not come back at once.
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The reason of docs/reference/errors.md; '' where a proxy or gRPC itself gave the error."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info.reason
    return ""


def describe(problem: Exception) -> str:
    if isinstance(problem, grpc.aio.AioRpcError):
        return f"{reason_of(problem) or problem.code().name}: {problem.details()}"
    return "no answer in time" if isinstance(problem, asyncio.TimeoutError) else str(problem)
