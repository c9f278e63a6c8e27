"""A transaction of the operator in one catalog: as the owner, fenced by the leader epoch.

It opens in one message, with a read of the epoch. The first change locks the leader row FOR SHARE and looks again, so
that no other operator can become leader between that look and the commit; a transaction that changes nothing writes
nothing, not even a lock. Prevents: a leader frozen between "decide" and "send" that drops the table that now serves
(DATA §4).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import lru_cache

import psycopg
from psycopg import AsyncClientCursor, AsyncCursor, errors
from psycopg.abc import Params
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, TupleRow, tuple_row
from psycopg.sql import SQL, Composable, Composed, Identifier

from rag_operator.api.conditions import Reason
from rag_operator.stores import metrics
from rag_operator.stores.errors import StoreProblem, Superseded
from rag_operator.stores.pool import Connection
from rag_runtime.contract.names import CatalogNames

_OPEN = SQL("SET LOCAL ROLE {owner}; SELECT epoch FROM {c}.leader")
_FENCE = SQL("SELECT epoch FROM {c}.leader FOR SHARE")
_AS = SQL("SET LOCAL ROLE {role}; {statements}; SET LOCAL ROLE {owner}")
_NOTIFY = b"SELECT pg_notify(%s, %s)"
_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', %s, true)"


@contextlib.asynccontextmanager
async def begun(connection: Connection, opening: Composable) -> AsyncIterator[DictRow | None]:
    """A transaction whose BEGIN travels with the statements that open it; yields the last one's first row."""
    try:
        cursor = await connection.execute(SQL("BEGIN; ") + opening)
        while cursor.nextset():
            pass
        yield await cursor.fetchone() if cursor.description else None
    except BaseException:  # boundary: whatever ends the block, cancellation too, nothing of it stays
        if connection.pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            with contextlib.suppress(psycopg.Error):
                await connection.rollback()
        raise
    await connection.commit()


@contextlib.asynccontextmanager
async def fenced(
    connection: Connection, bounds: Composable, catalog: CatalogNames, epoch: int | None
) -> AsyncIterator[Transaction]:
    """A transaction as the catalog's owner; Superseded when another operator leads it than in this epoch, if any."""
    names = {"owner": Identifier(catalog.owner), "c": Identifier(catalog.schema)}
    async with contextlib.AsyncExitStack() as stack:
        with _catalog_expected(catalog):
            leader = await stack.enter_async_context(begun(connection, bounds + SQL("; ") + _OPEN.format(**names)))
        current = int(leader["epoch"]) if leader else 0
        transaction = Transaction(connection, catalog, current if epoch is None else epoch)
        transaction.check(leader)
        yield transaction


@contextlib.contextmanager
def _catalog_expected(catalog: CatalogNames) -> Iterator[None]:
    try:
        yield
    except (errors.UndefinedTable, errors.InvalidSchemaName, errors.InvalidParameterValue) as error:
        raise StoreProblem(
            Reason.CATALOG_MISMATCH,
            f"catalog {catalog.catalog} is not in this database: point the Secret back, or restore the backup",
        ) from error


