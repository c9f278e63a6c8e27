"""The database as ingestion sees it: one connection per session, statements of this tenant, a deadline on every call.

Nothing relies on session state, so a transaction pooler may stand between: no prepared statements, no settings.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rag_runtime.contract.config import Database
from rag_runtime.contract.functions import CLOSED, REFUSED, SUPERSEDED
from rag_runtime.ingest.errors import (
    ConfigurationError,
    LoginRefusedError,
    StoreRefusedError,
    StoreUnavailableError,
    Superseded,
    TenantClosed,
)
from rag_runtime.trust import server_trust

LOGIN = "ingest"
"""Stem of the login's files in the credentials directory."""
CONNECT_SECONDS = 10
CALL_SECONDS = 30.0
BATCH_SECONDS = 300.0
"""A batch waits for an index build of the same tenant, which holds the revision's tables."""
BUILD_SECONDS = 6 * 3600.0
_KEEPALIVE = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}
_PASSING = ("08", "40", "53", "55P03", "57", "58", "28")
"""SQLSTATE classes that time may mend; 28: a login that is just being rotated."""

Row = tuple[Any, ...]


def conninfo(database: Database) -> str:
    """The libpq connection string of the mounted credentials. ConfigurationError names the file that is missing."""
    folder = Path(database.credentials)

    def content(name: str) -> str:
        try:
            return (folder / name).read_text().strip()
        except OSError as error:
            raise ConfigurationError(
                f"database.credentials: {name} in {folder} can't be read ({error.strerror}); mount the tenant's Secret"
            ) from error

    return make_conninfo(
        host=content("host"),
        port=content("port"),
        dbname=content("dbname"),
        sslmode=content("sslmode"),
        user=content(f"{LOGIN}.username"),
        password=content(f"{LOGIN}.password"),
        connect_timeout=CONNECT_SECONDS,
        application_name="rag-ingest",
        **server_trust(folder, content("sslmode")),
        **_KEEPALIVE,
    )


@dataclass(frozen=True, slots=True)
class Store:
    """Where a tenant's data is. `catalog` and `tenant` are schemas; credentials are read anew for each session."""

    database: Database
    tenant: str
    tenant_id: str

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A session on a connection of its own, in autocommit. Raises StoreUnavailableError, LoginRefusedError."""
        with translated("connecting"):
            connection = await self._connect()
        try:
            yield Session(connection, self)
        finally:
            # A lost connection is found out by the statement that needs it; closing one says nothing new.
            with contextlib.suppress(psycopg.Error, TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    await connection.close()

    async def _connect(self) -> psycopg.AsyncConnection[Row]:
        where = conninfo(self.database)
        try:
            return await psycopg.AsyncConnection.connect(where, autocommit=True, prepare_threshold=None)
        except psycopg.OperationalError as error:
            if error.pgconn is not None and error.pgconn.used_password:  # libpq tells no SQLSTATE of a refused login
                raise LoginRefusedError(f"the database refuses the login: {_said(error)}") from error
            raise


class Session:
    """Runs statements. In them `{c}` is the catalog schema, `{s}` the tenant's, `{chunk}` a revision's chunks."""

    def __init__(self, connection: psycopg.AsyncConnection[Row], store: Store) -> None:
        self._connection = connection
        self._names = {"c": sql.Identifier(store.database.schema_), "s": sql.Identifier(store.tenant)}
        self._schema = store.tenant
        self.tenant_id = store.tenant_id
        self._composed: dict[tuple[str, int | None], bytes] = {}

    async def rows(
        self,
        statement: LiteralString,
        params: Sequence[object] = (),
        *,
        revision: int | None = None,
        deadline: float = CALL_SECONDS,
    ) -> list[Row]:
        """All rows of a statement; an empty list for one without. Raises as `translated`."""
        with translated(statement):
            async with asyncio.timeout(deadline):
                cursor = await self._connection.execute(self._compose(statement, revision), params)
                return await cursor.fetchall() if cursor.description else []

    async def value(
        self, statement: LiteralString, params: Sequence[object] = (), *, deadline: float = CALL_SECONDS
    ) -> Any:
        """The first column of the first row; None without a row."""
        rows = await self.rows(statement, params, deadline=deadline)
        return rows[0][0] if rows else None

    @asynccontextmanager
    async def transaction(self, deadline: float = BATCH_SECONDS) -> AsyncIterator[None]:
        """All or nothing, within `deadline` seconds."""
        with translated("the batch"):
            async with asyncio.timeout(deadline), self._connection.transaction():
                yield

    async def copy_in(self, statement: LiteralString, pieces: Iterable[bytes], *, revision: int) -> None:
        """Send `pieces`, together one COPY stream."""
        with translated(statement):
            async with self._connection.cursor().copy(self._compose(statement, revision)) as copy:
                for piece in pieces:
                    await copy.write(piece)

    def _compose(self, statement: LiteralString, revision: int | None) -> bytes:
        composed = self._composed.get((statement, revision))
        if composed is None:
            names = self._names
            if revision is not None:
                names = {**names, "chunk": sql.Identifier(self._schema, f"chunk_r{int(revision)}")}
            composed = sql.SQL(statement).format(**names).as_bytes(self._connection)
            self._composed[statement, revision] = composed
        return composed


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the driver's errors into ours: Superseded, TenantClosed, StoreUnavailableError or StoreRefusedError."""
    try:
        yield
    except TimeoutError as error:
        raise StoreUnavailableError(f"the database did not answer in time ({_short(what)})") from error
    except psycopg.Error as error:
        raise _ours(error, what) from error


def _ours(error: psycopg.Error, what: str) -> Exception:
    said = _said(error)
    match error.sqlstate:
        case str() as state if state == SUPERSEDED:
            return Superseded(said)
        case str() as state if state == CLOSED:
            return TenantClosed(said)
        case str() as state if state == REFUSED:
            return StoreRefusedError(said)
        case None if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return StoreUnavailableError(f"the database can't be reached: {said}")
        case str() as state if state.startswith(_PASSING):
            return StoreUnavailableError(f"the database refused for now: {said}")
        case state:
            return StoreRefusedError(f"the database refused {_short(what)}: {said} (SQLSTATE {state})")


def _said(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error) or type(error).__name__).strip().splitlines()[0]


def _short(statement: str) -> str:
    return " ".join(statement.split())[:60]
