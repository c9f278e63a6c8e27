"""A TCP proxy before a server that reads what clients say: numbers their writes, and lets one go wrong, or all hang."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from tests.faults.script import Fault, Script


class Said(Protocol):
    """One message of a client."""

    raw: bytes
    """As it came."""


M = TypeVar("M", bound=Said)


class Line(Protocol[M]):
    """What is understood of one connection."""

    def messages(self, reader: asyncio.StreamReader) -> AsyncIterator[M]:
        """What the client says, until the line ends."""

    def written(self, message: M) -> str:
        """The label of the write that leaves with the message; empty where none does."""


@dataclass(slots=True)
class Swallow:
    """Once `on`, the server's answers go no further; `heard` tells that one came."""

    on: bool = False
    heard: asyncio.Event = field(default_factory=asyncio.Event)


class TcpWire(Generic[M]):
    """Stands on a port of loopback for the server at another."""

    def __init__(self, port: int, script: Script, line: Callable[[], Line[M]]) -> None:
        self._behind = port
        self._script = script
        self._understood = line
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()
        self.heard: Callable[[int, M], None] | None = None
        """Is told every message of every line (a number) as it passes."""
        self.hanging = False
        """Whether nothing passes, either way, while all connections stand."""
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._line, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End all."""
        assert self._server
        self._server.close()
        self._cut_all()

    def _cut_all(self) -> None:
        for writer in self._lines:
            writer.transport.abort()

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._script.dead.is_set():
            writer.transport.abort()
            return
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        ours = {writer, server_writer}
        self._lines |= ours
        swallow = Swallow()
        back = asyncio.create_task(self._back(server_reader, writer, swallow))
        try:
            await self._front(reader, server_writer, swallow)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            back.cancel()
            for one in ours:
                one.transport.abort()
            self._lines -= ours

    async def _front(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, swallow: Swallow) -> None:
        line = self._understood()
        async for message in line.messages(reader):
            if self._script.dead.is_set():
                return
            await self._while_hanging()
            if self.heard:
                self.heard(id(server), message)
            label = line.written(message)
            fault = self._script.write(label) if label else None
            if fault is Fault.DIE_BEFORE:
                self._script.die()
                self._cut_all()
                return
            if fault is Fault.FREEZE:
                await self._script.held()
                fault = None
            swallow.on = fault is not None
            server.write(message.raw)
            await server.drain()
            if fault is None:
                continue
            await swallow.heard.wait()
            if fault is Fault.DIE_AFTER:
                self._script.die()
            return

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, swallow: Swallow) -> None:
        while chunk := await reader.read(65536):
            await self._while_hanging()
            if swallow.on:
                swallow.heard.set()
                continue
            writer.write(chunk)
            await writer.drain()

    async def _while_hanging(self) -> None:
        while self.hanging:  # noqa: ASYNC110  the test sets it from a thread of its own, where an Event is not safe
            await asyncio.sleep(0.05)