class Transaction:
    """Statements name identifiers as `{c}` (the catalog schema) and whatever is given by keyword; values are bound."""

    def __init__(self, connection: Connection, catalog: CatalogNames, epoch: int) -> None:
        self.catalog = catalog
        self.epoch = epoch
        self._connection = connection
        self._fenced = False
        self._together: list[str] | None = None
        """What waits to be sent as one message, while changes are collected."""

    async def rows(self, statement: SQL, params: Params | None = None, **identifiers: str) -> list[DictRow]:
        """All rows of a query that changes nothing."""
        cursor = await self._connection.execute(self._named(statement, identifiers), params)
        return await cursor.fetchall()

    async def tuples(self, statement: SQL) -> list[TupleRow]:
        """As `rows`, each in the order of its columns: half the time where there are thousands."""
        async with self._connection.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(self._named(statement, {}))
            return await cursor.fetchall()

    async def row(self, statement: SQL, params: Params | None = None, **identifiers: str) -> DictRow | None:
        """The first row of a query that changes nothing, or None."""
        cursor = await self._connection.execute(self._named(statement, identifiers), params)
        return await cursor.fetchone()

    async def change(self, statement: SQL, params: Params | None = None, **identifiers: str) -> list[DictRow]:
        """Run a statement that writes or locks, after the fence; returns its rows, if it has any."""
        await self.fence()
        metrics.ROWS.inc()
        cursor = await self._send(self._named(statement, identifiers), params)
        return await cursor.fetchall() if cursor and cursor.description else []

    @contextlib.asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Changes within go as one message, at its end: none may need what another one of them returns."""
        self._together = []
        try:
            yield
            collected = self._together
        finally:
            self._together = None
        if collected:
            await self._connection.execute("; ".join(collected).encode())

    async def as_login(self, *statements: Composed) -> None:
        """Run statements as the operator's login, after the fence: the owner may neither make roles nor schemas.

        One message, nothing bound.
        """
        await self.acting(None, *statements)

    async def acting(self, role: str | None, *statements: Composed) -> None:
        """As `as_login`, as a role that the login may assume; None: as the login itself."""
        await self.fence()
        metrics.ROLES.inc(len(statements))
        actor = Identifier(role) if role else SQL("NONE")
        script = SQL("; ").join(statements)
        await self._send(_AS.format(role=actor, statements=script, owner=Identifier(self.catalog.owner)))

    async def script(self, text: str) -> None:
        """Run DDL of the contract: several statements, nothing bound."""
        await self.fence()
        metrics.SCHEMA.inc()
        await self._send(text.encode())

    async def batch(self, text: str) -> int:
        """Run a statement of the contract that changes rows, nothing bound; how many it changed."""
        await self.fence()
        metrics.ROWS.inc()
        return (await self._connection.execute(text)).rowcount

    async def notify(self, channel: str, payload: str) -> None:
        """Tell listeners at commit; a payload is a name and a version, never data."""
        await self.fence()
        metrics.NOTIFY.inc()
        await self._send(_NOTIFY, [channel, payload])

    async def fence(self) -> None:
        """Before the first change: hold the leader's row, so that the epoch stays until commit."""
        if not self._fenced:
            self.check(await self.row(_FENCE))
            self._fenced = True

    async def lock_timeout(self, seconds: float) -> None:
        """Give up waiting for a lock after so long, for the rest of this transaction."""
        await self._connection.execute(_LOCK_TIMEOUT, [f"{int(seconds * 1000)}ms"])

    async def _send(self, statement: Composed | bytes, params: Params | None = None) -> AsyncCursor[DictRow] | None:
        """The cursor with the answer; None where the statement waits for others."""
        if self._together is None:
            return await self._connection.execute(statement, params)
        self._together.append(AsyncClientCursor(self._connection).mogrify(statement, params))
        return None

    def check(self, leader: DictRow | None) -> None:
        """Superseded unless the leader row's epoch is ours."""
        found = leader["epoch"] if leader else None
        if found != self.epoch:
            raise Superseded(
                f"catalog {self.catalog.catalog} is led in epoch {found}, this operator's is {self.epoch}: "
                "nothing was written"
            )

    def _named(self, statement: SQL, identifiers: dict[str, str]) -> bytes:
        return _rendered(statement.as_string(None), self.catalog.schema, tuple(identifiers.items()))


@lru_cache(maxsize=4096)
def _rendered(template: str, catalog: str, identifiers: Sequence[tuple[str, str]]) -> bytes:
    """A statement with its identifiers, rendered once."""
    names = {key: Identifier(value) for key, value in identifiers}
    return SQL(template).format(c=Identifier(catalog), **names).as_bytes(None)
