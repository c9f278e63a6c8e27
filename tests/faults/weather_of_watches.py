"""Bad weather over what is told of changes: events late, lost or out of order, and reads of the past."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from tests.faults.api_wire import NOT_COUNTED, Forward, cut
from tests.faults.weather import Counted, failure, reads, watches, writes

Join = Callable[[bytes, bytes], list[bytes] | None]
"""What goes on in place of two events; None where they are no pair."""
REFUSALS = (401, 403, 410, 500)


def swapped(first: bytes, second: bytes) -> list[bytes] | None:
    """The later one first."""
    return [second, first] if _object(first) and _object(second) else None


def coalesced(first: bytes, second: bytes) -> list[bytes] | None:
    """Of two events of one object the second alone."""
    return [second] if _object(first) and _object(first) == _object(second) else None


def _object(line: bytes) -> str:
    """Its name; a bookmark has none."""
    return str(json.loads(line)["object"]["metadata"].get("name", ""))


def _kind_of_event(line: bytes) -> str:
    return str(json.loads(line)["type"])


async def _lines(answer: aiohttp.ClientResponse, patience: Callable[[], float | None]) -> AsyncGenerator[bytes, None]:
    """The lines of a stream as they come; an empty one each time that patience, in seconds, is at its end."""
    reading = asyncio.ensure_future(answer.content.readline())
    try:
        while True:
            await asyncio.wait({reading}, timeout=patience())
            if not reading.done():
                yield b""
                continue
            line = reading.result()
            if not line:
                return
            reading = asyncio.ensure_future(answer.content.readline())
            yield line
    finally:
        reading.cancel()


async def _opened(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    stream = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
    await stream.prepare(request)
    return stream


@dataclass(slots=True)
class Silent(Counted):
    """Watches stay open and say nothing at all: every event is lost, and counted."""

    begun: set[str] = field(default_factory=set)
    """Plural names of what is watched, so what has been listed before."""

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if not watches(request):
            return None
        self.begun.add(request.path.rpartition("/")[2])
        async with await forward(request) as answer:
            stream = await _opened(request, answer)
            async for line in answer.content:
                self.done += _kind_of_event(line) != "BOOKMARK"
        return stream


@dataclass(slots=True)
class Erring(Counted):
    """The first `times` watches end with an ERROR in the stream."""

    times: int
    code: int = 410

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if not watches(request) or self.done >= self.times:
            return None
        self.done += 1
        return web.Response(body=_error(self.code), content_type="application/json")


def _error(code: int) -> bytes:
    return json.dumps({"type": "ERROR", "object": failure(code, "too old") | {"metadata": {}}}).encode() + b"\n"


@dataclass(slots=True)
class Pairing(Counted):
    """An event waits some seconds for the next of its watch; where that comes, `join` says what goes on of the two."""

    join: Join
    seconds: float = 2.0

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if not watches(request):
            return None
        held = b""
        async with await forward(request) as answer:
            stream = await _opened(request, answer)
            with suppress(ConnectionError):  # the operator hung up
                async with aclosing(_lines(answer, lambda: self.seconds if held else None)) as lines:
                    async for line in lines:
                        joined = self.join(held, line) if held and line else None
                        self.done += joined is not None
                        for event in joined or filter(None, [held]):
                            await stream.write(event)
                        held = b"" if joined else line
        return stream


@dataclass(slots=True)
class Gap:
    """From `begin` on no watch tells anything, until an event that is waited for is missed; then all have expired."""

    event: str
    """Its type: ADDED or DELETED, of a tenant."""
    begun: bool = False
    over: bool = False
    missed: int = 0
    expired: int = 0

    @property
    def struck(self) -> bool:
        """Whether the event was missed, and watches have expired since."""
        return self.over and self.missed > 0 and self.expired > 0

    def begin(self) -> None:
        """The change comes now."""
        self.begun = True

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if not watches(request) or self.over:
            return None
        tenants = request.path.endswith("/ragtenants")
        async with await forward(request) as answer:
            stream = await _opened(request, answer)
            with suppress(ConnectionError):  # the operator hung up
                async with aclosing(_lines(answer, lambda: 0.1)) as lines:
                    async for line in lines:
                        await self._told(stream, line, tenants)
                        if self.over:
                            await stream.write(_error(410))
                            self.expired += 1
                            return stream
        return stream

    async def _told(self, stream: web.StreamResponse, line: bytes, tenants: bool) -> None:
        if line and self.begun:
            self.missed += 1
            self.over |= tenants and _kind_of_event(line) == self.event
        elif line:
            await stream.write(line)


@dataclass(slots=True)
class RefusingWatches:
    """From `begin` on all open watches break, and each path's next watches are refused, once with each status."""

    begun: bool = False
    open: Counter[str] = field(default_factory=Counter)
    """Streams by path."""
    broken: set[str] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    """By path."""

    @property
    def struck(self) -> bool:
        """Whether every watch that was open broke, was refused in every way, and is open again."""
        again = all(self.refused[path] == len(REFUSALS) and self.open[path] for path in self.broken)
        return bool(self.broken) and again

    def begin(self) -> None:
        """All has settled."""
        self.begun, self.broken = True, {path for path, streams in list(self.open.items()) if streams}

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if not watches(request):
            return None
        path = request.path
        if self.begun and self.refused[path] < len(REFUSALS):
            self.refused[path] += 1
            status = REFUSALS[self.refused[path] - 1]
            return web.json_response(failure(status), status=status)
        self.open[path] += 1
        try:
            return await self._relay(request, forward)
        finally:
            self.open[path] -= 1

    async def _relay(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        opened_before = not self.begun
        async with await forward(request) as answer:
            stream = await _opened(request, answer)
            with suppress(ConnectionError):  # the operator hung up
                async with aclosing(_lines(answer, lambda: 0.1)) as lines:
                    async for line in lines:
                        if opened_before and self.begun:
                            return cut(request)
                        if request.transport is None or request.transport.is_closing():
                            return stream
                        if line:
                            await stream.write(line)
        return stream


@dataclass(slots=True)
class Stale:
    """Reads show what stood after a step before the change, and events wait, while writes go through.

    That is so for `seconds` from the operator's first write after `begin`: if it began with the change itself, nothing
    would be known of the change and nothing written meanwhile.
    """

    seconds: float
    step: int = 1
    """The number of the step, of those before the change."""
    began: float = 0.0
    armed: bool = False
    kept: bool = False
    seen: dict[tuple[str, str], tuple[int, bytes]] = field(default_factory=dict)
    """By path and what was accepted."""
    differed: int = 0
    """Answers that were others than the server's."""
    held: int = 0
    """Events that waited."""

    @property
    def struck(self) -> bool:
        """Whether answers of another time were given, and events came late."""
        return self.differed > 0 and self.held > 0

    def keep(self) -> None:
        """What was read until now is the past."""
        self.kept = True

    def begin(self) -> None:
        """The change comes now."""
        self.armed = True

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if watches(request):
            return await self._watch(request, forward)
        if writes(request) and self.armed and not any(part in request.path for part in NOT_COUNTED):
            self.began = self.began or time.monotonic()
        if not reads(request) or self.over():
            return None
        async with await forward(request) as answer:
            live = (answer.status, await answer.read())
        status, body = self._then(request, live)
        return web.Response(status=status, body=body, content_type="application/json")

    def _then(self, request: web.Request, live: tuple[int, bytes]) -> tuple[int, bytes]:
        """What is answered: what was never asked in the past, stands as it is first seen."""
        asked = (request.raw_path, request.headers.get("Accept", ""))
        if not self.kept:
            self.seen[asked] = live
        if not self._past():
            return live
        then = self.seen.setdefault(asked, live)
        self.differed += _said(then) != _said(live)
        return then

    async def _watch(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        async with await forward(request) as answer:
            stream = await _opened(request, answer)
            with suppress(ConnectionError):  # the operator hung up
                async for line in answer.content:
                    self.held += self._past()
                    await asyncio.sleep(self._left())
                    await stream.write(line)
        return stream

    def _past(self) -> bool:
        return self._left() > 0

    def over(self) -> bool:
        """Whether the present is told again."""
        return self.began > 0 and not self._past()

    def _left(self) -> float:
        """Seconds."""
        return max(0.0, self.began + self.seconds - time.monotonic()) if self.began else 0.0


def _said(answer: tuple[int, bytes]) -> object:
    """An answer without the version of a list, which every write anywhere changes."""
    status, body = answer
    found = json.loads(body) if body.startswith(b"{") else {}
    return (status, found["items"]) if "items" in found else answer
