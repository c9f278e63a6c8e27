"""The wire before Redis: every command that does not merely read is a write.

Format of commands: https://redis.io/docs/latest/develop/reference/protocol-spec/#sending-commands-to-a-redis-server
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.faults.script import Script
from tests.faults.tcp_wire import TcpWire

READS = frozenset({b"HELLO", b"AUTH", b"CLIENT", b"SELECT", b"PING", b"SCAN"})


@dataclass(slots=True)
class Command:
    """One command, as it came."""

    name: bytes
    raw: bytes


class RedisLine:
    """Commands of one connection, each by itself."""

    async def messages(self, reader: asyncio.StreamReader) -> AsyncIterator[Command]:
        """Arrays of strings, without end."""
        while True:
            raw = await reader.readuntil(b"\r\n")
            words: list[bytes] = []
            for _ in range(int(raw[1:])):
                size = await reader.readuntil(b"\r\n")
                word = await reader.readexactly(int(size[1:]) + 2)
                words.append(word[:-2])
                raw += size + word
            yield Command(words[0].upper(), raw)

    def written(self, message: Command) -> str:
        """`redis UNLINK`, for instance."""
        return "" if message.name in READS else f"redis {message.name.decode()}"


class RedisWire(TcpWire[Command]):
    """Stands on a port of loopback for the Redis at another."""

    def __init__(self, port: int, script: Script) -> None:
        super().__init__(port, script, RedisLine)
