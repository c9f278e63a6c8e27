"""Keeps the catalog current: LISTEN on a direct connection, read on (re)connect, poll besides (DATA §4)."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

import psycopg

from rag_runtime.logs import fields
from rag_runtime.retrieve.credentials import query_shards
from rag_runtime.retrieve.database import Database
from rag_runtime.retrieve.errors import RetrievalError
from rag_runtime.retrieve.logins import Connection
from rag_runtime.serve.catalog import Catalog

logger = logging.getLogger(__name__)

POLL_SECONDS = 5.0
FIRST_RETRY_SECONDS = 0.2
LAST_RETRY_SECONDS = 2.0


class Listener:
    """Follows one database's NOTIFY channel for as long as `run` runs."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog
        self._channel = f"{database.settings.schema_}_query"

    async def run(self) -> None:
        """Listen for ever; a lost connection is made anew after 0.2 to 2 s. Ends by cancellation."""
        pause = FIRST_RETRY_SECONDS
        while True:
            try:
                async with await self._connect() as connection:
                    await self._start(connection)
                    pause = FIRST_RETRY_SECONDS
                    while True:
                        await self._next(connection)
            except (psycopg.Error, RetrievalError, TimeoutError) as error:
                logger.warning("catalog connection lost", extra=fields(error=type(error).__name__, retry_seconds=pause))
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_RETRY_SECONDS)

    async def _connect(self) -> Connection:
        return await self._database.logins.connect(query_shards(self._database.settings)[0])

    async def _start(self, connection: Connection) -> None:
        """Listen first, then read: what commits between the two is both read and notified."""
        await connection.execute(f"LISTEN {self._channel}")
        self._database.breaker.succeeded()
        self._database.renew()
        await self._catalog.reload()

    async def _next(self, connection: Connection) -> None:
        """Wait for notifications until the next poll is due; read what they name."""
        read_at = self._catalog.read_at or 0.0
        due = max(0.0, read_at + POLL_SECONDS - self._catalog.clock())
        named: set[UUID] = set()
        unknown = False
        async for notification in connection.notifies(timeout=due, stop_after=1):
            try:
                named.add(UUID(notification.payload.split(" ")[0]))
            except ValueError:
                unknown = True
        if unknown or (not named and self._catalog.clock() - read_at >= POLL_SECONDS):
            await self._catalog.poll()
        elif named:
            await self._catalog.refresh(list(named))
