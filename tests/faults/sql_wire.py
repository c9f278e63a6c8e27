"""The wire before Postgres, which reads the frontend's messages: a commit of a transaction that wrote is a write.

Message formats: https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.faults.script import Script
from tests.faults.tcp_wire import TcpWire

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


class SqlLine:
    """Statements of one connection: a transaction that wrote is one write, as it commits."""

    def __init__(self) -> None:
        self._wrote = False

    def messages(self, reader: asyncio.StreamReader) -> AsyncIterator[Message]:
        """The start-up packet, then typed messages."""
        return _messages(reader)

    def written(self, message: Message) -> str:
        """`COMMIT` at the end of what wrote."""
        statement = message.statement
        self._wrote = self._wrote or bool(WRITES.search(statement))
        if statement.strip().upper() != b"COMMIT":
            return ""
        wrote, self._wrote = self._wrote, False
        return "COMMIT" if wrote else ""


class SqlWire(TcpWire[Message]):
    """Stands on a port of loopback for the Postgres at another."""

    def __init__(self, port: int, script: Script) -> None:
        super().__init__(port, script, SqlLine)


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
