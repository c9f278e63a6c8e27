"""Connections to one database: a few at a time, reused, closed when unused, behind a breaker.

Own code instead of `psycopg_pool`: no worker tasks per database (many may be idle), and a breaker on connecting.
Nothing here sets session state: a transaction pooler may stand between.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import select
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import AsyncConnection, errors
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row

from rag_operator.stores.address import DatabaseAddress
from rag_operator.stores.breaker import Breaker
from rag_operator.stores.errors import StoreTrouble, translated

Connection = AsyncConnection[DictRow]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds per database; times in seconds."""

    connections: int = 4
    connect_timeout: float = 5.0
    idle: float = 60.0
    """A connection unused for so long is closed."""
    fresh: float = 1.0
    """A connection unused for longer is asked whether it lives before it is used again."""
    failures: int = 3
    pause: float = 5.0
    deadline: float = 30.0
    """Of a whole transaction, unless it says otherwise."""
    lock_timeout: float = 5.0


def connection_arguments(address: DatabaseAddress, application: str, limits: Limits) -> dict[str, Any]:
    """libpq's parameters: keepalives that notice a dead peer within half a minute, no prepared statements."""
    arguments: dict[str, Any] = {
        **dict(address.extra),
        "host": address.host,
        "port": address.port,
        "dbname": address.dbname,
        "user": address.username,
        "password": address.password,
        "sslmode": address.sslmode,
        "application_name": application,
        "connect_timeout": max(2, int(limits.connect_timeout)),
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 25_000,
    }
    if address.ca:
        arguments["sslrootcert"] = str(_ca_file(address.ca))
    elif address.sslmode == "verify-full":
        arguments["sslrootcert"] = public_authorities()
    return arguments


def public_authorities() -> str:
    """A file of certificates, as Python's own clients trust; libpq's `system` is a folder where the wheel was built."""
    return ssl.get_default_verify_paths().cafile or "system"


def _ca_file(pem: str) -> Path:
    """libpq reads certificates from files only: one per content, public data."""
    path = Path(tempfile.gettempdir()) / f"rag-operator-ca-{hashlib.sha256(pem.encode()).hexdigest()[:16]}.pem"
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as partial:
            partial.write(pem)
        Path(partial.name).rename(path)
    return path


async def connect(address: DatabaseAddress, application: str, limits: Limits) -> Connection:
    """A new connection in autocommit, within the deadline."""
    async with asyncio.timeout(limits.connect_timeout):
        return await AsyncConnection.connect(
            **connection_arguments(address, application, limits),
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
        )


def _has_something_to_say(connection: Connection) -> bool:
    """Whether bytes wait on an unused connection: a server that ended it says so, others are silent."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class Pool:
    """Connections of one login to one database."""

    def __init__(self, address: DatabaseAddress, application: str, limits: Limits, clock: Callable[[], float]) -> None:
        self._address = address
        self._application = application
        self._limits = limits
        self._clock = clock
        self._slots = asyncio.Semaphore(limits.connections)
        self._idle: list[tuple[Connection, float]] = []
        self._breaker = Breaker(limits.failures, limits.pause)
        self._trouble: StoreTrouble | None = None
        """What the last trial met."""
        self._used = clock()
        self._busy = 0

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A living connection; waits for a slot. The caller bounds the whole by a deadline."""
        self._refuse_while_open()
        async with self._slots:
            self._busy += 1
            try:
                connection = await self._take()
                try:
                    yield connection
                except errors.ReadOnlySqlTransaction:
                    await connection.close()
                    await self.close()  # sessions stay as their database was when they began
                    raise
                finally:
                    await self._give_back(connection)
            finally:
                self._busy -= 1
                self._used = self._clock()

    def _refuse_while_open(self) -> None:
        """Between two trials the trouble is the last one's, word for word: a condition that tells of it stays so."""
        if self._idle or self._trouble is None or not (wait := self._breaker.wait(self._clock())):
            return
        raise StoreTrouble(str(self._trouble), self._trouble.reason, retry_after=wait)

    async def _take(self) -> Connection:
        while self._idle:
            connection, since = self._idle.pop()
            if await self._lives(connection, since):
                return connection
            await connection.close()
        try:
            with translated(self._address):
                connection = await connect(self._address, self._application, self._limits)
        except StoreTrouble as trouble:
            self._trouble = StoreTrouble(str(trouble), trouble.reason)
            self._breaker.failed(self._clock())
            raise
        self._breaker.succeeded()
        return connection

    async def _lives(self, connection: Connection, since: float) -> bool:
        if connection.closed:
            return False
        if self._clock() - since < self._limits.fresh and not _has_something_to_say(connection):
            return True
        try:
            async with asyncio.timeout(self._limits.connect_timeout):
                await connection.execute("SELECT 1")
        except (psycopg.OperationalError, TimeoutError):
            return False
        return True

    async def _give_back(self, connection: Connection) -> None:
        if connection.closed or connection.pgconn.transaction_status != TransactionStatus.IDLE:
            await connection.close()
            return
        self._idle.append((connection, self._clock()))

    @property
    def breaker(self) -> str:
        """The breaker's state: closed, open or half-open."""
        return self._breaker.state(self._clock())

    async def sweep(self) -> bool:
        """Close what was unused for long; True when the pool is empty and may be forgotten."""
        horizon = self._clock() - self._limits.idle
        old = [connection for connection, since in self._idle if since <= horizon]
        self._idle = [(connection, since) for connection, since in self._idle if since > horizon]
        for connection in old:
            await connection.close()
        return not self._idle and not self._busy and self._used <= horizon

    async def close(self) -> None:
        """Close the unused connections; those in use are closed by their users' deadlines."""
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            await connection.close()
