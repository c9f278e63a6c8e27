"""A transaction of the operator in one catalog: as the owner, fenced by the leader epoch.

It opens with a read of the epoch. The first change locks the leader row FOR SHARE and looks again, so that no other
operator can become leader between that look and the commit; a transaction that changes nothing writes nothing, not
even a lock. Prevents: a leader frozen between "decide" and "send" that drops the table that now serves (DATA §4).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from psycopg import errors
from psycopg.abc import Params
from psycopg.rows import DictRow
from psycopg.sql import SQL, Composed, Identifier

from rag_operator.api.conditions import Reason
from rag_operator.stores import metrics
from rag_operator.stores.errors import StoreProblem, Superseded
from rag_operator.stores.pool import Connection
from rag_runtime.contract.names import CatalogNames

_EPOCH = SQL("SELECT epoch FROM {c}.leader")
_FENCE = SQL("SELECT epoch FROM {c}.leader FOR SHARE")
_AS_OWNER = SQL("SET LOCAL ROLE {owner}")
_AS_LOGIN = SQL("SET LOCAL ROLE NONE")
_NOTIFY = "SELECT pg_notify(%s, %s)"
_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', %s, true)"


class Transaction:
    """Statements name identifiers as `{c}` (the catalog schema) and whatever is given by keyword; values are bound."""

    def __init__(self, connection: Connection, catalog: CatalogNames, epoch: int) -> None:
        self.catalog = catalog
        self.epoch = epoch
        self._connection = connection
        self._fenced = False

    async def open(self) -> None:
        """Become the owner and check the epoch; Superseded when another operator leads."""
        try:
            await self._connection.execute(_AS_OWNER.format(owner=Identifier(self.catalog.owner)))
            found = await self.row(_EPOCH)
        except (errors.UndefinedTable, errors.InvalidSchemaName, errors.InvalidParameterValue) as error:
            raise StoreProblem(
                Reason.CATALOG_MISMATCH,
                f"catalog {self.catalog.catalog} is not in this database: point the Secret back, or restore the backup",
            ) from error
        self._check(found)

    async def rows(self, statement: SQL, params: Params | None = None, **identifiers: str) -> list[DictRow]:
        """All rows of a query that changes nothing."""
        cursor = await self._connection.execute(self._named(statement, identifiers), params)
        return await cursor.fetchall()

    async def row(self, statement: SQL, params: Params | None = None, **identifiers: str) -> DictRow | None:
        """The first row of a query that changes nothing, or None."""
        cursor = await self._connection.execute(self._named(statement, identifiers), params)
        return await cursor.fetchone()

    async def change(self, statement: SQL, params: Params | None = None, **identifiers: str) -> list[DictRow]:
        """Run a statement that writes or locks, after the fence; returns its rows, if it has any."""
        await self.fence()
        metrics.ROWS.inc()
        cursor = await self._connection.execute(self._named(statement, identifiers), params)
        return await cursor.fetchall() if cursor.description else []

    async def execute(self, statement: Composed) -> None:
        """Run a composed statement after the fence: about roles, which takes no bound values."""
        await self.fence()
        metrics.ROLES.inc()
        await self._connection.execute(statement)

    async def script(self, text: str) -> None:
        """Run DDL of the contract: several statements, nothing bound."""
        await self.fence()
        metrics.SCHEMA.inc()
        await self._connection.execute(text)

    async def batch(self, text: str) -> int:
        """Run a statement of the contract that changes rows, nothing bound; how many it changed."""
        await self.fence()
        metrics.ROWS.inc()
        return (await self._connection.execute(text)).rowcount

    async def notify(self, channel: str, payload: str) -> None:
        """Tell listeners at commit; a payload is a name and a version, never data."""
        await self.fence()
        metrics.NOTIFY.inc()
        await self._connection.execute(_NOTIFY, [channel, payload])

    async def fence(self) -> None:
        """Before the first change: hold the leader's row, so that the epoch stays until commit."""
        if not self._fenced:
            self._check(await self.row(_FENCE))
            self._fenced = True

    async def lock_timeout(self, seconds: float) -> None:
        """Give up waiting for a lock after so long, for the rest of this transaction."""
        await self._connection.execute(_LOCK_TIMEOUT, [f"{int(seconds * 1000)}ms"])

    @contextlib.asynccontextmanager
    async def as_login(self) -> AsyncIterator[None]:
        """Act as the operator's login within: the owner may neither make roles nor schemas."""
        await self._connection.execute(_AS_LOGIN)
        yield
        # not in a finally: after an error the transaction is aborted, and takes no statement
        await self._connection.execute(_AS_OWNER.format(owner=Identifier(self.catalog.owner)))

    def verifier(self, login: str, password: str) -> str:
        """The SCRAM-SHA-256 verifier of a password, computed here: no clear text reaches a server's log."""
        return scram(self._connection, login, password)

    def _named(self, statement: SQL, identifiers: dict[str, str]) -> Composed:
        names: dict[str, Any] = {key: Identifier(value) for key, value in identifiers.items()}
        return statement.format(c=Identifier(self.catalog.schema), **names)

    def _check(self, row: DictRow | None) -> None:
        found = row["epoch"] if row else None
        if found != self.epoch:
            raise Superseded(
                f"catalog {self.catalog.catalog} is led in epoch {found}, this operator's is {self.epoch}: "
                "nothing was written"
            )


def scram(connection: Connection, login: str, password: str) -> str:
    """libpq's verifier, made without asking the server."""
    return connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()
