"""Kinds of bad weather: what an API server, or what stands before it, does for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

from tests.faults.api_wire import WRITES, Forward, cut, relayed

Which = Callable[[web.Request], bool]


class Weather(Protocol):
    """What is told afterwards whether it happened at all."""

    @property
    def struck(self) -> bool:
        """Whether any answer was another than the server would have given."""

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        """The answer in the server's place; None lets the request pass."""


@dataclass(slots=True)
class Counted:
    """Weather that counts the requests on which it fell."""

    done: int = field(default=0, kw_only=True)

    @property
    def struck(self) -> bool:
        """Whether it fell on any."""
        return self.done > 0


def any_request(request: web.Request) -> bool:
    """All but the Lease: losing the lead is another matter."""
    return "/leases" not in request.path


def discovery(request: web.Request) -> bool:
    """What kinds there are."""
    return request.method == "GET" and request.path.count("/") <= 3


def writes(request: web.Request) -> bool:
    """Changes, the Lease aside."""
    return request.method in WRITES and any_request(request)


def reads(request: web.Request) -> bool:
    """Single objects and lists."""
    return request.method == "GET" and not watches(request) and any_request(request)


def watches(request: web.Request) -> bool:
    """Streams of events."""
    return "watch=true" in request.query_string


def failure(code: int, message: str = "weather") -> dict[str, object]:
    """The body with which the API server refuses."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}


@dataclass(slots=True)
class Refusing(Counted):
    """A status for the first `times` requests, or for `seconds` from the first."""

    status: int
    which: Which = any_request
    times: int = 10**6
    seconds: float = 10**6
    retry_after: int | None = None
    since: float = 0.0

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        self.since = self.since or time.monotonic()
        if not self.which(request) or self.done >= self.times or time.monotonic() - self.since > self.seconds:
            return None
        self.done += 1
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after is not None else {}
        return web.json_response(failure(self.status), status=self.status, headers=headers)


@dataclass(slots=True)
class Intercepting(Counted):
    """For `seconds` from the first, what stands before the server answers reads with a page of its own, and 200."""

    seconds: float
    since: float = 0.0

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        self.since = self.since or time.monotonic()
        if not reads(request) or time.monotonic() - self.since > self.seconds:
            return None
        self.done += 1
        return web.Response(text="<html>Log in to go on</html>", content_type="text/html")


@dataclass(slots=True)
class BreakingOff(Counted):
    """The first `times` answers end in the middle of a line."""

    which: Which
    times: int

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if not self.which(request) or self.done >= self.times:
            return None
        async with await forward(request) as answer:
            broken = await relayed(request, answer, most=40)
            self.done += isinstance(broken, web.Response)
            return broken


@dataclass(slots=True)
class Delaying(Counted):
    """The first `times` requests wait so long."""

    seconds: float
    times: int
    which: Which = any_request

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if self.which(request) and self.done < self.times:
            self.done += 1
            await asyncio.sleep(self.seconds)
        return None


@dataclass(slots=True)
class Swapping:
    """Once, between a look at the object whose path ends so and the write that follows from it, `swap` is done."""

    path: str
    swap: Callable[[], None]
    begun: bool = False
    done: bool = False

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if request.method not in ("PATCH", "DELETE") or not request.path.endswith(self.path):
            return None
        if not self.begun:
            self.begun = True
            await asyncio.to_thread(self.swap)
            self.done = True
        while not self.done:  # noqa: ASYNC110  who did not wait for the first write's answer writes no earlier
            await asyncio.sleep(0.05)
        return None


@dataclass(slots=True)
class Hanging(Counted):
    """From a replica's first write of a path with `part` on, its requests wait; at the end its writes arrive, unheard.

    A replica is known by what it calls itself; kopf's own connections stand.
    """

    replica: str
    part: str
    over: bool = False
    arrived: list[int] = field(default_factory=list)
    """The API server's statuses for the writes that arrived late, the Lease's aside."""

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if self.over or self.replica not in request.headers.get("User-Agent", ""):
            return None
        if not self.struck and not (request.method in WRITES and self.part in request.path):
            return None
        self.done += 1
        await request.read()  # who sent it will have hung up
        while not self.over:  # noqa: ASYNC110  told from another thread
            await asyncio.sleep(0.1)
        if request.method in WRITES:
            async with await forward(request) as answer:
                self.arrived += [answer.status] if writes(request) else []
        return cut(request)


@dataclass(slots=True)
class Waking(Counted):
    """Until it is over a replica's writes wait, its Lease's aside, so that it keeps its term and changes nothing."""

    replica: str
    also: Weather
    """What falls meanwhile."""
    over: bool = False

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if self.over:
            return None
        if not writes(request) or self.replica not in request.headers.get("User-Agent", ""):
            return await self.also(request, forward)
        self.done += 1
        while not self.over:  # noqa: ASYNC110  told from another thread
            await asyncio.sleep(0.1)
        return cut(request)
