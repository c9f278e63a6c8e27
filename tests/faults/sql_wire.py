"""A TCP proxy before Postgres that reads the frontend's messages: counts commits of transactions that wrote.

Message formats: https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from tests.faults.script import Fault, Script

WRITES = re.compile(
    rb"\b(INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|GRANT|REVOKE|COMMENT ON|FOR SHARE|pg_notify)\b(?!')", re.IGNORECASE
)
"""A quoted one is the name of a right that is asked for."""
ENCRYPTION = (80877103, 80877104)
"""SSLRequest and GSSENCRequest, which the server here declines with one byte."""


@dataclass(slots=True)
class Message:
    """One message of the frontend, as it came."""

    kind: bytes
    raw: bytes

    @property
    def statement(self) -> bytes:
        """The SQL of a Query or Parse message."""
        if self.kind == b"Q":
            return self.raw[5:].rstrip(b"\0")
        if self.kind == b"P":
            return self.raw[5:].split(b"\0", 2)[1]
        return b""


@dataclass(slots=True)
class Swallow:
    """Once `on`, the server's answers go no further; `heard` tells that one came."""

    on: bool = False
    heard: asyncio.Event = field(default_factory=asyncio.Event)


class SqlWire:
    """Stands on a port of loopback for the server at another."""

    def __init__(self, port: int, script: Script) -> None:
        self._behind = port
        self._script = script
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()
        self.heard: Callable[[int, Message], None] | None = None
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
        wrote = False
        async for message in _messages(reader):
            if self._script.dead.is_set():
                return
            await self._while_hanging()
            if self.heard:
                self.heard(id(server), message)
            statement = message.statement
            wrote = wrote or bool(WRITES.search(statement))
            fault = None
            if statement.strip().upper() == b"COMMIT":
                fault = self._script.write("COMMIT") if wrote else None
                wrote = False
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


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[Message]:
    """The start-up packet (kind empty), then typed messages, until the line ends."""
    while True:
        head = await reader.readexactly(8)
        length, code = struct.unpack("!II", head)
        yield Message(b"", head + await reader.readexactly(length - 8))
        if code not in ENCRYPTION:
            break
    while True:
        head = await reader.readexactly(5)
        (length,) = struct.unpack("!I", head[1:])
        yield Message(head[:1], head + await reader.readexactly(length - 4))
