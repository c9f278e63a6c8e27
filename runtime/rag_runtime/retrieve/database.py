"""Reads Postgres as tenants' readers: one pool per query login, two-message pipelines, a deadline on everything.

The settings go ahead of the statements in one pipeline in autocommit, which Postgres runs as one implicit transaction:
the role is in force for the statements and gone after them (DATA §2, probe B).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import errors as pg
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from rag_runtime.breaker import Breaker
from rag_runtime.contract.config import Database as Settings
from rag_runtime.retrieve import vectors
from rag_runtime.retrieve.credentials import query_shards
from rag_runtime.retrieve.errors import DatabaseUnavailableError, RevisionMissingError
from rag_runtime.retrieve.logins import Connection, Logins, PooledConnection
from rag_runtime.retrieve.tenants import Target

logger = logging.getLogger(__name__)

Row = tuple[Any, ...]
T = TypeVar("T")

POOL_SIZE = 8
"""Connections per query login: a retrieval holds one for a few ms, two cores of Postgres are full with fewer."""
POOL_LIFETIME_SECONDS = 1800.0
"""A backend grows by ~80 KiB per tenant that it touched (probe C): it is replaced before that matters."""
POOL_WAITING = 256
STATEMENT_SHARE = 0.9
"""Of the deadline: then Postgres itself ends a slow statement, and that it answers at all is known."""

SETTINGS = (
    "SELECT set_config('role', %s, true), set_config('rag.tenant', %s, true), set_config('rag.acl', %s, true),"
    " set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'relaxed_order', true),"
    " set_config('statement_timeout', %s, true)"
)
LOAD_LIBRARY = "SELECT '[1]'::public.vector"
"""Before pgvector's library is loaded, its settings are unknown names that a login may not set (probe A)."""


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with its parameters."""

    sql: str
    values: Mapping[str, object]


def acl_literal(acl: Sequence[str]) -> str:
    """The text[] literal of ACL entries, whatever characters they hold."""
    quoted = ('"' + entry.replace("\\", "\\\\").replace('"', '\\"') + '"' for entry in acl)
    return "{" + ",".join(quoted) + "}"


async def bounded(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """The result of `work`, or TimeoutError after `seconds` even when ending `work` takes longer than that.

    psycopg asks the server to cancel and waits up to 10 s for it, which a request must not.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _abandon(task)
        raise
    if not task.done():
        _abandon(task)
        raise TimeoutError
    return task.result()


_abandoned: set[asyncio.Task[Any]] = set()


def _abandon(task: asyncio.Task[Any]) -> None:
    def forget(done: asyncio.Task[Any]) -> None:
        _abandoned.discard(done)
        if not done.cancelled():
            done.exception()

    _abandoned.add(task)
    task.add_done_callback(forget)
    task.cancel()


class Database:
    """The pipeline's database as the query service uses it."""

    def __init__(self, settings: Settings, breaker: Breaker) -> None:
        self.settings = settings
        self.breaker = breaker
        self.logins = Logins(settings)
        self._pools: dict[int, AsyncConnectionPool[Connection]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._opening = asyncio.Lock()
        self._closed = False

    async def as_reader(
        self, target: Target, statements: Sequence[Statement], ef_search: int, seconds: float
    ) -> list[list[Row]]:
        """Rows of each statement, run in order in one implicit transaction as the target's reader.

        Raises RevisionMissingError, DatabaseUnavailableError.
        """
        settings = [
            target.reader,
            str(target.tenant),
            acl_literal(target.acl),
            str(ef_search),
            f"{int(seconds * 1000 * STATEMENT_SHARE)}ms",
        ]

        async def pipelined(connection: Connection) -> list[list[Row]]:
            async with connection.pipeline():
                await connection.execute(SETTINGS, settings)
                cursors = [await connection.execute(s.sql, s.values, binary=True) for s in statements]
            return [await cursor.fetchall() for cursor in cursors]

        return await self.run(pipelined, target.shard, seconds)

    async def as_login(self, statement: Statement, seconds: float) -> list[Row]:
        """Rows of a statement on the shared tables, run as the first query login."""

        async def plain(connection: Connection) -> list[Row]:
            cursor = await connection.execute(statement.sql, statement.values)
            return await cursor.fetchall() if cursor.description else []

        return await self.run(plain, query_shards(self.settings)[0], seconds)

    async def run(self, work: Callable[[Connection], Awaitable[T]], shard: int, seconds: float) -> T:
        """`work` on a pooled connection, within `seconds`; once more when the connection had died meanwhile."""
        if not self.breaker.admits():
            raise DatabaseUnavailableError("Postgres did not answer lately")
        try:
            found = await bounded(self._attempts(work, shard, seconds), seconds)
        except (pg.UndefinedTable, pg.InvalidSchemaName, pg.UndefinedObject, pg.InvalidParameterValue) as error:
            self.breaker.succeeded()
            raise RevisionMissingError(str(error.diag.message_primary)) from error
        except pg.QueryCanceled as error:
            # One tenant's slow statement says nothing of the database: the breaker is for all tenants.
            self.breaker.succeeded()
            raise DatabaseUnavailableError("Postgres: the statement missed its deadline") from error
        except (psycopg.OperationalError, PoolTimeout, TooManyRequests, TimeoutError) as error:
            self.breaker.failed()
            raise DatabaseUnavailableError(_reason(error)) from error
        except psycopg.Error:
            self.breaker.succeeded()
            raise
        self.breaker.succeeded()
        return found

    async def _attempts(self, work: Callable[[Connection], Awaitable[T]], shard: int, seconds: float) -> T:
        while True:
            pool = await self._pool(shard)
            try:
                async with pool.connection(timeout=seconds) as connection:
                    try:
                        return await work(connection)
                    except psycopg.OperationalError:
                        if not connection.closed:
                            raise
            except PoolClosed:
                continue
            # The server ended this session while it lay in the pool; the others there are as old.
            if self._pools.get(shard) is pool:
                self.renew()

    async def _pool(self, shard: int) -> AsyncConnectionPool[Connection]:
        async with self._opening:
            if self._closed:
                raise DatabaseUnavailableError("this process is ending")
            pool = self._pools.get(shard)
            if pool is None:
                pool = self._new_pool(shard)
                await pool.open()
                self._pools[shard] = pool
            return pool

    def _new_pool(self, shard: int) -> AsyncConnectionPool[Connection]:
        return AsyncConnectionPool(
            kwargs={"logins": self.logins, "shard": shard},
            connection_class=PooledConnection,
            min_size=1,
            max_size=POOL_SIZE,
            max_waiting=POOL_WAITING,
            max_lifetime=POOL_LIFETIME_SECONDS,
            max_idle=120.0,
            reconnect_timeout=2.0,
            configure=_prepare,
            name=f"query-{shard:02d}",
            open=False,
        )

    def renew(self) -> None:
        """Start with fresh pools: after an outage every pooled connection is dead, and logins may have changed."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            task = asyncio.create_task(pool.close(timeout=5))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close every connection, for good."""
        self._closed = True
        self.renew()
        for task in list(self._closing):
            with contextlib.suppress(psycopg.Error, TimeoutError):
                await task


async def _prepare(connection: Connection) -> None:
    vectors.register(connection)
    await connection.execute(LOAD_LIBRARY)


def _reason(error: BaseException) -> str:
    """What failed, without what libpq adds (host names, user names)."""
    if isinstance(error, psycopg.Error) and error.sqlstate:
        return f"Postgres: {error.diag.message_primary or error.sqlstate}"
    return f"Postgres: {type(error).__name__}"
