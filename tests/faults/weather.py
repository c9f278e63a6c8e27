"""Kinds of bad weather: what an API server, or what stands before it, does for a while."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from tests.faults.api_wire import WRITES, Forward, relayed

Which = Callable[[web.Request], bool]


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


@dataclass(slots=True)
class Refusing:
    """A status for the first `times` requests, or for `seconds` from the first."""

    status: int
    which: Which = any_request
    times: int = 10**6
    seconds: float = 10**6
    retry_after: int | None = None
    since: float = 0.0
    done: int = 0

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        self.since = self.since or time.monotonic()
        if not self.which(request) or self.done >= self.times or time.monotonic() - self.since > self.seconds:
            return None
        self.done += 1
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after is not None else {}
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.status, "message": "weather"}
        return web.json_response(body, status=self.status, headers=headers)


@dataclass(slots=True)
class Intercepting:
    """For `seconds` from the first, what stands before the server answers reads with a page of its own, and 200."""

    seconds: float
    since: float = 0.0

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        self.since = self.since or time.monotonic()
        if not reads(request) or time.monotonic() - self.since > self.seconds:
            return None
        return web.Response(text="<html>Log in to go on</html>", content_type="text/html")


@dataclass(slots=True)
class BreakingOff:
    """The first `times` answers end in the middle of a line."""

    which: Which
    times: int
    done: int = 0

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if not self.which(request) or self.done >= self.times:
            return None
        self.done += 1
        async with await forward(request) as answer:
            return await relayed(request, answer, most=40)


@dataclass(slots=True)
class Delaying:
    """The first `times` requests wait so long."""

    seconds: float
    times: int
    which: Which = any_request
    done: int = 0

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if self.which(request) and self.done < self.times:
            self.done += 1
            await asyncio.sleep(self.seconds)
        return None


@dataclass(slots=True)
class Silent:
    """Watches stay open and say nothing at all: every event is lost."""

    begun: set[str] = field(default_factory=set)
    """Plural names of what is watched, so what has been listed before."""

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if not watches(request):
            return None
        self.begun.add(request.path.rpartition("/")[2])
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        await stream.prepare(request)
        await asyncio.sleep(3600)
        return stream


@dataclass(slots=True)
class Expiring:
    """The first `times` watches end with an ERROR of code 410 in the stream."""

    times: int
    done: int = 0

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if not watches(request) or self.done >= self.times:
            return None
        self.done += 1
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "message": "too old"}
        event = {"type": "ERROR", "object": status | {"metadata": {}}}
        return web.Response(body=json.dumps(event).encode() + b"\n", content_type="application/json")


@dataclass(slots=True)
class Stale:
    """For `seconds`, objects are read as they stood when this began to look; writes go through."""

    seconds: float
    since: float = field(default_factory=time.monotonic)
    seen: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if not reads(request) or time.monotonic() - self.since > self.seconds:
            return None
        where = request.raw_path
        if where not in self.seen:
            async with await forward(request) as answer:
                self.seen[where] = (answer.status, await answer.read())
        status, body = self.seen[where]
        return web.Response(status=status, body=body, content_type="application/json")


@dataclass(slots=True)
class Swapping:
    """Once, between a look at the object whose path ends so and the write that follows from it, `swap` is done."""

    path: str
    swap: Callable[[], None]
    begun: bool = False
    done: bool = False

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if not self.begun and request.method in ("PATCH", "DELETE") and request.path.endswith(self.path):
            self.begun = True
            await asyncio.to_thread(self.swap)
            self.done = True
        return None
