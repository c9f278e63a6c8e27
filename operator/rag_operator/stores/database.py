"""The operator's way into Postgres: one bounded pool per database, transactions fenced by the leader epoch."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from psycopg import errors
from psycopg.sql import SQL, Composed, Identifier, Literal

from rag_operator.api.names import short_hash
from rag_operator.stores import metrics
from rag_operator.stores.address import DatabaseAddress
from rag_operator.stores.errors import StoreTrouble, Superseded, translated
from rag_operator.stores.pool import Connection, Limits, Pool
from rag_operator.stores.transaction import Transaction, begun, fenced
from rag_runtime.contract.names import CatalogNames

__all__ = ["DatabaseAddress", "Databases", "Limits", "Superseded", "Transaction", "application_name"]

_log = logging.getLogger(__name__)
_SWEEP = 30.0
_NAME_BYTES = 63

_BOUNDS = SQL("""
SET LOCAL statement_timeout = {all}; SET LOCAL idle_in_transaction_session_timeout = {all};
SET LOCAL lock_timeout = {lock}; SET LOCAL search_path = pg_catalog, pg_temp""")
_READ_ONLY = SQL("; SET TRANSACTION READ ONLY")
_HOLDER = SQL("SELECT holder FROM {c}.leader")
_TAKE = SQL("UPDATE {c}.leader SET epoch = epoch + 1, holder = %s, taken_at = now() RETURNING epoch")
_END = """
SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
WHERE application_name = %s AND datname = current_database() AND pid <> pg_backend_pid()
"""


def application_name(holder: str) -> str:
    """What `pg_stat_activity` shows: `rag-operator HOLDER`; a holder that doesn't fit is named by its hash."""
    name = f"rag-operator {holder}"
    return name if len(name.encode()) <= _NAME_BYTES else f"rag-operator {short_hash(holder, 32)}"


class Databases:
    """All databases of this operator process. `holder` is the process's identity in the leader Lease.

    Use as `async with Databases(holder) as databases`: connections unused for a while are closed meanwhile.
    """

    def __init__(self, holder: str, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._holder = holder
        self._application = application_name(holder)
        self._limits = limits or Limits()
        self._clock = clock
        self._pools: dict[DatabaseAddress, Pool] = {}
        self._sweeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._sweeper = asyncio.create_task(self._sweep_for_ever(), name="databases-sweep")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @contextlib.asynccontextmanager
    async def session(self, address: DatabaseAddress, deadline: float | None = None) -> AsyncIterator[Connection]:
        """One transaction as the operator's login, for what precedes a catalog. Errors come translated.

        `deadline` in seconds bounds everything: waiting for a slot, connecting, all statements, the commit.
        """
        async with self._bounded(address, deadline) as (connection, bounds), begun(connection, bounds):
            yield connection

    @contextlib.asynccontextmanager
    async def transaction(
        self, address: DatabaseAddress, catalog: CatalogNames, epoch: int, deadline: float | None = None
    ) -> AsyncIterator[Transaction]:
        """A transaction as the catalog's owner. Superseded when the catalog's epoch isn't ours any more."""
        async with (
            self._bounded(address, deadline) as (connection, bounds),
            fenced(connection, bounds, catalog, epoch) as transaction,
        ):
            yield transaction

    @contextlib.asynccontextmanager
    async def reading(self, address: DatabaseAddress, catalog: CatalogNames) -> AsyncIterator[Transaction]:
        """A read-only transaction beside whoever leads the catalog."""
        async with (
            self._bounded(address, None) as (connection, bounds),
            fenced(connection, bounds + _READ_ONLY, catalog, None) as transaction,
        ):
            yield transaction

    @contextlib.asynccontextmanager
    async def _bounded(
        self, address: DatabaseAddress, deadline: float | None
    ) -> AsyncIterator[tuple[Connection, Composed]]:
        """A connection, and the statements that bound what runs on it."""
        seconds = deadline or self._limits.deadline
        lock = min(self._limits.lock_timeout, seconds)
        bounds = _BOUNDS.format(all=Literal(int(seconds * 1000)), lock=Literal(int(lock * 1000)))
        with translated(address):
            async with asyncio.timeout(seconds), self._pool(address).connection() as connection:
                yield connection, bounds

    async def take_leadership(self, address: DatabaseAddress, catalog: CatalogNames) -> int:
        """Lead this catalog: ends the former holder's sessions, bumps the epoch and returns it.

        Only sessions named like the holder in the leader row are ended: another installation may use this database.
        The epoch alone is what keeps a former leader from writing; ending its sessions only frees their locks.
        """
        former = await self._end_former(address, catalog)
        async with self.session(address) as connection:
            metrics.ROWS.inc()
            cursor = await connection.execute(_in(catalog, _TAKE), [self._holder])
            row = await cursor.fetchone()
        if row is None:
            raise StoreTrouble(
                f"catalog {catalog.catalog} in {address.where} has no leader row: restore it from a backup"
            )
        _log.info("leadership taken", extra={"catalog": str(catalog.catalog), "epoch": row["epoch"], "former": former})
        return int(row["epoch"])

    async def _end_former(self, address: DatabaseAddress, catalog: CatalogNames) -> str:
        async with self.session(address) as connection:
            row = await (await connection.execute(_in(catalog, _HOLDER))).fetchone()
            former = str(row["holder"]) if row else ""
            if former and former != self._holder:
                try:
                    async with connection.transaction():
                        await connection.execute(_END, [application_name(former)])
                except errors.InsufficientPrivilege:
                    _log.info("former leader's sessions belong to another login", extra={"former": former})
        return former

    def _pool(self, address: DatabaseAddress) -> Pool:
        if address not in self._pools:
            self._pools[address] = Pool(address, self._application, self._limits, self._clock)
        return self._pools[address]

    def breakers(self) -> list[str]:
        """The state of each database's breaker: closed, open or half-open."""
        return [pool.breaker for pool in self._pools.values()]

    async def sweep(self) -> None:
        """Close connections that were unused for long, and forget databases without any."""
        for address, pool in list(self._pools.items()):
            if await pool.sweep():
                self._pools.pop(address, None)

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(min(_SWEEP, self._limits.idle))
            await self.sweep()

    async def close(self) -> None:
        """Close all unused connections and stop sweeping."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
            self._sweeper = None
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.close()


def _in(catalog: CatalogNames, statement: SQL) -> Composed:
    return statement.format(c=Identifier(catalog.schema))
